"""Waterfall charts: how contributions add up, as a table that a screen reader can read."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from polyclinic.exchange.html.formatting import position, sign_class, ticks
from polyclinic.explain.display.summaries import Step
from polyclinic.html import Markup, render

Write = Callable[[float], str]
MARGIN = 0.04
"""Share of the value range left free at each end of the axis."""


class Axis:
    """A linear axis that spans all values of a waterfall, with a margin at both ends."""

    def __init__(self, values: Sequence[float]) -> None:
        low, high = min(values), max(values)
        margin = MARGIN * (high - low or 1.0)
        self.low, self.high = low - margin, high + margin

    def share(self, value: float) -> float:
        """Return the position of a value, from 0 to 1."""
        return (value - self.low) / (self.high - self.low)

    def at(self, value: float) -> str:
        """Return the position of a value in per cent."""
        return position(self.share(value))

    def bar(self, step: Step) -> tuple[str, str]:
        """Return position and width of a step's bar in per cent; no bar is too narrow to see."""
        low, high = sorted((self.share(step.start), self.share(step.end)))
        return position(low), position(max(high - low, 0.002))

    @property
    def ticks(self) -> tuple[float, ...]:
        """Round numbers within the axis."""
        return ticks(self.low, self.high)


class WaterfallSection(NamedTuple):
    """A titled waterfall; `name` is its CSS class."""

    name: str
    title: str
    lead: str
    table: Markup


def waterfall(
    steps: Sequence[Step],
    ends: tuple[str, str],
    headers: tuple[str, str, str],
    writers: tuple[Write, Write],
    threshold: float | None = None,
) -> Markup:
    """Return the table of a waterfall.

    Args:
        steps: contiguous, from the start to the end.
        ends: labels of the start and the end.
        headers: of the columns: label, recorded value (empty: no such column), contribution.
        writers: format a contribution, and a value on the axis.
        threshold: a value on the axis to mark with a line.
    """
    values = [steps[0].start, *(step.end for step in steps), *([] if threshold is None else [threshold])]
    write, write_value = writers
    return render(
        "exchange/html/waterfall.html",
        steps=steps,
        ends=((ends[0], steps[0].start), (ends[1], steps[-1].end)),
        headers=headers,
        write=write,
        write_value=write_value,
        threshold=threshold,
        axis=Axis(values),
        sign_class=sign_class,
    )

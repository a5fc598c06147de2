"""Waterfalls: how contributions add up, as a table that can be read aloud and whose bars need no script."""

from collections.abc import Callable, Sequence

from polyclinic.evaluation.report.document import escape
from polyclinic.exchange.html.markup import at, side, ticks
from polyclinic.explain.display.summaries import Step

Write = Callable[[float], str]
ROOM = 0.04
"""Of the axis, left free at each end."""


class Axis:
    """A line from the lowest to the highest number of a waterfall, with room at its ends."""

    def __init__(self, numbers: Sequence[float]) -> None:
        low, high = min(numbers), max(numbers)
        room = ROOM * (high - low or 1.0)
        self.low, self.high = low - room, high + room

    def place(self, value: float) -> float:
        """Give the place of a number, from 0 to 1."""
        return (value - self.low) / (self.high - self.low)


def waterfall(
    steps: Sequence[Step],
    ends: tuple[str, str],
    words: tuple[str, str, str],
    writers: tuple[Write, Write],
    marked: float | None = None,
) -> str:
    """Give the table of a waterfall.

    Args:
        steps: from the start to the end.
        ends: what the start is called, and the end.
        words: the heads of the columns: what, its value (empty: no such column), how much it adds.
        writers: of what a step adds, and of a place on the axis.
        marked: a place on the axis to mark with a line, such as a threshold.
    """
    write, write_tick = writers
    first, last = steps[0].start, steps[-1].end
    numbers = [first, *(step.end for step in steps), *([] if marked is None else [marked])]
    axis, valued = Axis(numbers), bool(words[1])
    head = "".join(
        f'<th scope="col"{_kind(kind)}>{escape(word)}</th>'
        for word, kind in ((words[0], ""), (words[1], "value"), ("", "bar"), (words[2], "number"))
        if word or kind == "bar"
    )
    rows = [_end(ends[0], first, axis, valued, write_tick, marked)]
    for place, step in enumerate(steps):
        rows.append(_row(step, axis, valued, write, marked, last=place == len(steps) - 1))
    rows.append(_end(ends[1], last, axis, valued, write_tick, marked))
    scale = f'<tr class="axis" aria-hidden="true"><td></td>{"<td></td>" if valued else ""}<td class="bar">'
    scale += f"{_scale(axis, write_tick)}</td><td></td></tr>"
    return f'<table class="waterfall"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}{scale}</tbody></table>'


def _kind(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _row(step: Step, axis: Axis, valued: bool, write: Write, marked: float | None, last: bool) -> str:
    low, high = sorted((axis.place(step.start), axis.place(step.end)))
    bar = f'<rect class="{side(step.score)}" x="{at(low)}" y="3" width="{at(max(high - low, 0.002))}" height="14"/>'
    end = at(axis.place(step.end))
    joint = f'<line class="joint" x1="{end}" x2="{end}" y1="17" y2="28"/>' if not last else ""
    value = f'<td class="value">{escape(step.value)}</td>' if valued else ""
    drawn = f'<svg height="20" aria-hidden="true">{_mark(axis, marked)}{bar}{joint}</svg>'
    number = f'<td class="number {side(step.score)}">{escape(write(step.score))}</td>'
    return f'<tr><th scope="row">{escape(step.label)}</th>{value}<td class="bar">{drawn}</td>{number}</tr>'


def _end(name: str, value: float, axis: Axis, valued: bool, write: Write, marked: float | None) -> str:
    place = at(axis.place(value))
    drawn = f'<svg height="20" aria-hidden="true">{_mark(axis, marked)}<line class="end" x1="{place}" x2="{place}" '
    drawn += 'y1="2" y2="18"/></svg>'
    empty = "<td></td>" if valued else ""
    told = f'<td class="number">{escape(write(value))}</td>'
    return f'<tr class="end"><th scope="row">{escape(name)}</th>{empty}<td class="bar">{drawn}</td>{told}</tr>'


def _mark(axis: Axis, marked: float | None) -> str:
    if marked is None:
        return ""
    place = at(axis.place(marked))
    return f'<line class="threshold" x1="{place}" x2="{place}" y1="-8" y2="28"/>'


def _scale(axis: Axis, write: Write) -> str:
    drawn = "".join(
        f'<line x1="{at(axis.place(one))}" x2="{at(axis.place(one))}" y1="0" y2="4"/>'
        f'<text x="{at(axis.place(one))}" y="16">{escape(write(one))}</text>'
        for one in ticks(axis.low, axis.high)
    )
    return f'<svg height="20">{drawn}</svg>'

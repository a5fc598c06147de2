"""Section of measurements over time: one row per channel, each measurement shaded by its contribution."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from polyclinic.exchange.html.formatting import position, sign_class, ticks
from polyclinic.exchange.html.sections import Context
from polyclinic.exchange.html.shading import Shade, Write, shades
from polyclinic.explain.attribution import SeriesAttribution
from polyclinic.explain.display.labels import number, with_unit, writer
from polyclinic.explain.display.summaries import Lane, lanes
from polyclinic.html import Markup, render

SHOWN = 8
HEIGHT, TOP, BOTTOM = 56, 9, 47
STEPS_OF_HOURS = (1, 2, 3, 6, 12, 24, 48, 72, 168)


class Row(NamedTuple):
    """One channel: its label and range, shading, curve, last value and total contribution."""

    label: str
    unit: str
    range: str
    description: str
    shades: list[Shade]
    points: list[tuple[str, str]]
    last: str
    sign: str
    total: str


def series_section(series: SeriesAttribution, scale: str, whole: bool = True) -> Markup:
    """Return the section, empty without channels; channels past the first eight are folded away.

    Args:
        series: the contributions.
        scale: of the contributions.
        whole: false if `series` holds only the largest contributions.
    """
    found = lanes(series)
    if not found:
        return Markup()
    span = max(float(lane.hours.max()) for lane in found) or 1.0
    largest = max(float(np.abs(lane.scores).max()) for lane in found)
    write = writer(float(lane.scores.sum()) for lane in found)
    rows = [_row(lane, span, largest, write) for lane in found]
    return render(
        "exchange/html/series_section.html",
        shown=rows[:SHOWN],
        folded=rows[SHOWN:],
        hours=list(_hours(span)),
        scale=scale,
        whole=whole,
        height=HEIGHT,
    )


def sections(context: Context) -> Iterator[Markup]:
    """Yield one section."""
    evidence = context.evidence
    yield series_section(evidence.attribution["series"], context.answer.scale, evidence.whole)


def _row(lane: Lane, span: float, largest: float, write: Write) -> Row:
    low, high = float(lane.values.min()), float(lane.values.max())
    total = float(lane.scores.sum())
    return Row(
        lane.label,
        lane.unit,
        f"{number(low)}–{number(high)}" if high > low else number(low),
        f"{lane.label}: {len(lane.hours)} measurements, {number(low)} to {number(high)} {lane.unit}",
        list(shades(_stretches(lane, span), largest, write)),
        _points(lane, span, low, high),
        with_unit(float(lane.values[-1]), lane.unit),
        sign_class(total),
        write(total),
    )


def _stretches(lane: Lane, span: float) -> Iterator[tuple[float, float, float]]:
    for begin, end, score in zip(lane.begins.tolist(), lane.ends.tolist(), lane.scores.tolist(), strict=True):
        shown = min(begin, span)
        yield 1 - shown / span, (shown - end) / span, score


def _points(lane: Lane, span: float, low: float, high: float) -> list[tuple[str, str]]:
    """Return the curve's points: x in per cent, y in pixels."""
    shares = (lane.values - low) / (high - low) if high > low else np.full(len(lane.values), 0.5)
    y = BOTTOM - shares * (BOTTOM - TOP)
    return [(position(x), f"{y:.1f}") for x, y in zip(1 - lane.hours / span, y, strict=True)]


def _hours(span: float) -> Iterator[tuple[str, str]]:
    """Return position and label of the ticks of the time axis."""
    step = next((step for step in STEPS_OF_HOURS if span / step <= 8), None)
    hours: Sequence[float] = [step * k for k in range(int(span // step) + 1)] if step else ticks(0, span)
    for hour in hours:
        yield position(1 - hour / span), "0 h" if hour == 0 else f"−{hour:g} h"

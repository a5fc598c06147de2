"""Measurements over time: one row per channel, each moment shaded by what it adds."""

from collections.abc import Callable, Sequence

import numpy as np

from polyclinic.evaluation.report.document import escape
from polyclinic.exchange.html.markup import at, section, side, ticks
from polyclinic.explain.attribution import SeriesAttribution
from polyclinic.explain.display.labels import number, with_unit, writer
from polyclinic.explain.display.summaries import Lane, lanes

Write = Callable[[float], str]
SHOWN = 8
HEIGHT, TOP, BOTTOM = 56, 9, 47
PALEST, DARKEST = 0.0, 0.85
STEPS_OF_HOURS = (1, 2, 3, 6, 12, 24, 48, 72, 168)


def series_section(series: SeriesAttribution, scale: str, whole: bool = True) -> str:
    """Give the section of a series; channels that matter less are folded away. Without `whole`, some are not there."""
    found = lanes(series)
    if not found:
        return ""
    span = max(float(lane.hours.max()) for lane in found) or 1.0
    largest = max(float(np.abs(lane.scores).max()) for lane in found)
    write = writer(float(lane.scores.sum()) for lane in found)
    content = _table(found[:SHOWN], span, largest, write, scale)
    if found[SHOWN:]:
        rest = _table(found[SHOWN:], span, largest, write, scale)
        content += f"<details><summary>{len(found) - SHOWN} more that weigh less</summary>{rest}</details>"
    lead = "Shaded moments moved the answer: the darker, the more."
    lead += "" if whole else " Only the weightiest measurements are shown."
    return section("series", "Measurements over time", content, lead)


def _table(shown: Sequence[Lane], span: float, largest: float, write: Write, scale: str) -> str:
    head = '<tr><th scope="col">Channel</th><th scope="col" class="bar"></th>'
    head += f'<th scope="col" class="value">Last</th><th scope="col" class="number">Adds, {escape(scale)}</th></tr>'
    rows = "".join(_row(lane, span, largest, write, scale) for lane in shown)
    return f'<table class="lanes"><thead>{head}</thead><tbody>{rows}{_axis(span)}</tbody></table>'


def _row(lane: Lane, span: float, largest: float, write: Write, scale: str) -> str:
    low, high = float(lane.values.min()), float(lane.values.max())
    total = float(lane.scores.sum())
    told = f"{lane.label}: {len(lane.hours)} measurements, {number(low)} to {number(high)} {lane.unit}"
    limits = f"{number(low)}–{number(high)}" if high > low else number(low)
    return (
        f'<tr><th scope="row">{escape(lane.label)}<span class="range">{escape(limits)} {escape(lane.unit)}</span></th>'
        f'<td class="bar"><svg height="{HEIGHT}" role="img" aria-label="{escape(told)}">'
        f"{_shades(lane, span, largest, write, scale)}{_line(lane, span)}</svg></td>"
        f'<td class="value">{escape(with_unit(float(lane.values[-1]), lane.unit))}</td>'
        f'<td class="number {side(total)}">{write(total)}</td></tr>'
    )


def _shades(lane: Lane, span: float, largest: float, write: Write, scale: str) -> str:
    drawn = []
    for begin, end, score in zip(lane.begins.tolist(), lane.ends.tolist(), lane.scores.tolist(), strict=True):
        strength = abs(score) / largest if largest else 0.0
        if strength < 0.03:  # too pale to be seen
            continue
        begin = min(begin, span)
        opacity = PALEST + (DARKEST - PALEST) * strength**0.7
        drawn.append(
            f'<rect class="{side(score)}" x="{at(1 - begin / span)}" width="{at((begin - end) / span)}" y="0" '
            f'height="{HEIGHT}" opacity="{opacity:.2f}"><title>{write(score)} {escape(scale)}</title></rect>'
        )
    return "".join(drawn)


def _line(lane: Lane, span: float) -> str:
    low, high = float(lane.values.min()), float(lane.values.max())
    shares = (lane.values - low) / (high - low) if high > low else np.full(len(lane.values), 0.5)
    x = [at(one) for one in 1 - lane.hours / span]
    y = [f"{one:.1f}" for one in BOTTOM - shares * (BOTTOM - TOP)]
    lines = "".join(f'<line x1="{x[k]}" y1="{y[k]}" x2="{x[k + 1]}" y2="{y[k + 1]}"/>' for k in range(len(x) - 1))
    dots = "".join(f'<circle cx="{one}" cy="{other}" r="2.1"/>' for one, other in zip(x, y, strict=True))
    return f'<g class="curve">{lines}{dots}</g>'


def _axis(span: float) -> str:
    step = next((one for one in STEPS_OF_HOURS if span / one <= 8), None)
    hours = [step * k for k in range(int(span // step) + 1)] if step else list(ticks(0, span))
    texts = "".join(
        f'<text x="{at(1 - one / span)}" y="14" class="{"last" if one == 0 else ""}">'
        f"{'asked' if one == 0 else f'−{one:g} h'}</text>"
        for one in hours
    )
    empty = "<td></td>"
    drawn = f'<td class="bar"><svg height="18">{texts}</svg></td>'
    return f'<tr class="axis" aria-hidden="true">{empty}{drawn}{2 * empty}</tr>'

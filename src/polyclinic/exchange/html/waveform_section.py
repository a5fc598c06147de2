"""Section of an electrocardiogram: each lead's trace over windows shaded by contribution, with a time axis."""

from collections.abc import Iterator
from math import isnan
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from polyclinic.exchange.html.formatting import position, sign_class, ticks
from polyclinic.exchange.html.sections import Context
from polyclinic.exchange.html.shading import Shade, shades
from polyclinic.explain.attribution import EcgAttribution
from polyclinic.explain.display.labels import number, writer
from polyclinic.html import Markup, render

HEIGHT = 46
WIDTH = 1000
"""Of the trace's own coordinates; the drawing is stretched to the page."""
HALF_HEIGHT_MV = 1.5
WINDOW_MS = 200
LISTED = 5


class Row(NamedTuple):
    """One lead: its shaded windows, its trace in pieces without gaps, and its total contribution."""

    lead: str
    shades: list[Shade]
    pieces: list[str]
    sign: str
    total: str


def sections(context: Context) -> Iterator[Markup]:
    """Yield one section per recording."""
    for recording in context.evidence.attribution["waveform"].recordings:
        yield waveform_section(recording, context.answer.scale)


def waveform_section(recording: EcgAttribution, scale: str) -> Markup:
    """Return the section of one recording."""
    sums = recording.windows(WINDOW_MS)
    largest = float(np.abs(sums).max(initial=0.0))
    write = writer([recording.total, *sums.sum(axis=1).tolist()])
    duration_ms = recording.trace.shape[1] * 1000 / recording.sampling_hz
    rows = [
        Row(
            lead,
            list(shades(_stretches(windows, duration_ms), largest, write)),
            list(_pieces(trace)),
            sign_class(float(windows.sum())),
            write(float(windows.sum())),
        )
        for lead, windows, trace in zip(recording.leads, sums, recording.trace, strict=True)
    ]
    return render(
        "exchange/html/waveform_section.html",
        recorded="" if isnan(recording.hours) else f", recorded {number(recording.hours)} h before",
        rows=rows,
        ticks=[(position(tick / duration_ms), f"{tick:g} ms") for tick in ticks(0, duration_ms)],
        scale=scale,
        total=write(recording.total),
        segments=[
            (f"{segment.lead}, {segment.start_ms:.0f} to {segment.end_ms:.0f} ms", write(segment.score))
            for segment in recording.segments(WINDOW_MS)[:LISTED]
        ],
        height=HEIGHT,
        width=WIDTH,
        height_mv=f"{2 * HALF_HEIGHT_MV:g}",
    )


def _stretches(windows: Float[np.ndarray, " window"], duration_ms: float) -> Iterator[tuple[float, float, float]]:
    for place, score in enumerate(windows.tolist()):
        start, end = place * WINDOW_MS, min((place + 1) * WINDOW_MS, duration_ms)
        yield start / duration_ms, (end - start) / duration_ms, score


def _pieces(trace: Float[np.ndarray, " time"]) -> Iterator[str]:
    """Yield the points of each stretch without gaps, as SVG writes them."""
    known = ~np.isnan(trace)
    edges = np.flatnonzero(np.diff(known.astype(int), prepend=0, append=0))
    x = np.arange(len(trace)) * WIDTH / max(len(trace) - 1, 1)
    y = HEIGHT / 2 * (1 - np.clip(trace / HALF_HEIGHT_MV, -1, 1))
    for start, end in edges.reshape(-1, 2):
        yield " ".join(f"{across:.1f},{down:.1f}" for across, down in zip(x[start:end], y[start:end], strict=True))

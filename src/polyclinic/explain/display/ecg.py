"""Plot an electrocardiogram with the attribution of its windows."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from polyclinic.evaluation.report.plot_style import GRID, INK, PAPER, styled
from polyclinic.explain.attribution import EcgAttribution
from polyclinic.explain.display.summaries import AGAINST, FOR

HATCH = "////"
LEAD_MV = 2.0
"""Height of a lead's strip."""
STRIP = 0.55
"""The same, in inches."""


def ecg(attribution: EcgAttribution, window_ms: float = 200, *, axes: Axes | None = None) -> Axes:
    """Draw each lead's trace over windows shaded by score: vermillion for the output, blue and hatched against it.

    Args:
        attribution: of one recording.
        window_ms: width of a window.
        axes: to draw on.
    """
    sums = attribution.windows(window_ms)
    largest = float(np.abs(sums).max(initial=0.0)) or 1.0
    times = np.arange(attribution.trace.shape[1]) * 1000 / attribution.sampling_hz
    width = round(window_ms * attribution.sampling_hz / 1000) * 1000 / attribution.sampling_hz
    with styled():
        axes = axes or _axes(len(attribution.leads))
        for place, (trace, row) in enumerate(zip(attribution.trace, sums, strict=True)):
            for window, score in enumerate(row.tolist()):
                if score:
                    axes.add_patch(_shade(window * width, place, width, score / largest))
            axes.plot(times, place + 0.5 - np.clip(trace / LEAD_MV, -0.5, 0.5), color=INK, linewidth=0.8)
            axes.axhline(place + 1, color=GRID, linewidth=0.8)
        axes.set_yticks([place + 0.5 for place in range(len(attribution.leads))], attribution.leads)
        axes.set(ylim=(max(len(attribution.leads), 1), 0), xlim=(0, len(times) * 1000 / attribution.sampling_hz))
        axes.set(xlabel=f"ms; each strip is {LEAD_MV:g} mV high", title="Electrocardiogram")
        axes.grid(visible=False)
        axes.spines["left"].set_visible(False)
    return axes


def _shade(start: float, place: int, width: float, strength: float) -> Rectangle:
    return Rectangle((start, place), width, 1, linewidth=0, alpha=0.85 * abs(strength) ** 0.7,
                     facecolor=FOR if strength > 0 else PAPER, edgecolor=AGAINST,
                     hatch=None if strength > 0 else HATCH)  # fmt: skip


def _axes(leads: int) -> Axes:
    """Return axes of a new figure that a notebook displays automatically."""
    from matplotlib import pyplot

    axes: Axes = pyplot.subplots(figsize=(9.0, 0.7 + STRIP * max(leads, 1)))[1]
    return axes

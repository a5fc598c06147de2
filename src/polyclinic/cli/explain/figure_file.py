"""Plots as files, with a caption of the target above and of the reliability below."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from polyclinic.cli.explain.reliability import Trust
from polyclinic.cli.explain.target import ExplanationTarget
from polyclinic.evaluation.report.plot_style import INK, MUTED, RC
from polyclinic.explain.display.summaries import FOR
from polyclinic.files import replacing

GAP, LINE = 0.14, 0.2
"""Inches between the plot and its captions, and of a line of text."""


def captioned(figure: Figure, target: ExplanationTarget, trust: Trust, legend: str) -> Figure:
    """Add captions: the target above; below it the legend, and the method with its gap and audit."""
    sample, height = target.sample, figure.get_size_inches()[1]
    above = f"{target.task.name}, {target.output.name}: {target.format_answer(target.answer)}"
    of = f"patient {sample.subject_id}, {sample.prediction_time:%Y-%m-%d %H:%M}"
    with mpl.rc_context(RC):
        figure.text(0.01, 1 + (GAP + LINE) / height, above, fontsize=12, fontweight="bold", color=INK, va="bottom")
        figure.text(0.01, 1 + GAP / height, of, fontsize=9, color=MUTED, va="bottom")
        colour, weight = (FOR, "bold") if trust.failed else (MUTED, "normal")
        figure.text(0.01, -GAP / height, legend, fontsize=8.5, color=MUTED, va="top")
        below = -(GAP + LINE) / height
        figure.text(0.01, below, trust.in_short, fontsize=8.5, color=colour, fontweight=weight, va="top")
    return figure


def write(figure: Figure, path: Path) -> None:
    """Save a figure with its captions, in the format of the file's suffix, and close it."""
    from matplotlib import pyplot

    with replacing(path) as temporary, mpl.rc_context(RC):
        figure.savefig(temporary, format=path.suffix.removeprefix("."), bbox_inches="tight", pad_inches=0.2)
    pyplot.close(figure)

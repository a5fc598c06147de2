"""Plots as files: what they are of stands above, and beneath how far to trust them."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from polyclinic.cli.explain.reliability import Trust
from polyclinic.cli.explain.target import Question
from polyclinic.evaluation.report.plot_style import INK, MUTED, RC
from polyclinic.explain.display.summaries import FOR
from polyclinic.files import replacing

GAP, LINE = 0.14, 0.2
"""Inches between the plot and what is written around it, and of one line of that."""


def captioned(figure: Figure, question: Question, trust: Trust, legend: str) -> Figure:
    """Write what is explained above a figure; beneath it what its marks mean, and the method, its gap and its audit."""
    sample, height = question.sample, figure.get_size_inches()[1]
    above = f"{question.task.name}, {question.output.name}: {question.said(question.answer)}"
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
    """Write a figure with all that stands around it, in the format of the file's suffix, and forget it."""
    from matplotlib import pyplot

    with replacing(path) as temporary, mpl.rc_context(RC):
        figure.savefig(temporary, format=path.suffix.removeprefix("."), bbox_inches="tight", pad_inches=0.2)
    pyplot.close(figure)

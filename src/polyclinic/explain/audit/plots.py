"""Plots of an audit, in the style of the other reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from polyclinic.evaluation.estimate import Estimate
from polyclinic.evaluation.report.plot_style import DASHES, INK, MUTED, PAPER, SERIES, canvas, styled
from polyclinic.explain.audit.froc import Froc
from polyclinic.explain.audit.record import MOST_ALIKE, DeletionCurve, Located, Sanity
from polyclinic.explain.localisation.operating_point import OperatingPoint

BASELINES = ("random order", "edges")
SIDE = (4.9, 3.6)
ROW = 0.27


def follow(courses: Sequence[DeletionCurve], colours: Mapping[str, int]) -> Canvas:
    """Draw the mean logit by the share of units removed, or restored, in each order."""
    with styled():
        figure, axes = canvas(*SIDE)
        for one in courses:
            baseline = one.order in BASELINES
            number = colours.get(one.order, 0)
            axes.plot(one.curve.x, one.curve.y, label=one.order.replace("_", " "),
                      color=MUTED if baseline else SERIES[number % len(SERIES)],
                      linestyle=DASHES[1 + BASELINES.index(one.order)] if baseline else "-",
                      linewidth=1.3 if number or baseline else 2.2)  # fmt: skip
        first = courses[0]
        verb = "taken away" if first.kind == "deletion" else "put back"
        axes.set(xlabel=f"Share {verb}, the highest scores first", ylabel="Mean logit",
                 title=f"{first.modality.capitalize()}: {first.kind}", xlim=(0, 1))  # fmt: skip
        axes.legend(loc="best", fontsize=7.5)
        return figure


def froc_curves(
    curves: Mapping[str, Froc], colours: Mapping[str, int], operating_point: OperatingPoint | None, shown: str
) -> Canvas:
    """Draw FROC curves and the operating point."""
    with styled():
        figure, axes = canvas(*SIDE)
        for name, curve in curves.items():
            baseline = name in BASELINES
            points = [(one.false_regions.value or 0, one.recall.value or 0) for one in curve.points]
            axes.plot(*zip(*points, strict=True), label=name.replace("_", " "),
                      color=MUTED if baseline else SERIES[colours.get(name, 0) % len(SERIES)],
                      linestyle=DASHES[1] if baseline else "-", linewidth=2.2 if name == shown else 1.3)  # fmt: skip
        if operating_point is not None:
            at = curves[shown].at(operating_point.sensitivity)
            axes.plot([at.false_regions.value or 0], [at.recall.value or 0], marker="o", markersize=7, color=PAPER,
                      markeredgecolor=INK, markeredgewidth=1.4, zorder=5)  # fmt: skip
        axes.axvline(1, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
        axes.set(xlim=(0, 4), ylim=(-0.02, 1.02), xlabel="False regions per picture", ylabel="Share of lesions found",
                 title="FROC")  # fmt: skip
        axes.legend(loc="lower right", fontsize=7.5)
        return figure


def pointing(rows: Sequence[Located], goal: float) -> Canvas:
    """Draw the pointing game by method, and by finding for the first."""
    with styled():
        figure, axes = canvas(SIDE[0], 1.0 + ROW * len(rows))
        _whiskers(axes, [one.pointing for one in rows])
        axes.set_yticks(range(len(rows)), [_named(one) for one in rows])
        axes.axvline(goal, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
        axes.set(xlim=(-0.02, 1.02), ylim=(len(rows) - 0.4, -0.6), xlabel="Pointing game", title="Pointing game")
        return figure


def sanity(rows: Sequence[Sanity], stages: Sequence[str]) -> Canvas:
    """Draw the similarity of explanations of random weights to those of the trained ones."""
    keys = list(dict.fromkeys((one.method, one.modality) for one in rows))
    with styled():
        figure, axes = canvas(8.4, 1.0 + ROW * len(keys))
        for number, stage in enumerate(stages):
            found = {(one.method, one.modality): one.shown for one in rows if one.stage == stage}
            _whiskers(axes, [found.get(key) for key in keys], SERIES[1 - number], stage, 0.16 * (2 * number - 1))
        axes.axvline(MOST_ALIKE, color=INK, linewidth=0.8, linestyle=(0, (1, 2)))
        axes.set_yticks(range(len(keys)), [f"{method.replace('_', ' ')}, {modality}" for method, modality in keys])
        axes.set(xlim=(-1.02, 1.02), ylim=(len(keys) - 0.4, -0.6),
                 xlabel="Rank correlation with the trained network's; right of the dotted line: fails")  # fmt: skip
        axes.legend(loc="lower left", fontsize=8)
        return figure


def _whiskers(
    axes: Axes,
    figures: Sequence[Estimate | None],
    colour: str = SERIES[0],
    label: str | None = None,
    shift: float = 0.0,
) -> None:
    for place, figure in enumerate(figures):
        if figure is None or figure.value is None:
            continue
        if figure.low is not None and figure.high is not None:
            axes.plot([figure.low, figure.high], [place + shift] * 2, color=colour, linewidth=1.6, alpha=0.8)
        axes.plot([figure.value], [place + shift], marker="o", markersize=5.5, color=colour, linewidth=0, label=label)
        label = None
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)


def _named(one: Located) -> str:
    return one.method.replace("_", " ") if one.finding == "all" else f"   {one.finding}"

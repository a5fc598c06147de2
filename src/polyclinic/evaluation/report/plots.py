"""Plots of evaluation results; each function draws on the given axes and returns them.

Draw within `plot_style.styled()` for the house style:

    with styled():
        figure, axes = canvas()
        roc(axes, {"unified": curve})
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from polyclinic.evaluation.estimate import Difference, Estimate, decimal, places
from polyclinic.evaluation.metrics.calibration import ReliabilityBin
from polyclinic.evaluation.metrics.confusion import Confusion
from polyclinic.evaluation.metrics.decision_curve import DecisionPoint
from polyclinic.evaluation.report.metric_names import term
from polyclinic.evaluation.report.plot_style import DASHES, GRID, INK, MUTED, PAPER, SERIES
from polyclinic.evaluation.report.shown_counts import shown_rows
from polyclinic.evaluation.results import Comparison, Curve, Histogram, Row

UNIT = FuncFormatter(lambda value, _: decimal(value, 1))
ROUND_STEPS = [1, 2, 5, 10]
SHOWN = {"calibration_slope": "Slope", "calibration_intercept": "Intercept", "ece": "ECE"}  # in the calibration plot
LONGEST = 24  # characters of a name in a legend
BEHIND = {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.8, "pad": 1.0}  # keeps text legible over lines


def roc(
    axes: Axes,
    curves: Mapping[str, Curve],
    figures: Mapping[str, Estimate] | None = None,
    operating_point: Confusion | None = None,
) -> Axes:
    """Draw ROC curves with their AUROCs in the legend, and the first curve's operating point."""
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
    _curves(axes, curves, figures)
    if operating_point is not None:
        _operating_point(axes, *_rates(operating_point), operating_point.threshold)
    _unit_square(axes)
    axes.set(xlabel="1 − specificity", ylabel="Sensitivity", title="ROC")
    return _legend(axes, "lower right")


def precision_recall(
    axes: Axes, curves: Mapping[str, Curve], prevalence: float, figures: Mapping[str, Estimate] | None = None
) -> Axes:
    """Draw precision–recall curves, and the prevalence as the baseline."""
    _curves(axes, curves, figures)
    axes.axhline(
        prevalence, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)), label=f"prevalence {decimal(prevalence)}"
    )
    _unit_square(axes)
    axes.set(xlabel="Sensitivity (recall)", ylabel="PPV (precision)", title="Precision–recall")
    return _legend(axes, "best")


def calibration(
    axes: Axes,
    bins: Sequence[ReliabilityBin],
    histogram: Histogram | None = None,
    figures: Mapping[str, Estimate] | None = None,
) -> Axes:
    """Draw observed rates over predictions, with intervals; below, a histogram of the predictions."""
    top = max([0.2, *(max(part.predicted, part.high or part.observed) for part in bins)])
    limit = min(1.0, np.ceil(top * 10 + 0.3) / 10)
    axes.plot([0, limit], [0, limit], color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
    _reliability(axes, bins)
    base = 0.0
    if histogram is not None:
        base = _spikes(axes, histogram, limit)
    axes.set(xlim=(-0.02 * limit, limit * 1.02), ylim=(base - 0.02 * limit, limit * 1.02), xlabel="Predicted risk",
             ylabel="Observed rate", title="Calibration")  # fmt: skip
    axes.set_yticks(
        [tick for tick in MaxNLocator(6, steps=ROUND_STEPS).tick_values(0, limit) if 0 <= tick <= limit + 1e-9]
    )
    _decimals(axes, limit)
    lines = [
        f"{label}  {found}" for name, label in SHOWN.items() if (found := (figures or {}).get(name)) and found.width
    ]
    axes.text(0.03, 0.97, "\n".join(lines), transform=axes.transAxes, va="top", fontsize=8.5, linespacing=1.5)
    return axes


def _reliability(axes: Axes, bins: Sequence[ReliabilityBin]) -> None:
    for part in bins:
        if part.low is not None and part.high is not None:
            axes.plot([part.predicted] * 2, [part.low, part.high], color=SERIES[0], linewidth=1.4, alpha=0.45)
    axes.plot([part.predicted for part in bins], [part.observed for part in bins], color=SERIES[0], marker="o",
              markersize=5.5, markeredgecolor=PAPER, markeredgewidth=0.8, linewidth=1)  # fmt: skip


def _spikes(axes: Axes, histogram: Histogram, limit: float) -> float:
    """Draw the histogram, with the outcome upward and without downward; return the lowest y used."""
    middles = (np.array(histogram.edges[:-1]) + histogram.edges[1:]) / 2
    shown = middles <= limit
    above, below = np.array(histogram.positives)[shown], np.array(histogram.negatives)[shown]
    room, width, zero = 0.08 * limit, 0.8 * (middles[1] - middles[0]), -0.13 * limit
    axes.bar(middles[shown], above / max(1, above.max()) * room, width, zero, color=SERIES[1], linewidth=0, alpha=0.75)
    axes.bar(middles[shown], -below / max(1, below.max()) * room, width, zero, color=SERIES[0], linewidth=0, alpha=0.55)
    axes.axhline(0, color=GRID, linewidth=0.8)
    for text, offset, colour, align in (("with", 0.01, SERIES[1], "bottom"), ("without", -0.01, SERIES[0], "top")):
        axes.text(-0.02, zero + offset * limit, text, transform=axes.get_yaxis_transform(), color=colour, fontsize=7.5,
                  ha="right", va=align)  # fmt: skip
    return zero - room


def confusion_matrix(axes: Axes, matrix: Sequence[Sequence[int]], names: Sequence[str]) -> Axes:
    """Draw the confusion matrix (true classes in rows), shaded by the share of the row."""
    counted = np.array(matrix, dtype=float)
    shares = counted / np.maximum(counted.sum(axis=1, keepdims=True), 1)
    for row, column in np.ndindex(*counted.shape):
        axes.add_patch(Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, color=SERIES[0],
                                 alpha=0.06 + 0.6 * shares[row, column], linewidth=0))  # fmt: skip
        axes.text(column, row, f"{int(counted[row, column]):,}", ha="center", va="center")
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5), xlabel="Most probable", ylabel="True",
             title="Confusion", aspect="equal")  # fmt: skip
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    return axes


def agreement(axes: Axes, bins: Sequence[ReliabilityBin], unit: str = "") -> Axes:
    """Draw the observed mean over the predicted mean, for regression."""
    edges = [end for part in bins for end in (part.predicted, part.low, part.high) if end is not None]
    axes.plot([min(edges), max(edges)], [min(edges), max(edges)], color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
    _reliability(axes, bins)
    suffix = f" ({unit})" if unit else ""
    axes.set(xlabel=f"Predicted{suffix}", ylabel=f"Observed mean{suffix}", title="Agreement")
    return axes


def decision(axes: Axes, curves: Mapping[str, Sequence[DecisionPoint]], threshold: float | None = None) -> Axes:
    """Draw the net benefit of each model, of treating all and of treating none; a band for the first model."""
    first = next(iter(curves.values()), ())
    top = max([0.01, *(point.model for points in curves.values() for point in points)])
    last = max([0.2, *(point.threshold for point in first if point.model > 0.02 * top or point.treat_all > 0)])
    last = min(1.0, last * 1.15)
    axes.axhline(0, color=INK, linewidth=0.9)
    _note(axes, "treat none", (last, 0), (-46, -12))
    shown = [point for point in first if point.treat_all > -0.3 * top]
    axes.plot([p.threshold for p in shown], [p.treat_all for p in shown], color=MUTED, linewidth=1)
    if shown:
        where = min(shown, key=lambda p: abs(p.treat_all - 0.25 * top))
        _note(axes, "treat all", (where.threshold, where.treat_all), (-38, -8))
    band = [point for point in first if point.low is not None and point.high is not None]
    axes.fill_between([p.threshold for p in band], [p.low or 0 for p in band], [p.high or 0 for p in band],
                      color=SERIES[0], alpha=0.14, linewidth=0)  # fmt: skip
    for number, (name, points) in enumerate(curves.items()):
        axes.plot([p.threshold for p in points], [p.model for p in points], label=_short(name), **_line(number))
    if threshold is not None and threshold <= last:
        axes.axvline(threshold, color=INK, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.set(xlim=(0, last), ylim=(-0.22 * top, 1.12 * top), xlabel="Threshold probability", ylabel="Net benefit",
             title="Decision curve")  # fmt: skip
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=ROUND_STEPS))
    _decimals(axes, last)
    return _legend(axes, "upper right")


def subgroups(axes: Axes, rows: Sequence[Row], figure: str = "auroc", overall: Estimate | None = None) -> Axes:
    """Draw one metric of every group with its interval; hollow where the group is too small to trust."""
    places_of, labels = [], []
    place = 0.0
    if overall is not None and overall.value is not None:
        axes.axvline(overall.value, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
        if overall.low is not None and overall.high is not None:
            axes.axvspan(overall.low, overall.high, color=GRID, alpha=0.6, linewidth=0)
    for table, members in groupby(shown_rows(rows), key=lambda own: own.row.table):
        axes.text(-0.02, place, table.capitalize(), transform=axes.get_yaxis_transform(), ha="right", va="center",
                  fontweight="bold", fontsize=8.5)  # fmt: skip
        for own in members:
            row, (n, cases) = own.row, own.texts
            place += 1
            _whisker(axes, place, own.figures.get(figure), SERIES[0], hollow=row.small)
            _value_label(axes, place, own.figures.get(figure))
            labels.append(f"{row.level}  ({' / '.join(_count(count) for count in (n, cases) if count is not None)})")
            places_of.append(place)
        place += 1.4
    axes.set_yticks(places_of, labels)
    axes.set(ylim=(place - 0.6, -0.7), xlabel=term(figure).label, title=f"{term(figure).label} by group")
    counted = "n" if all(row.cases is None for row in rows) else "n / with outcome"
    axes.text(
        -0.02, -1, counted, transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=8, color=MUTED
    )
    return _forest(axes)


def _count(count: int | str) -> str:
    return count if isinstance(count, str) else f"{count:,}"


def subset_bars(axes: Axes, comparison: Comparison, figure: str | None = None) -> Axes:
    """Draw one metric for each subset of the modalities; dots at the left mark the modalities given."""
    name = figure or comparison.headline[0]
    ranked = sorted(comparison.contenders, key=lambda c: (-len(c.members), -(c.figures[name].value or 0)))
    modalities = max((c.members for c in ranked), key=lambda members: len(members))
    values = [value for c in ranked if (value := c.figures[name].value) is not None]
    floor = _floor(values, term(name).better)
    axes.set_yticks([])
    for place, contender in enumerate(ranked):
        found, full = contender.figures[name], contender.name == comparison.reference
        if found.value is not None:
            axes.barh(place, found.value - floor, 0.62, floor, color=SERIES[0], alpha=1 if full else 0.42, linewidth=0)
        if found.low is not None and found.high is not None:
            axes.plot([found.low, found.high], [place, place], color=INK, linewidth=1.2)
        _value_label(axes, place, found)
        _dots(axes, place, modalities, contender.members)
    for column, modality in enumerate(modalities):
        axes.text(_dot_x(column, len(modalities)), -0.8, modality, transform=axes.get_yaxis_transform(), rotation=40,
                  ha="left", va="bottom", fontsize=8.5, color=MUTED)  # fmt: skip
    axes.set(ylim=(len(ranked) - 0.4, -0.7), xlabel=term(name).label)
    axes.set_xlim(left=floor)
    axes.spines["left"].set_visible(False)
    return _forest(axes)


def comparison(axes: Axes, compared: Comparison, figure: str | None = None) -> Axes:
    """Draw each model's paired difference from the reference."""
    name = figure or compared.headline[0]
    rivals = [c for c in compared.contenders if c.name != compared.reference]
    axes.axvline(0, color=INK, linewidth=0.9)
    for place, contender in enumerate(rivals):
        difference = contender.differences[name]
        _whisker(axes, place, difference.figure, SERIES[0])
        _value_label(axes, place, difference)
    axes.set_yticks(range(len(rivals)), [c.name for c in rivals])
    label = term(name).label
    axes.set(ylim=(len(rivals) - 0.4, -0.6), xlabel=f"Difference in {label} from {compared.reference}",
             title=f"{label}, less that of {compared.reference}")  # fmt: skip
    return _forest(axes)


def _curves(axes: Axes, curves: Mapping[str, Curve], figures: Mapping[str, Estimate] | None) -> None:
    for number, (name, curve) in enumerate(curves.items()):
        found = (figures or {}).get(name)
        label = f"{_short(name)}  {found}" if found is not None and found.low is not None else _short(name)
        axes.plot(curve.x, curve.y, label=label, zorder=3 - 0.01 * number, **_line(number))


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def _line(number: int) -> dict[str, Any]:
    return {
        "color": SERIES[number % len(SERIES)],
        "linestyle": DASHES[number % len(DASHES)],
        "linewidth": 2.0 if number == 0 else 1.4,
    }


def _legend(axes: Axes, place: Literal["lower right", "upper right", "best"]) -> Axes:
    if any(axes.get_legend_handles_labels()[1]):
        axes.legend(loc=place)
    return axes


def _unit_square(axes: Axes) -> None:
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.03), aspect="equal")
    axes.xaxis.set_major_formatter(UNIT)
    axes.yaxis.set_major_formatter(UNIT)


def _decimals(axes: Axes, limit: float) -> None:
    digits = 1 if limit > 0.5 else 2
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: decimal(value, digits)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: decimal(value, 2)))


def _rates(cells: Confusion) -> tuple[float, float]:
    with_outcome = max(1, cells.true_positive + cells.false_negative)
    without = max(1, cells.false_positive + cells.true_negative)
    return cells.false_positive / without, cells.true_positive / with_outcome


def _operating_point(axes: Axes, x: float, y: float, threshold: float) -> None:
    axes.plot([x], [y], marker="o", markersize=7, color=PAPER, markeredgecolor=INK, markeredgewidth=1.4, zorder=5)
    _note(axes, f"threshold {decimal(threshold, 2)}", (x, y), (9, -13))


def _note(axes: Axes, text: str, point: tuple[float, float], offset: tuple[float, float]) -> None:
    axes.annotate(text, point, offset, textcoords="offset points", color=MUTED, fontsize=8, bbox=BEHIND, zorder=4)


def _whisker(axes: Axes, place: float, figure: Estimate | None, colour: str, hollow: bool = False) -> None:
    if figure is None or figure.value is None:
        return
    if figure.low is not None and figure.high is not None:
        axes.plot([figure.low, figure.high], [place, place], color=colour, linewidth=1.6, alpha=0.5 if hollow else 0.8)
    axes.plot([figure.value], [place], marker="o", markersize=6, color=PAPER if hollow else colour,
              markeredgecolor=colour, markeredgewidth=1.3, zorder=4)  # fmt: skip


def _value_label(axes: Axes, place: float, figure: Estimate | Difference | None) -> None:
    if figure is None:
        return
    text = str(figure)
    faint = "not estimable" in text
    text = text.partition(" [")[0] + " (no interval)" if "[" in text and faint else text.partition(":")[0]
    axes.text(1.03, place, text, transform=axes.get_yaxis_transform(), va="center",
              fontsize=8.5, color=MUTED if faint else INK)  # fmt: skip


def _forest(axes: Axes) -> Axes:
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=ROUND_STEPS))
    digits = 1 if places(*axes.get_xlim()) < 3 else 2
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: decimal(value, digits)))
    return axes


def _floor(values: Sequence[float], better: str) -> float:
    """Return where bars start: at chance for metrics near it, else at zero."""
    return 0.5 if better == "higher" and values and min(values) >= 0.49 else 0.0


def _dot_x(column: int, columns: int) -> float:
    return -0.035 - 0.06 * (columns - 1 - column)


def _dots(axes: Axes, place: float, modalities: Sequence[str], members: Sequence[str]) -> None:
    for column, modality in enumerate(modalities):
        axes.plot([_dot_x(column, len(modalities))], [place], marker="o", markersize=6.5, clip_on=False, linewidth=0,
                  color=INK if modality in members else GRID, transform=axes.get_yaxis_transform())  # fmt: skip

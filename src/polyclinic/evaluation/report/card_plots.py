"""Plots of one card, by name: as SVG for a page, as files for a folder."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from polyclinic.evaluation.estimate import Estimate
from polyclinic.evaluation.report import plots
from polyclinic.evaluation.report.card import Card
from polyclinic.evaluation.report.metric_names import term
from polyclinic.evaluation.report.plot_style import canvas, save, styled
from polyclinic.evaluation.report.shown_counts import hidden_classes, hides_outcome
from polyclinic.evaluation.results import Contender
from polyclinic.progress import SILENT, Progress

RIVALS = 3  # drawn with the card's model; more would be hard to distinguish
CLASSES = 7  # with a curve
SIDE = (4.9, 4.1)  # inches, of plots side by side
WIDE = 8.4
ROW = 0.27


def draw_plots(card: Card) -> dict[str, Canvas]:
    """Draw every plot the card has data for: roc, precision-recall, calibration, decision, comparison, groups …

    Those of an outcome or class of which the number is not shown are not drawn.
    """
    drawings = (
        tuple(draw for draw in DRAWINGS if draw not in OF_OUTCOME) if hides_outcome(card.evaluation) else DRAWINGS
    )
    with styled():
        return {name: drawn for draw in drawings for name, drawn in draw(card)}


def save_plots(card: Card, folder: Path, suffix: str = ".png", progress: Progress = SILENT) -> dict[str, Path]:
    """Write the card's plots into `folder`, and return their paths by name."""
    paths, drawn = {}, draw_plots(card)
    with progress.task(f"plots of {card.task}", total=len(drawn)) as advance:
        for name, figure in drawn.items():
            paths[name] = folder / f"{name}{suffix}"
            save(figure, paths[name])
            advance(1)
    return paths


Drawing = Iterator[tuple[str, Canvas]]


def _canvas(width: float, height: float, draw: Callable[[Axes], object]) -> Canvas:
    figure, axes = canvas(width, height)
    draw(axes)
    return figure


def _roc(card: Card) -> Drawing:
    own = card.evaluation.pictures
    hidden = hidden_classes(card.evaluation)
    curves = dict([(name, curve) for name, curve in own.roc.items() if name not in hidden][:CLASSES])
    areas = _by_level(card, "auroc")
    if "" in curves:
        rivals = [rival for rival in _rivals(card) if "" in rival.pictures.roc]
        curves = {card.model: curves[""], **{rival.name: rival.pictures.roc[""] for rival in rivals}}
        areas = _areas(card, rivals, "auroc")
    if curves:
        yield "roc", _canvas(*SIDE, lambda axes: plots.roc(axes, curves, areas, own.confusion))


def _precision_recall(card: Card) -> Drawing:
    own = card.evaluation.pictures.precision_recall
    if "" not in own:
        return
    rivals = [rival for rival in _rivals(card) if "" in rival.pictures.precision_recall]
    curves = {card.model: own[""], **{rival.name: rival.pictures.precision_recall[""] for rival in rivals}}
    prevalence = (card.evaluation.cases or 0) / max(1, card.evaluation.n)
    areas = _areas(card, rivals, "auprc")
    yield "precision-recall", _canvas(*SIDE, lambda axes: plots.precision_recall(axes, curves, prevalence, areas))


def _calibration(card: Card) -> Drawing:
    evaluation = card.evaluation
    hidden = hidden_classes(evaluation)
    drawn = [(key, bins) for key, bins in evaluation.pictures.reliability.items() if bins and key not in hidden]
    for number, (key, bins) in enumerate(drawn):
        figure, axes = canvas(*SIDE)
        if evaluation.kind == "regression":
            plots.agreement(axes, bins)
        else:
            plots.calibration(axes, bins, evaluation.pictures.histogram, None if key else evaluation.figures)
        if evaluation.kind == "multiclass":
            axes.set(xlabel="Probability of the most probable class", ylabel="Share of right answers")
        if key:
            axes.set_title(f"Calibration at {key}" if evaluation.kind == "time_to_event" else f"Calibration: {key}")
        yield "calibration" if len(drawn) == 1 else f"calibration-{number + 1}", figure


def _decision(card: Card) -> Drawing:
    own = card.evaluation.pictures.decision
    if own:
        rivals = {rival.name: rival.pictures.decision for rival in _rivals(card)[:2] if rival.pictures.decision}
        curves = {card.model: own, **rivals}
        yield "decision", _canvas(*SIDE, lambda axes: plots.decision(axes, curves, card.evaluation.threshold))


def _confusion(card: Card) -> Drawing:
    matrix = card.evaluation.pictures.confusion_matrix
    if matrix and not hidden_classes(card.evaluation):
        names = [row.level for row in card.evaluation.classes]
        yield "confusion", _canvas(*SIDE, lambda axes: plots.confusion_matrix(axes, matrix, names))


def _comparison(card: Card) -> Drawing:
    compared = card.comparison
    if compared is None:
        return
    differences = [found.figure for contender in compared.contenders for found in contender.differences.values()]
    if any(_estimable(found) for found in differences if found.name == compared.headline[0]):
        height = 0.65 + 0.3 * len(compared.contenders)
        yield "comparison", _canvas(WIDE, height, lambda axes: plots.comparison(axes, compared).set_title(""))


def _subsets(card: Card) -> Drawing:
    subsets = card.subsets
    if subsets is not None and any(_estimable(c.figures[subsets.headline[0]]) for c in subsets.contenders if c.members):
        height = 1.3 + ROW * len(subsets.contenders)
        yield "subsets", _canvas(WIDE, height, lambda axes: plots.subset_bars(axes, subsets))


def _groups(card: Card) -> Drawing:
    rows, headline = card.evaluation.groups, card.evaluation.headline
    if not headline or not any(_estimable(row.figures.get(headline[0])) for row in rows):
        return
    overall = card.evaluation.figures[headline[0]]
    height = 1.1 + ROW * (len(rows) + 1.4 * len({row.table for row in rows}))
    yield "groups", _canvas(WIDE, height, lambda axes: plots.subgroups(axes, rows, headline[0], overall).set_title(""))


DRAWINGS = (_roc, _precision_recall, _calibration, _decision, _confusion, _comparison, _subsets, _groups)
OF_OUTCOME = (_roc, _precision_recall, _calibration, _decision, _confusion)
"""Drawings from which the number of samples with the outcome could be read."""


def _rivals(card: Card) -> list[Contender]:
    """Return the other models to draw, the best first."""
    if card.comparison is None:
        return []
    name = card.comparison.headline[0]
    sign = -1 if term(name).better == "higher" else 1
    others = [contender for contender in card.comparison.contenders if contender.name != card.model]
    return sorted(others, key=lambda c: sign * (c.figures[name].value or 0))[:RIVALS]


def _areas(card: Card, rivals: list[Contender], name: str) -> Mapping[str, Estimate]:
    return {card.model: card.evaluation.figures[name], **{rival.name: rival.figures[name] for rival in rivals}}


def _by_level(card: Card, name: str) -> Mapping[str, Estimate]:
    return {row.level: row.figures[name] for row in card.evaluation.classes if name in row.figures}


def _estimable(figure: Estimate | None) -> bool:
    return figure is not None and figure.estimable

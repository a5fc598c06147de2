"""Tables of evaluation results, for cards, pages and terminals."""

from collections.abc import Sequence
from itertools import groupby

from polyclinic.evaluation.estimate import P_ADJUSTED, Difference, decimal
from polyclinic.evaluation.report.document import Cell, Table
from polyclinic.evaluation.report.metric_names import term
from polyclinic.evaluation.report.shown_counts import shown_figures, shown_rows
from polyclinic.evaluation.results import Comparison, Contender, Evaluation, Row
from polyclinic.evaluation.small_counts import FEWEST, without_reason

BY_GROUP = (  # metrics of groups and classes: the first set whose first metric is present
    ("auroc", "auprc", "sensitivity", "ppv", "calibration_intercept"),
    ("macro_auroc", "macro_auprc", "accuracy", "log_loss", "macro_brier"),
    ("harrell_c", "uno_c", "integrated_brier"),
    ("mae", "rmse", "bias", "r2"),
    ("set_coverage", "set_coverage_with", "set_coverage_without", "set_undecided"),
)


def figures_table(evaluation: Evaluation) -> Table:
    """List every figure with its interval, n and method."""
    rows = [
        (term(name).label, figure, figure.n, figure.method or "–", term(name).meaning)
        for name, figure in shown_figures(evaluation).items()
    ]
    return Table(("Estimate", "Value [95 %]", "n", "Interval", "Meaning"), tuple(rows), frozenset({0, 3, 4}))


def comparison_table(comparison: Comparison, model: str = "") -> Table:
    """Compare models, one per row: the headline figures, and the paired difference in the first of them.

    The row of `model` is highlighted; p values are adjusted for the number of models.
    """
    first = comparison.headline[0]
    header = ("Model", *(term(name).label for name in comparison.headline))
    header = (*header, f"Difference in {term(first).label}", P_ADJUSTED)
    rows = [_contender(contender, comparison, first) for contender in comparison.contenders]
    strong = frozenset(place for place, c in enumerate(comparison.contenders) if c.name == model)
    return Table(header, tuple(rows), strong=strong)


def _contender(contender: Contender, comparison: Comparison, first: str) -> tuple[Cell, ...]:
    figures = tuple(contender.figures.get(name) for name in comparison.headline)
    if comparison.cases is not None and min(comparison.cases, comparison.n - comparison.cases) < FEWEST:
        figures = tuple(figure and without_reason(figure) for figure in figures)
    if contender.name == comparison.reference:
        return (contender.name, *figures, "reference", "")
    difference = contender.differences[first]
    return (contender.name, *figures, Difference(difference.figure, None), _p(difference))


def _p(difference: Difference) -> str:
    p = difference.p if difference.p_adjusted is None else difference.p_adjusted
    if p is None:
        return "–"
    return "< .001" if p < 0.001 else decimal(p)


def subsets_table(subsets: Comparison) -> Table:
    """Compare each subset of the modalities with the full set."""
    ranked = sorted(subsets.contenders, key=lambda c: -len(c.members))
    table = comparison_table(Comparison(**{**vars(subsets), "contenders": tuple(ranked)}), subsets.reference)
    return Table(("Modalities", *table.header[1:]), table.rows, strong=table.strong)


def sets_table(rows: Sequence[Row]) -> Table:
    """List the coverage of the conformal sets; of a task with labels, without the groups of each."""
    labelled = any(row.table == "label" for row in rows)
    return rows_table([row for row in rows if row.table == "label" or not labelled])


def rows_table(rows: Sequence[Row]) -> Table:
    """List groups or classes, one per row under their variable; those too small to trust are faint, with the reason."""
    shown = _shown(rows)
    counted = any(row.cases is not None for row in rows)
    lines: list[tuple[Cell, ...]] = []
    spans, faint = set(), set()
    several = len({row.table for row in rows}) > 1
    for table, members in groupby(shown_rows(rows), key=lambda own: own.row.table):
        if several:
            spans.add(len(lines))
            lines.append((table.capitalize(),))
        for own in members:
            if own.row.small:
                faint.add(len(lines))
            level = f"{own.row.level} ({own.caution})" if own.row.small else own.row.level
            lines.append((level, *own.texts[: 1 + counted], *(own.figure(name) for name in shown)))
    first = "" if several or not rows else rows[0].table.capitalize()
    header = (first, "n", *(("With outcome",) if counted else ()), *(term(name).label for name in shown))
    return Table(header, tuple(lines), faint=frozenset(faint), spans=frozenset(spans))


def _shown(rows: Sequence[Row]) -> list[str]:
    present = {name for row in rows for name in row.figures}
    for names in BY_GROUP:
        if names[0] in present:
            return [name for name in names if name in present]
    return sorted(present)

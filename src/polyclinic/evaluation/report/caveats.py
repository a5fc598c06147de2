"""Cautions about an evaluation, derived from its figures."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import NormalDist
from typing import NamedTuple

from polyclinic.evaluation.arrays import Z
from polyclinic.evaluation.comparison import holm
from polyclinic.evaluation.estimate import Estimate, decimal, percent
from polyclinic.evaluation.kinds.base import SMALL
from polyclinic.evaluation.prediction_sets import ALPHA
from polyclinic.evaluation.report.metric_names import term
from polyclinic.evaluation.report.shown_counts import hides_outcome, outcome_text, shown_rows
from polyclinic.evaluation.results import Comparison, Contender, Evaluation, Row

ADVISED = 100  # samples with and without the outcome, to validate a model (Collins, Ogundimu & Altman 2016)
WIDE = 0.1
SIGNIFICANT = 0.05
MANY_UNKNOWN = 0.1
CHANCE = {"auroc": 0.5, "macro_auroc": 0.5, "harrell_c": 0.5, "uno_c": 0.5}
CONSTANT = {"scaled_brier": "predicting the prevalence", "r2": "predicting the mean"}


def caveats(
    evaluation: Evaluation,
    comparison: Comparison | None = None,
    subsets: Comparison | None = None,
    model: str = "",
    synthetic: bool = False,
    others: Sequence[str] = (),
) -> tuple[str, ...]:
    """Return what limits the figures, the most serious first; empty if no check found anything.

    `others` are cautions that do not follow from the figures.
    """
    found: list[str] = []
    if synthetic:
        found.append("The subjects are synthetic: performance on patients is unknown.")
    found += others
    found += _numbers(evaluation)
    found += _chance(evaluation)
    found += _width(evaluation)
    found += _calibration(evaluation)
    found += _acting(evaluation)
    if comparison is not None:
        found += _rivals(comparison, model)
    found += _groups(evaluation)
    found += _sets(evaluation)
    if subsets is not None:
        found += _subsets(subsets)
    return tuple(found)


def _numbers(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.n == 0:
        yield "No sample has a known answer: there is nothing to evaluate."
        return
    cases = evaluation.cases
    few = evaluation.subjects if cases is None else cases
    if evaluation.kind == "binary" and cases is not None:
        few = min(cases, evaluation.n - cases)
    if few < ADVISED:
        what = "subjects" if cases is None else "with the outcome" if few == cases else "without the outcome"
        counted = outcome_text(evaluation) if hides_outcome(evaluation) else f"{few} {what}"
        yield f"Small numbers: {counted}; at least {ADVISED} are advised to validate a model."
    total = evaluation.n + evaluation.unobserved
    if evaluation.unobserved > MANY_UNKNOWN * total:
        share = percent(evaluation.unobserved / total)
        yield f"The answer is unknown for {share} of {total:,} samples; these were excluded and may differ."


def _chance(evaluation: Evaluation) -> Iterator[str]:
    for name, chance in CHANCE.items():
        figure = evaluation.figures.get(name)
        lowest = None if figure is None else figure.value if figure.low is None else figure.low
        if lowest is not None and lowest <= chance:
            yield f"Not shown to be better than chance: {term(name).label} {figure}."
            break
    for name, policy in CONSTANT.items():
        figure = evaluation.figures.get(name)
        if figure is not None and figure.low is not None and figure.low <= 0:
            yield f"Not shown to be better than {policy}: {term(name).label} {figure}."


def _width(evaluation: Evaluation) -> Iterator[str]:
    for name in ("auroc", "macro_auroc", "harrell_c"):
        figure = evaluation.figures.get(name)
        if figure is not None and figure.width is not None and figure.width > WIDE:
            yield f"{term(name).label} is imprecise: {figure}."


def _calibration(evaluation: Evaluation) -> Iterator[str]:
    slope, intercept = evaluation.figures.get("calibration_slope"), evaluation.figures.get("calibration_intercept")
    if slope is not None and _apart(slope, 1):
        how = "too extreme: high risks overstated, low ones understated" if _below(slope, 1) else "not extreme enough"
        yield f"The predictions are {how} (calibration slope {slope}): recalibrate before using the numbers."
    if intercept is not None and _apart(intercept, 0):
        how = "overestimated" if _below(intercept, 0) else "underestimated"
        yield f"Overall, the risk is {how} (calibration intercept {intercept})."
    for name, figure in evaluation.figures.items():
        if name.startswith("observed_over_expected") and _apart(figure, 1):
            how = "overestimated" if _below(figure, 1) else "underestimated"
            yield f"Overall, the risk is {how} ({term(name).label} {figure})."


def _acting(evaluation: Evaluation) -> Iterator[str]:
    threshold = evaluation.threshold
    points = evaluation.pictures.decision
    if threshold is None or not points or not 0 < threshold < 1:
        return
    nearest = min(points, key=lambda point: abs(point.threshold - threshold))
    if nearest.low is not None and nearest.low <= max(0.0, nearest.treat_all):
        policy = "treating everyone" if nearest.treat_all > 0 else "treating no one"
        yield f"At the threshold of {decimal(threshold, 2)} the net benefit is not shown to exceed that of {policy}."


def _rivals(comparison: Comparison, model: str) -> Iterator[str]:
    """Compare the model with every other model, whichever is the reference."""
    name = comparison.headline[0]
    for contender in comparison.contenders:
        if model not in (contender.name, comparison.reference) or contender.name == comparison.reference:
            continue
        ours = contender.name == model
        rival = comparison.reference if ours else contender.name
        verdict = _verdict(contender, name, ours)
        if verdict:
            yield f"{verdict} {rival} in {term(name).label} ({_gap(contender, name, comparison.reference)})."


def _verdict(contender: Contender, name: str, ours: bool) -> str:
    """Return the conclusion that the interval and the adjusted p value, which may differ in method, both allow."""
    difference = contender.differences[name]
    figure = difference.figure
    if figure.low is None:
        return ""
    p = difference.p if difference.p_adjusted is None else difference.p_adjusted
    if figure.contains(0) or (p is not None and p >= SIGNIFICANT):
        return "Not shown to be better than"
    sign = (1 if ours else -1) * (-1 if term(name).better == "lower" else 1)
    return "Worse than" if _below(figure, 0) == (sign > 0) else ""


def _gap(contender: Contender, name: str, reference: str) -> str:
    """Describe the difference as the table has it: of the contender from the reference."""
    return f"{contender.name} minus {reference}: {contender.differences[name]}"


class _Suspicion(NamedTuple):
    """A caution about a group, which is given only if it holds after adjustment for the number of groups."""

    text: str
    figure: Estimate
    expected: float


def _groups(evaluation: Evaluation) -> Iterator[str]:
    shown = (*shown_rows(evaluation.classes), *shown_rows(evaluation.groups))
    small = [f"{own.row.table} {own.row.level} ({own.caution})" for own in shown if own.row.small]
    rows = [replace(own.row, figures=own.figures) for own in shown]
    judged = [row for row in rows[len(evaluation.classes) :] if not row.small]
    yield from _adjusted([gap for row in judged for gap in _gaps(row, evaluation)])
    yield from _adjusted([found for row in rows if not row.small for found in _miscalibration(row)])
    if small:
        yield f"Too few to judge: {'; '.join(small)}."


def _adjusted(suspicions: Sequence[_Suspicion]) -> Iterator[str]:
    """Yield the cautions of figures that differ from what is expected, after Holm's adjustment."""
    p_values = holm([_p_value(one.figure, one.expected) for one in suspicions])
    number = sum(p is not None for p in p_values)
    for suspicion, p in zip(suspicions, p_values, strict=True):
        if p is not None and p < SIGNIFICANT:
            yield f"{suspicion.text}{_adjustment(number)}."


def _adjustment(number: int) -> str:
    return f" (adjusted for {number} comparisons)" if number > 1 else ""


def _p_value(figure: Estimate, expected: float) -> float | None:
    """Return the two-sided p value that corresponds to the figure's interval, by its end nearer to what is expected."""
    if figure.value is None or figure.low is None or figure.high is None:
        return None
    reach = figure.value - figure.low if expected < figure.value else figure.high - figure.value
    distance = abs(figure.value - expected)
    if reach <= 0:
        return 0.0 if distance else 1.0
    return 2 * NormalDist().cdf(-Z * distance / reach)


def _miscalibration(row: Row) -> Iterator[_Suspicion]:
    intercept = row.figures.get("calibration_intercept")
    if intercept is not None and intercept.value is not None:
        how = "overestimated" if intercept.value < 0 else "underestimated"
        text = f"The risk is {how} in {row.table} {row.level} (calibration intercept {intercept})"
        yield _Suspicion(text, intercept, 0.0)


def _gaps(row: Row, evaluation: Evaluation) -> Iterator[_Suspicion]:
    for name in ("auroc", "macro_auroc", "harrell_c", "sensitivity"):
        theirs, everyone = row.figures.get(name), evaluation.figures.get(name)
        if theirs is None or everyone is None or everyone.value is None or theirs.value is None:
            continue
        both = f"{theirs}, against {everyone} in everyone"
        expected = max(everyone.value, theirs.value)  # only lower figures are suspicious
        yield _Suspicion(f"{term(name).label} is lower in {row.table} {row.level}: {both}", theirs, expected)


def _sets(evaluation: Evaluation) -> Iterator[str]:
    """Name the classes and groups whose conformal sets hold the truth less often than stated."""
    of_groups: list[_Suspicion] = []
    for row in (replace(own.row, figures=own.figures) for own in shown_rows(evaluation.sets)):
        for name in ("set_coverage", "set_coverage_with", "set_coverage_without"):
            figure = row.figures.get(name)
            if row.small or figure is None or figure.value is None or figure.n < SMALL:
                continue
            those = {"set_coverage_with": " with the outcome", "set_coverage_without": " without the outcome"}
            where = "everyone" if row.table == "everyone" else f"{row.table} {row.level}"
            text = (
                f"Conformal sets hold the truth in only {figure} of {where}{those.get(name, '')}, instead of "
                f"{percent(1 - ALPHA)}"
            )
            if row.table not in ("everyone", "class", "label"):
                of_groups.append(_Suspicion(text, figure, max(1 - ALPHA, figure.value)))
            elif _below(figure, 1 - ALPHA):
                yield f"{text}."
    yield from _adjusted(of_groups)


def _subsets(subsets: Comparison) -> Iterator[str]:
    name = subsets.headline[0]
    chance = CHANCE.get(name)
    for contender in subsets.contenders:
        if contender.name == subsets.reference:
            continue  # all inputs: covered by `_chance`
        figure = contender.figures[name]
        if chance is not None and contender.members and figure.low is not None and figure.low <= chance:
            yield f"With {contender.name} alone, not shown to be better than chance ({term(name).label} {figure})."
        difference = contender.differences.get(name)
        better = term(name).better == "higher"
        if difference is not None and difference.figure.low is not None and difference.figure.high is not None:
            gained = difference.figure.low > 0 if better else difference.figure.high < 0
            gain = f"{term(name).label} {difference}"
            if gained:
                yield f"Better with {contender.name} alone than with all inputs ({gain})."


def _apart(figure: Estimate, value: float) -> bool:
    return figure.low is not None and not figure.contains(value)


def _below(figure: Estimate, value: float) -> bool:
    return figure.high is not None and figure.high < value

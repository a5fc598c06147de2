"""Explanation of a classical model: exact Shapley values of its columns, and the rules of a tree.

For trees, forests and boosting: path-dependent Shapley values, which need no background data: absent columns take the
distribution of the training samples at the node. For a linear model with columns centred at their training means,
coefficient × value is the Shapley value (for independent columns).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from polyclinic.explain.attribution import Frozen
from polyclinic.explain.sample import ExplanationError, Output, Sample, output_of
from polyclinic.explain.shapley.path_dependent import path_dependent_shapley
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.classical.fitted import Boosting, Constant, Estimator, Forest, Linear
from polyclinic.models.ensemble.members import Member

Scale = Literal["probability", "log-odds", "estimate"]
TREE = "decision_tree"


@dataclass(frozen=True, eq=False)
class MemberAttribution(Frozen):
    """Attribution of one output of one classical member: `base` + the sum of the scores = `value`."""

    output: Output
    member: str  # such as `random_forest`, or `logistic_regression:note` of one modality
    scale: Scale  # of base, scores and value
    names: tuple[str, ...]  # of the columns of its matrix
    values: Float[np.ndarray, " column"]  # as input to the member; NaN: unknown
    scores: Float[np.ndarray, " column"]
    base: float  # expected value over the training samples
    value: float

    @property
    def residual(self) -> float:
        """Base + Σ scores − value: the rounding error."""
        return self.base + float(self.scores.sum()) - self.value

    @property
    def weightiest(self) -> tuple[MemberColumn, ...]:
        """The columns that have a score, the largest in size first."""
        order = np.argsort(-np.abs(self.scores), kind="stable")
        rows = [MemberColumn(self.names[k], float(self.values[k]), float(self.scores[k])) for k in order]
        return tuple(row for row in rows if row.score)


class MemberColumn(NamedTuple):
    """A column of the matrix, its value and its score."""

    name: str
    value: float
    score: float


class Rule(NamedTuple):
    """One split of a tree, and the branch of the sample."""

    name: str
    threshold: float
    above: bool
    value: float  # NaN: unknown; follows the tree's branch for missing values

    def __str__(self) -> str:
        sign = ">" if self.above else "≤"
        known = "unknown, taken as" if np.isnan(self.value) else f"{self.value:.4g}"
        return f"{self.name}: {known} {sign} {self.threshold:.4g}"


@dataclass(frozen=True)
class RulePath:
    """The path of one sample through a decision tree."""

    output: Output
    rules: tuple[Rule, ...]  # from the root
    value: float  # of the leaf: a probability, or an estimate
    samples: int  # training samples in the leaf

    def __str__(self) -> str:
        return "\n".join([*map(str, self.rules), f"→ {self.value:.3g} ({self.samples} training samples)"])


def explain_member(
    bundle: Bundle, sample: Sample, task: str, member: str, output: str | None = None
) -> MemberAttribution:
    """Attribute the prediction of one classical member to its columns.

    Raises:
        BundleError: the bundle does not answer the task.
        ExplanationError: there is no such member or output, or the sample has none of the member's inputs.
    """
    target = output_of(bundle, task, output)
    fitted = _member(bundle.ensemble.tasks[task].members, sample, task, member)
    x, columns = _row(fitted, sample), fitted.model.columns
    estimator, place = _estimator(fitted, target)
    values = x[0].astype(np.float64)
    if isinstance(estimator, Constant) or place is None:
        value = float(fitted.model.predict_proba(x)[0, target.place])
        constant: Scale = "estimate" if fitted.model.config.kind == "regression" else "probability"
        return MemberAttribution(target, member, constant, columns, values, np.zeros(len(columns)), value, value)
    prepared = fitted.model.prepared(x)
    scale, scores, base, value = (
        _forest(estimator, prepared, place) if isinstance(estimator, Forest) else _additive(estimator, prepared, place)
    )
    return MemberAttribution(target, member, scale, columns, values, scores, base, value)


def rule_path(bundle: Bundle, sample: Sample, task: str, output: str | None = None, member: str = TREE) -> RulePath:
    """Follow a sample through a decision tree; raises as `explain_member`, and if the member is not a tree."""
    target = output_of(bundle, task, output)
    fitted = _member(bundle.ensemble.tasks[task].members, sample, task, member)
    if fitted.model.config.name != TREE:
        raise ExplanationError(f"{member} has no rules to follow: choose a {TREE}")
    estimator, place = _estimator(fitted, target)
    x = _row(fitted, sample)
    answer = float(fitted.model.predict_proba(x)[0, target.place])
    if place is None or not isinstance(estimator, Forest):
        return RulePath(target, (), answer, 0)
    trees, rules = estimator.trees, []
    node, goes_left = int(trees.roots[0]), trees.goes_left(estimator.compared(x)[0])
    while not trees.is_leaf[node]:
        column, left = int(trees.column[node]), bool(goes_left[node])
        rules.append(Rule(fitted.model.columns[column], float(trees.threshold[node]), not left, float(x[0, column])))
        node = int(trees.children[node, int(left)])
    return RulePath(target, tuple(rules), answer, int(trees.samples[node]))


class _Explained(NamedTuple):
    scale: Scale
    scores: Float[np.ndarray, " column"]
    base: float
    value: float


def _forest(estimator: Forest, x: np.ndarray, place: int) -> _Explained:
    trees = estimator.trees
    found = path_dependent_shapley(trees, estimator.compared(x)[0])
    scores, base = found.columns[:, place] / len(trees.roots), found.expected[place] / len(trees.roots)
    scale: Scale = "estimate" if estimator.classes is None else "probability"
    return _Explained(scale, scores, float(base), float(estimator(x)[0, place]))


def _additive(estimator: Linear | Boosting, x: np.ndarray, place: int) -> _Explained:
    """Explain on the scale on which columns or trees are summed."""
    if isinstance(estimator, Linear):
        parts, base = (estimator.weights * x[0]).T, estimator.shift
    else:
        found = path_dependent_shapley(estimator.trees, x[0], len(estimator.baseline))
        parts, base = found.columns, found.expected + estimator.baseline
    scores, sign = estimator.scores(x)[0], 1.0
    if estimator.classes is not None and len(scores) == 1:
        place, sign = 0, (1.0 if place == 1 else -1.0)
    scale: Scale = "estimate" if estimator.classes is None else "log-odds"
    return _Explained(scale, sign * parts[:, place], sign * float(base[place]), sign * float(scores[place]))


def _estimator(member: Member, output: Output) -> tuple[Estimator, int | None]:
    """Return the estimator of an output and the index of its class; None if the class was absent in training."""
    model = member.model
    place = 0 if model.config.kind == "multiclass" else output.place
    estimator = model.estimators[place]
    if estimator.classes is None:
        return estimator, 0
    wanted = output.place if model.config.kind == "multiclass" else 1
    places = np.flatnonzero(estimator.classes == wanted)
    return estimator, int(places[0]) if len(places) else None


def _member(members: Mapping[str, Member], sample: Sample, task: str, name: str) -> Member:
    if name not in members:
        choices = ", ".join(members) or "none: the study had no classical models"
        raise ExplanationError(f"{task} has no classical member {name!r}: choose from {choices}")
    member = members[name]
    if not bool(member.design.able(sample.arrays)[0]):
        raise ExplanationError(f"{name} cannot answer: nothing is known of {', '.join(member.design.modalities)}")
    return member


def _row(member: Member, sample: Sample) -> Float[np.ndarray, "1 column"]:
    return member.design.matrix(sample.arrays)

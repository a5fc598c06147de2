"""Explanation of a classical model: exact Shapley values of its columns, and the rules of a tree.

For trees, forests and boosting: path-dependent TreeSHAP (Lundberg 2020, doi 10.1038/s42256-019-0138-9) by the library
`shap`, which needs no background data: absent columns take the distribution of the training samples at the node. For a
linear model with columns centred at their training means, coefficient × value is the Shapley value (for independent
columns).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from polyclinic.explain.attribution import Frozen
from polyclinic.explain.sample import ExplanationError, Output, Sample, output_of
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.classical.estimators import FAMILIES
from polyclinic.models.ensemble.members import Member

Scale = Literal["probability", "log-odds", "estimate"]
TREE = "decision_tree"
LEAF = -1


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
    def weightiest(self) -> tuple[ColumnScore, ...]:
        """The columns that have a score, the largest in size first."""
        order = np.argsort(-np.abs(self.scores), kind="stable")
        rows = [ColumnScore(self.names[k], float(self.values[k]), float(self.scores[k])) for k in order]
        return tuple(row for row in rows if row.score)


class ColumnScore(NamedTuple):
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
    if place is None:
        value = float(fitted.model.predict_proba(x)[0, target.place])
        constant: Scale = "estimate" if fitted.model.config.kind == "regression" else "probability"
        return MemberAttribution(target, member, constant, columns, values, np.zeros(len(columns)), value, value)
    explain = _linear if FAMILIES[fitted.model.config.name].linear else _trees
    scale, scores, base, value = explain(estimator, fitted.model.prepared(x), place)
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
    if place is None or not hasattr(estimator, "tree_"):
        return RulePath(target, (), answer, 0)
    tree, node, rules = estimator.tree_, 0, []
    while tree.children_left[node] != LEAF:
        column, threshold = int(tree.feature[node]), float(tree.threshold[node])
        value = float(x[0, column])
        left = bool(tree.missing_go_to_left[node]) if np.isnan(value) else np.float32(value) <= threshold
        rules.append(Rule(fitted.model.columns[column], threshold, not left, value))
        node = tree.children_left[node] if left else tree.children_right[node]
    return RulePath(target, tuple(rules), answer, int(tree.n_node_samples[node]))


class _Explained(NamedTuple):
    scale: Scale
    scores: Float[np.ndarray, " column"]
    base: float
    value: float


def _linear(estimator: Any, x: np.ndarray, place: int) -> _Explained:
    weights, shift = np.atleast_2d(estimator.coef_), np.atleast_1d(estimator.intercept_)
    sign = 1.0
    if hasattr(estimator, "classes_") and len(weights) == 1:
        place, sign = 0, (1.0 if place == 1 else -1.0)
    scores = sign * weights[place] * x[0]
    base = sign * float(shift[place])
    scale: Scale = "log-odds" if hasattr(estimator, "classes_") else "estimate"
    return _Explained(scale, scores, base, base + float(scores.sum()))


def _trees(estimator: Any, x: np.ndarray, place: int) -> _Explained:
    import shap  # two seconds to import

    explainer = shap.TreeExplainer(estimator, feature_perturbation="tree_path_dependent")
    scores = np.asarray(explainer.shap_values(x.astype(np.float64), check_additivity=False), dtype=np.float64)[0]
    base = np.atleast_1d(np.asarray(explainer.expected_value, dtype=np.float64))
    if not hasattr(estimator, "classes_"):
        return _Explained("estimate", scores, float(base[0]), float(estimator.predict(x)[0]))
    if scores.ndim == 2:
        scores, base = scores[:, place], base[place : place + 1]
    elif place == 0:
        scores, base = -scores, -base
    if not hasattr(estimator, "decision_function"):
        return _Explained("probability", scores, float(base[0]), float(estimator.predict_proba(x)[0, place]))
    margin = np.atleast_1d(estimator.decision_function(x)[0])
    value = float(margin[place]) if len(margin) > 1 else float(margin[0]) * (1 if place else -1)
    return _Explained("log-odds", scores, float(base[0]), value)


def _estimator(member: Member, output: Output) -> tuple[Any, int | None]:
    """Return the estimator of an output and the index of its class; None if it predicts a constant."""
    model = member.model
    if model.config.kind == "multiclass":
        (estimator,) = model.estimators
        places = np.flatnonzero(estimator.classes_ == output.place)
    else:
        estimator = model.estimators[output.place]
        places = np.flatnonzero(estimator.classes_ == 1) if hasattr(estimator, "classes_") else np.zeros(1, int)
    fitted = len(places) and type(estimator).__name__ != "DummyClassifier"
    return estimator, int(places[0]) if fitted else None


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

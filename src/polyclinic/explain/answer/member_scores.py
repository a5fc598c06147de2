"""A classical member between a baseline and a sample: its scores, and the part of each column in their change.

Scores are those of `link_functions`, for several classes up to a constant. A linear model and boosting are sums over
columns and trees on that scale. The mean of a forest's trees is one of probabilities: the parts of the columns in the
change of the probability are scaled to the change of the score, which is monotone in it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from polyclinic.explain.shapley.two_rows import shapley_between
from polyclinic.models.classical.fitted import Boosting, Constant, Estimator, Linear
from polyclinic.models.classical.model import ClassicalModel
from polyclinic.models.ensemble.link_functions import LINKS, MIN_PROBABILITY

NO_CHANGE = 1e-9


class MemberScores(NamedTuple):
    """The scores of the baseline and of the sample; their change is the sum of the parts."""

    start: Float[np.ndarray, " output"]
    end: Float[np.ndarray, " output"]
    parts: Float[np.ndarray, "column output"]


def member_scores(
    model: ClassicalModel, row: Float[np.ndarray, " column"], baseline: Float[np.ndarray, " column"]
) -> MemberScores:
    """Explain a model's change of scores from the baseline to the row."""
    rows = np.stack([row, baseline])
    answers = model.predict_proba(rows)
    last, first = LINKS[model.config.kind].scores(answers)
    prepared = model.prepared(rows)
    parts, additive = np.zeros((len(row), model.config.outputs)), np.zeros(model.config.outputs, dtype=bool)
    for place, estimator in enumerate(model.estimators):
        of_classes, summed = _parts(estimator, prepared)
        columns, places = _outputs(model, estimator, place, of_classes)
        parts[:, places], additive[places] = columns, summed
    change = parts.sum(axis=0)
    if model.config.kind == "multiclass" and additive.any():
        return MemberScores(first, first + change, parts)  # equal up to the normalisation of the classes
    slope = np.where(additive, 1.0, _slope(model.config.kind, answers[0]))
    return MemberScores(first, last, parts * chord(change, last - first, slope))


def chord(change: np.ndarray, wanted: np.ndarray, slope: np.ndarray) -> Float[np.ndarray, " output"]:
    """Return the factor from one change to another that is a monotone function of it; `slope` where nothing changes."""
    moved = np.abs(change) > NO_CHANGE
    factor: np.ndarray = np.where(moved, wanted / np.where(moved, change, 1.0), slope)
    return factor


def _slope(kind: str, answers: Float[np.ndarray, " output"]) -> Float[np.ndarray, " output"]:
    """Return the derivative of the scores by the answers."""
    if kind == "regression":
        return np.ones_like(answers)
    bounded = np.clip(answers, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    slope: np.ndarray = 1 / bounded if kind == "multiclass" else 1 / (bounded * (1 - bounded))
    return slope


def _parts(estimator: Estimator, rows: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the part of each column in each class, label or estimate, and whether they are of log-odds or logs."""
    if isinstance(estimator, Constant):
        return np.zeros((rows.shape[1], 1)), False
    if isinstance(estimator, Linear):
        return (estimator.weights * (rows[0] - rows[1])).T, True
    compared = estimator.compared(rows)
    if isinstance(estimator, Boosting):
        return shapley_between(estimator.trees, compared[0], compared[1], len(estimator.baseline)), True
    return shapley_between(estimator.trees, compared[0], compared[1]) / len(estimator.trees.roots), False


def _outputs(model: ClassicalModel, estimator: Estimator, place: int, found: np.ndarray) -> tuple[np.ndarray, Any]:
    """Return the parts of the outputs that an estimator predicts, and their places."""
    classes = estimator.classes
    if model.config.kind == "multiclass":
        assert classes is not None
        if found.shape[1] == len(classes):
            return found, classes
        return (found, classes[1:]) if len(classes) == 2 else (np.zeros((len(found), len(classes))), classes)
    if classes is None or found.shape[1] == 1:
        return found, [place]
    return found[:, classes == 1], [place]

"""Prediction by fitted estimators, in the shape of the task, and fast for a single patient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit, softmax

from polyclinic.models.classical.config import ClassicalConfig
from polyclinic.models.classical.estimators import Estimator
from polyclinic.models.classical.flat_trees import FlatTrees, read_trees

Predictor = Callable[[np.ndarray], np.ndarray]
MAX_CELLS = 1 << 22
"""Maximum number of samples times trees evaluated at once."""


@dataclass(frozen=True)
class TreePredictor:
    """Prediction of a tree, forest or boosting, equal to scikit-learn's `predict_proba` (`predict`) up to rounding."""

    trees: FlatTrees
    baseline: Float[np.ndarray, " score"] | None  # of boosting; None: average the trees
    classes: Int[np.ndarray, " class"] | None  # None: regression

    def __call__(self, x: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, "sample output"]:
        """Return class probabilities, or estimates."""
        step = max(1, MAX_CELLS // len(self.trees.roots))
        parts = [x[start : start + step] for start in range(0, len(x), step)]
        if self.baseline is None:
            return np.concatenate([self._mean(part) for part in parts])
        return np.concatenate([self._boosted(part, self.baseline) for part in parts])

    def _mean(self, x: np.ndarray) -> np.ndarray:
        # Trees were fitted in, and so compare, single precision.
        outputs = self.trees.values(x.astype(np.float32))
        mean: np.ndarray = np.ascontiguousarray(outputs.transpose(0, 2, 1)).mean(axis=2)
        return mean

    def _boosted(self, x: np.ndarray, baseline: np.ndarray) -> np.ndarray:
        outputs = self.trees.values(x).reshape(len(x), -1, len(baseline))
        scores: np.ndarray = np.ascontiguousarray(outputs.transpose(0, 2, 1)).sum(axis=2) + baseline
        if self.classes is None:
            return scores
        if len(baseline) > 1:
            return np.asarray(softmax(scores, axis=1))
        return np.hstack([expit(-scores), expit(scores)])


def predictor(estimator: Estimator, columns: int) -> Predictor:
    """Return the function from a matrix to class probabilities, or to estimates.

    Raises:
        InvalidTreeError: a tree has invalid nodes.
    """
    trees = read_trees(estimator, columns)
    if trees is not None:
        baseline = getattr(estimator, "_baseline_prediction", None)
        start = None if baseline is None else np.ravel(baseline).astype(np.float64)
        return TreePredictor(trees, start, getattr(estimator, "classes_", None))
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba  # type: ignore[no-any-return]
    return lambda x: estimator.predict(x)[:, None]


def predict_task(
    config: ClassicalConfig, estimators: Sequence[Estimator], predictors: Sequence[Predictor], x: np.ndarray
) -> Float[np.ndarray, "sample output"]:
    """Assemble the task's columns from those of the estimators; a class absent in training has probability 0."""
    predicted = [predict(x) for predict in predictors]
    if config.kind == "regression":
        return np.concatenate(predicted, axis=1)
    if config.kind == "multiclass":
        result = np.zeros((len(x), config.outputs))
        result[:, estimators[0].classes_] = predicted[0]
        return result
    positive = [p @ (estimator.classes_ == 1) for estimator, p in zip(estimators, predicted, strict=True)]
    return np.stack(positive, axis=1).astype(np.float64)

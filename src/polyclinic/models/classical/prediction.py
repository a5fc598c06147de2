"""How fitted estimators answer: in the shape of the task, and fast for a single patient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit, softmax

from polyclinic.models.classical.config import ClassicalConfig
from polyclinic.models.classical.estimators import Estimator
from polyclinic.models.classical.flat_trees import FlatTrees, read_trees

Answer = Callable[[np.ndarray], np.ndarray]
CELLS = 1 << 22
"""Of samples times trees that are walked at a time."""


@dataclass(frozen=True)
class TreeAnswer:
    """What a tree, a forest or boosting says: scikit-learn's own `predict_proba` (`predict`) up to rounding."""

    trees: FlatTrees
    baseline: Float[np.ndarray, " score"] | None  # of boosting, before any tree; None: the trees are averaged
    classes: Int[np.ndarray, " class"] | None  # None: numbers

    def __call__(self, x: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, "sample output"]:
        """Give the probability of each class, or the number."""
        step = max(1, CELLS // len(self.trees.roots))
        parts = [x[start : start + step] for start in range(0, len(x), step)]
        if self.baseline is None:
            return np.concatenate([self._mean(part) for part in parts])
        return np.concatenate([self._boosted(part, self.baseline) for part in parts])

    def _mean(self, x: np.ndarray) -> np.ndarray:
        # Trees were fitted to, and so compare, numbers of single precision.
        said = self.trees.values(x.astype(np.float32))
        mean: np.ndarray = np.ascontiguousarray(said.transpose(0, 2, 1)).mean(axis=2)
        return mean

    def _boosted(self, x: np.ndarray, baseline: np.ndarray) -> np.ndarray:
        said = self.trees.values(x).reshape(len(x), -1, len(baseline))
        scores: np.ndarray = np.ascontiguousarray(said.transpose(0, 2, 1)).sum(axis=2) + baseline
        if self.classes is None:
            return scores
        if len(baseline) > 1:
            return np.asarray(softmax(scores, axis=1))
        return np.hstack([expit(-scores), expit(scores)])


def answerer(estimator: Estimator, columns: int) -> Answer:
    """Give the function from a matrix to classes' probabilities, or to numbers.

    Raises UnsoundTreeError for a tree that leads out of itself.
    """
    trees = read_trees(estimator, columns)
    if trees is not None:
        baseline = getattr(estimator, "_baseline_prediction", None)
        start = None if baseline is None else np.ravel(baseline).astype(np.float64)
        return TreeAnswer(trees, start, getattr(estimator, "classes_", None))
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba  # type: ignore[no-any-return]
    return lambda x: estimator.predict(x)[:, None]


def task_answers(
    config: ClassicalConfig, estimators: Sequence[Estimator], answers: Sequence[Answer], x: np.ndarray
) -> Float[np.ndarray, "sample output"]:
    """Put the answers of the estimators into the task's columns; a class that was never seen has probability 0."""
    given = [answer(x) for answer in answers]
    if config.kind == "regression":
        return np.concatenate(given, axis=1)
    if config.kind == "multiclass":
        result = np.zeros((len(x), config.outputs))
        result[:, estimators[0].classes_] = given[0]
        return result
    positive = [chances @ (one.classes_ == 1) for one, chances in zip(estimators, given, strict=True)]
    return np.stack(positive, axis=1).astype(np.float64)

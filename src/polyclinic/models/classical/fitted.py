"""Fitted estimators as arrays, which predict without scikit-learn, and equal its predictions to the bit.

The order of all sums and the layout of all arrays are therefore those of scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit

from polyclinic.models.classical.flat_trees import FlatTrees

Classes = Int[np.ndarray, " class"]
MAX_CELLS = 1 << 22
"""Maximum number of samples times trees evaluated at once."""


class InvalidArraysError(ValueError):
    """The arrays of an estimator do not fit together, or not to the matrix."""


@dataclass(frozen=True, eq=False)
class Constant:
    """The same probabilities for every sample."""

    classes: Classes
    shares: Float[np.ndarray, " class"]

    def __call__(self, x: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, "sample class"]:
        """Return the class probabilities."""
        return np.tile(self.shares, (len(x), 1))

    def check(self, columns: int) -> None:  # noqa: ARG002
        """Raise InvalidArraysError if the arrays do not fit together."""
        _require(self.shares.shape == self.classes.shape)


@dataclass(frozen=True, eq=False)
class Linear:
    """Logistic regression, or a linear regression without classes."""

    weights: Float[np.ndarray, "score column"]
    shift: Float[np.ndarray, " score"]
    classes: Classes | None = None

    def __post_init__(self) -> None:
        # The memory layout of scikit-learn, fitted or read: BLAS rounds differently for another.
        object.__setattr__(self, "weights", np.asfortranarray(self.weights))

    def scores(self, x: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, "sample score"]:
        """Return the log-odds of the second of two classes, the logs of several up to a constant, or the estimate."""
        if self.classes is None:
            estimates: np.ndarray = x @ self.weights[0] + self.shift[0]
            return estimates[:, None]
        scores: np.ndarray = x @ self.weights.T + self.shift
        return scores

    def __call__(self, x: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, "sample output"]:
        """Return class probabilities, or estimates."""
        return _outputs(self.scores(x), self.classes)

    def check(self, columns: int) -> None:
        """Raise InvalidArraysError if the arrays do not fit together, or not to the matrix."""
        scores = _score_count(self.classes)
        _require(self.weights.shape == (scores, columns) and self.shift.shape == (scores,))


@dataclass(frozen=True, eq=False)
class Forest:
    """The mean of trees, or a single tree."""

    trees: FlatTrees
    classes: Classes | None = None

    def __call__(self, x: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, "sample output"]:
        """Return class probabilities, or estimates."""
        return _in_parts(self._mean, x, self.trees)

    def compared(self, x: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, "sample column"]:
        """Return the numbers that the trees compare: they were fitted in single precision."""
        return x.astype(np.float32)

    def check(self, columns: int) -> None:
        """Raise a ValueError if the arrays do not fit together, or not to the matrix."""
        self.trees.check(columns, 1 if self.classes is None else len(self.classes))

    def _mean(self, x: np.ndarray) -> np.ndarray:
        return _sum(self.trees.values(self.compared(x))) / len(self.trees.roots)


@dataclass(frozen=True, eq=False)
class Boosting:
    """The sum of trees, which belong to the scores in turn."""

    trees: FlatTrees
    baseline: Float[np.ndarray, " score"]
    classes: Classes | None = None

    def scores(self, x: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, "sample score"]:
        """Return the log-odds of the second of two classes, the logs of several up to a constant, or the estimate."""
        return _in_parts(self._scores, x, self.trees)

    def __call__(self, x: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, "sample output"]:
        """Return class probabilities, or estimates."""
        return _outputs(np.asfortranarray(self.scores(x)), self.classes)

    def compared(self, x: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, "sample column"]:
        """Return the numbers that the trees compare."""
        return x

    def check(self, columns: int) -> None:
        """Raise a ValueError if the arrays do not fit together, or not to the matrix."""
        scores = _score_count(self.classes)
        _require(self.baseline.shape == (scores,) and len(self.trees.roots) % scores == 0)
        self.trees.check(columns, 1)

    def _scores(self, x: np.ndarray) -> np.ndarray:
        by_round = self.trees.values(x).reshape(len(x), -1, len(self.baseline))
        start = np.broadcast_to(self.baseline, (len(x), 1, len(self.baseline)))
        return _sum(np.concatenate([start, by_round], axis=1))


Estimator = Constant | Linear | Forest | Boosting
ESTIMATORS: Mapping[str, type[Estimator]] = {
    "constant": Constant,
    "linear": Linear,
    "forest": Forest,
    "boosting": Boosting,
}
"""By the name in a file."""


def _in_parts(
    predict: Callable[[np.ndarray], np.ndarray], x: Float[np.ndarray, "sample column"], trees: FlatTrees
) -> Float[np.ndarray, "sample output"]:
    step = max(1, MAX_CELLS // len(trees.roots))
    return np.concatenate([predict(x[start : start + step]) for start in range(0, max(len(x), 1), step)])


def _sum(terms: Float[np.ndarray, "sample term output"]) -> Float[np.ndarray, "sample output"]:
    """Add the terms one after the other; `np.sum` adds them in pairs."""
    total: np.ndarray = np.add.accumulate(terms, axis=1)[:, -1]
    return total


def _outputs(scores: Float[np.ndarray, "sample score"], classes: Classes | None) -> Float[np.ndarray, "sample output"]:
    if classes is None:
        return scores
    if scores.shape[1] == 1:
        positive = expit(scores[:, 0])
        return np.stack([1 - positive, positive], axis=1)
    unnormalised = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities: np.ndarray = unnormalised / unnormalised.sum(axis=1, keepdims=True)
    return probabilities


def _score_count(classes: Classes | None) -> int:
    return 1 if classes is None or len(classes) == 2 else len(classes)


def _require(valid: bool) -> None:
    if not valid:
        raise InvalidArraysError("the arrays of an estimator do not fit together")

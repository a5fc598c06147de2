"""Means over classes or labels, each counted alike, of those that can be estimated at all."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from polyclinic.evaluation.arrays import Array
from polyclinic.evaluation.estimate import Estimate
from polyclinic.evaluation.kinds.base import Metric

OneClass = Callable[[Array, Array, Array], Array]  # (y, p, weights) of one class → one value per row of weights
Choose = Callable[[Array, Array, int], tuple[Array, Array, Array]]  # (y, p, class) → its rows, truths and scores
Fits = Callable[[Array], str]  # the obstacle of one class's truths


def macro(name: str, statistic: OneClass, choose: Choose, obstacle: Fits, classes: Sequence[str]) -> Metric:
    """Average `statistic` over the classes without an `obstacle` in the whole sample.

    A resample that lacks one of them gives NaN, so that all resamples average the same classes.
    """

    def usable(y: Array, p: Array) -> list[int]:
        return [number for number in range(len(classes)) if not obstacle(choose(y, p, number)[1])]

    def mean(y: Array, p: Array, weights: Array) -> Array:
        values = []
        for number in usable(y, p):
            rows, truth, scores = choose(y, p, number)
            values.append(statistic(truth, scores, weights[..., rows]))
        return np.asarray(np.mean(values, axis=0))

    def why_not(y: Array, p: Array) -> str:
        if not len(y):
            return "no samples"
        return "" if usable(y, p) else f"none of the {len(classes)} classes can be estimated"

    return Metric(name, mean, why_not)


def say_how_many(figure: Estimate, used: int, of: int) -> Estimate:
    """Note in a macro figure's method how many classes it averages, where that is not all of them."""
    if used == of or not figure.estimable:
        return figure
    return replace(figure, method=f"{figure.method}; mean of {used} of {of} classes, the others having too few samples")

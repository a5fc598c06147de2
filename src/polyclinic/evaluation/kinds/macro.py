"""Macro averages: unweighted means over the classes or labels that can be estimated."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from polyclinic.evaluation.arrays import Array
from polyclinic.evaluation.estimate import Estimate
from polyclinic.evaluation.kinds.base import Metric

OneClass = Callable[[Array, Array, Array], Array]  # (y, p, weights) of one class → one value per row of weights
Choose = Callable[[Array, Array, int], tuple[Array, Array, Array]]  # (y, p, class) → its rows, truths and scores
ClassObstacle = Callable[[Array], str]  # truths of one class → why it cannot be estimated, or ""


def macro(name: str, statistic: OneClass, choose: Choose, obstacle: ClassObstacle, classes: Sequence[str]) -> Metric:
    """Build the metric that averages `statistic` over the classes without an `obstacle` in all samples.

    A resample that lacks one of these classes gives NaN, so that all resamples average the same classes.
    """

    def usable(y: Array, p: Array) -> list[int]:
        return [number for number in range(len(classes)) if not obstacle(choose(y, p, number)[1])]

    def mean(y: Array, p: Array, weights: Array) -> Array:
        values = []
        for number in usable(y, p):
            rows, truth, scores = choose(y, p, number)
            values.append(statistic(truth, scores, weights[..., rows]))
        return np.asarray(np.mean(values, axis=0))

    def reason(y: Array, p: Array) -> str:
        if not len(y):
            return "no samples"
        return "" if usable(y, p) else f"none of the {len(classes)} classes can be estimated"

    return Metric(name, mean, reason)


def with_class_count(figure: Estimate, used: int, of: int) -> Estimate:
    """Add to a macro figure's method how many classes it averages, where that is not all of them."""
    if used == of or not figure.estimable:
        return figure
    return replace(figure, method=f"{figure.method}; mean of {used} of {of} classes, the others having too few samples")

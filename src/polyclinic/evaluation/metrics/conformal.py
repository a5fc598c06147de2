"""Split conformal prediction: sets of answers that contain the truth for a stated share of new subjects.

A score measures how badly an answer fits the truth. Among n subjects not used in training, q̂ is the
⌈(n + 1)(1 − α)⌉-th smallest score; the set of a new subject contains every answer with a score of at most q̂. If the new
subject is exchangeable with those n, the set contains the truth with probability at least 1 − α; given the n, the
coverage is distributed as Beta(n + 1 − l, l) with l = ⌊(n + 1) α⌋ (Vovk 2012; Angelopoulos & Bates 2023, arXiv
2107.07511), exactly so without ties.

Sets of classes are class-conditional (Mondrian; Vovk, Gammerman & Shafer 2005, section 4.5): each class has its own q̂,
from the subjects who truly have it, so that the coverage holds among those with the outcome and among those without. A
class with fewer than 1/α − 1 such subjects has an infinite q̂: it is in every set, and cannot be excluded. Coverage
holds neither for one subject nor within a subgroup.

Scores of classes are one minus the probability of the true class (Sadinle 2019, arXiv 1609.00451), those of numbers the
absolute residual; numbers have one q̂.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import betaincinv

from polyclinic.evaluation.arrays import CONFIDENCE, Array, Scores, finite

ROUNDING = 1e-9
"""Tolerance by which rounding may put (n + 1) α below an integer."""


def left_out(n: int, alpha: float) -> int:
    """Return l = ⌊(n + 1) α⌋, the number of scores that may exceed q̂.

    Raises ValueError for an α outside (0, 1).
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha lies between 0 and 1, not at {alpha:g}: .1 for sets that hold 90 % of the truths")
    return math.floor((n + 1) * alpha + ROUNDING)


def conformal_quantile(scores: Scores, alpha: float) -> float:
    """Return q̂, the ⌈(n + 1)(1 − α)⌉-th smallest score; infinity where there are too few, so that sets are complete.

    >>> conformal_quantile(np.arange(1.0, 20.0), 0.1)
    18.0
    >>> conformal_quantile(np.arange(1.0, 9.0), 0.1)
    inf
    """
    known = np.sort(finite(np.asarray(scores, dtype=np.float64), "conformal scores"))
    rank = len(known) + 1 - left_out(len(known), alpha)
    return float(known[rank - 1]) if rank <= len(known) else math.inf


def coverage_interval(n: int, alpha: float) -> tuple[float, float]:
    """Return the central 95 % interval of Beta(n + 1 − l, l), the distribution of the coverage."""
    above = left_out(n, alpha)
    if not above:
        return 1.0, 1.0
    tail = (1 - CONFIDENCE) / 2
    low, high = betaincinv(n + 1 - above, above, [tail, 1 - tail])
    return float(low), float(high)


def answer_quantiles(scores: Sequence[Scores], alpha: float) -> Float[Array, " answer"]:
    """Return q̂ of each answer, from the scores of the subjects of whom it is the truth."""
    return np.array([conformal_quantile(own, alpha) for own in scores])


def by_answer(scores: Scores, truth: Int[Array, " sample"], answers: int) -> tuple[Scores, ...]:
    """Group scores by the true answer, each group ascending.

    >>> by_answer(np.array([0.3, 0.1, 0.2]), np.array([1, 0, 1]), 2)
    (array([0.1]), array([0.2, 0.3]))
    """
    return tuple(np.sort(np.asarray(scores)[np.asarray(truth) == answer]) for answer in range(answers))


def class_scores(p: Float[Array, "sample answer"], truth: Int[Array, " sample"]) -> Scores:
    """Return one minus the probability of each sample's true answer."""
    scores: Scores = 1 - np.take_along_axis(p, np.asarray(truth)[:, None], axis=1)[:, 0]
    return scores


def class_set(
    p: Float[Array, "*sample answer"], quantiles: Float[Array, " answer"] | float
) -> Bool[Array, "*sample answer"]:
    """Return the mask of answers with a score of at most their q̂ (those with an infinite one always), possibly none."""
    held: Array = 1 - p <= quantiles
    return held


def residual_scores(estimate: Scores, truth: Scores) -> Scores:
    """Return the absolute error of each estimate."""
    scores: Scores = np.abs(np.asarray(truth) - np.asarray(estimate))
    return scores


def binary_probabilities(p: Float[Array, "*sample"]) -> Float[Array, "*sample answer"]:
    """Return the probabilities of the negative and the positive class."""
    both: Array = np.stack([1 - p, p], axis=-1)
    return both

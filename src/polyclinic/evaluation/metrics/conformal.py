"""Split conformal prediction: sets of answers that hold the truth for a stated share of new subjects.

A score says how badly an answer fits the truth. Of n subjects that taught the model nothing, q̂ is the
⌈(n + 1)(1 − α)⌉-th smallest score; the set of a new subject holds every answer whose score is at most q̂. If the new
subject is exchangeable with those n, the set holds the truth with a chance of at least 1 − α; given the n, that chance
is Beta(n + 1 − l, l) with l = ⌊(n + 1) α⌋ (Vovk 2012; Angelopoulos & Bates 2023, arXiv 2107.07511), exactly so where no
two scores are equal. The promise is about all subjects together: neither about one of them, nor about those with the
outcome.

Scores of classes are one minus the probability of the true class (Sadinle 2019, arXiv 1609.00451), those of numbers the
absolute residual.
"""

import math

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import beta

from polyclinic.evaluation.arrays import CONFIDENCE, Array, Scores, finite

NEARLY = 1e-9
"""What (n + 1) α may be below a whole number by rounding alone."""


def left_out(n: int, alpha: float) -> int:
    """Give l = ⌊(n + 1) α⌋, the scores that may lie above q̂.

    Raises ValueError for an α outside (0, 1).
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha lies between 0 and 1, not at {alpha:g}: .1 for sets that hold 90 % of the truths")
    return math.floor((n + 1) * alpha + NEARLY)


def conformal_quantile(scores: Scores, alpha: float) -> float:
    """Give q̂, the ⌈(n + 1)(1 − α)⌉-th smallest score; infinity where there are too few, so that sets hold everything.

    >>> conformal_quantile(np.arange(1.0, 20.0), 0.1)
    18.0
    >>> conformal_quantile(np.arange(1.0, 9.0), 0.1)
    inf
    """
    known = np.sort(finite(np.asarray(scores, dtype=np.float64), "conformal scores"))
    rank = len(known) + 1 - left_out(len(known), alpha)
    return float(known[rank - 1]) if rank <= len(known) else math.inf


def coverage_interval(n: int, alpha: float) -> tuple[float, float]:
    """Give the central 95 % interval of Beta(n + 1 − l, l): the coverage that n such subjects can have brought."""
    above = left_out(n, alpha)
    if not above:
        return 1.0, 1.0
    tail = (1 - CONFIDENCE) / 2
    low, high = beta.ppf([tail, 1 - tail], n + 1 - above, above)
    return float(low), float(high)


def class_scores(p: Float[Array, "sample answer"], truth: Int[Array, " sample"]) -> Scores:
    """Give one minus the probability of each sample's true answer."""
    scores: Scores = 1 - np.take_along_axis(p, np.asarray(truth)[:, None], axis=1)[:, 0]
    return scores


def class_set(p: Float[Array, "*sample answer"], quantile: float) -> Bool[Array, "*sample answer"]:
    """Tell which answers fit at least as well as q̂ demands: all where it is infinite, perhaps none."""
    held: Array = 1 - p <= quantile
    return held


def residual_scores(estimate: Scores, truth: Scores) -> Scores:
    """Give how far each estimate was from the truth."""
    scores: Scores = np.abs(np.asarray(truth) - np.asarray(estimate))
    return scores


def yes_or_no(p: Float[Array, "*sample"]) -> Float[Array, "*sample answer"]:
    """Give the probabilities of no and of yes."""
    both: Array = np.stack([1 - p, p], axis=-1)
    return both

"""Discrimination: AUROC, AUPRC, min(Se, P+) and their curves.

AUPRC is average precision (no interpolation: Davis & Goadrich 2006). min(Se, P+) is the score of the PhysioNet/CinC
Challenge 2012: the largest value, over all thresholds, of the smaller of sensitivity and positive predictive value.
Equal scores are one threshold, so that no figure depends on the order of the samples.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from polyclinic.evaluation.arrays import Array, Scores, Truth, Values, Weights, ones_like, ratio


class Counts(NamedTuple):
    """True and false positives at each distinct score as threshold, from the highest."""

    true: Float[Array, "*resample threshold"]
    false: Float[Array, "*resample threshold"]
    thresholds: Float[Array, " threshold"]


def counts(y: Truth, p: Scores, weights: Weights | None = None) -> Counts:
    """Count (or weight) true and false positives at each distinct score, from the highest."""
    weights = ones_like(p) if weights is None else weights
    order = np.argsort(-p, kind="stable")
    ranked, truth = p[order], y[order]
    last = np.flatnonzero(np.append(np.diff(ranked) != 0, len(p) > 0))  # of each run of equal scores
    weights = weights[..., order]
    total = np.cumsum(weights, axis=-1)
    true = np.cumsum(weights * truth, axis=-1)
    if len(last) < len(p):
        total, true = total[..., last], true[..., last]
    return Counts(true, total - true, ranked[last])


def auroc(y: Truth, p: Scores, weights: Weights | None = None) -> Values:
    """Return the probability that a positive scores above a negative, ties counting half; NaN without both."""
    return auroc_of(counts(y, p, weights))


def auroc_of(c: Counts) -> Values:
    """Return the area under the ROC curve of these counts."""
    if not len(c.thresholds):
        return np.full(c.true.shape[:-1], np.nan)
    twice = np.einsum("...t,...t->...", np.diff(c.false, axis=-1), c.true[..., 1:] + c.true[..., :-1])
    twice = twice + c.false[..., 0] * c.true[..., 0]
    return ratio(twice / 2, c.true[..., -1] * c.false[..., -1])


def average_precision(y: Truth, p: Scores, weights: Weights | None = None) -> Values:
    """Return the mean precision at each positive; NaN without positives."""
    return average_precision_of(counts(y, p, weights))


def average_precision_of(c: Counts) -> Values:
    """Return the average precision of these counts."""
    if not len(c.thresholds):
        return np.full(c.true.shape[:-1], np.nan)
    precision = c.true / np.maximum(c.true + c.false, np.finfo(float).tiny)
    gained = np.diff(c.true, axis=-1, prepend=0)
    return ratio(np.einsum("...t,...t->...", gained, precision), c.true[..., -1])


def min_se_ppv(y: Truth, p: Scores, weights: Weights | None = None) -> Values:
    """Return the largest min(sensitivity, PPV) over all thresholds; NaN without positives."""
    return min_se_ppv_of(counts(y, p, weights))


def min_se_ppv_of(c: Counts) -> Values:
    """Return the largest min(sensitivity, PPV): true positives over the larger of predicted and actual positives."""
    if not len(c.thresholds):
        return np.full(c.true.shape[:-1], np.nan)
    positives = c.true[..., -1:]
    smaller = c.true / np.maximum(np.maximum(c.true + c.false, positives), np.finfo(float).tiny)
    best = smaller.max(axis=-1)
    return np.where(positives[..., 0] > 0, best, np.nan)


def roc_curve(y: Truth, p: Scores) -> tuple[Array, Array]:
    """Return (1 − specificity, sensitivity) from (0, 0) to (1, 1), a point per score; NaN without both classes."""
    c = counts(y, p)
    start = np.zeros(1)
    x = np.concatenate([start, c.false]) / _or_nan(c.false)
    return x, np.concatenate([start, c.true]) / _or_nan(c.true)


def precision_recall_curve(y: Truth, p: Scores) -> tuple[Array, Array]:
    """Return (sensitivity, PPV), a point per distinct score from the highest; NaN without positives."""
    c = counts(y, p)
    return c.true / _or_nan(c.true), ratio(c.true, c.true + c.false)


def _or_nan(cumulative: Array) -> float:
    total = float(cumulative[-1]) if len(cumulative) else 0.0
    return total or np.nan

"""Regression metrics: MAE, median absolute error, RMSE, bias and R²."""

import numpy as np

from polyclinic.evaluation.arrays import Scores, Values, Weights, ones_like, ratio, weighted_mean


def mae(y: Scores, p: Scores, weights: Weights | None = None) -> Values:
    """Return the mean absolute error, in the unit of the target."""
    return weighted_mean(np.abs(p - y), ones_like(p) if weights is None else weights)


def rmse(y: Scores, p: Scores, weights: Weights | None = None) -> Values:
    """Return the root mean squared error, in the unit of the target."""
    squared = weighted_mean((p - y) ** 2, ones_like(p) if weights is None else weights)
    return np.asarray(np.sqrt(squared))


def bias(y: Scores, p: Scores, weights: Weights | None = None) -> Values:
    """Return the mean of prediction minus truth."""
    return weighted_mean(p - y, ones_like(p) if weights is None else weights)


def r2(y: Scores, p: Scores, weights: Weights | None = None) -> Values:
    """Return the explained share of the target's variance; NaN where the target is constant."""
    weights = ones_like(p) if weights is None else weights
    centred = y - y.mean() if len(y) else y
    total = weighted_mean(centred**2, weights) - weighted_mean(centred, weights) ** 2
    floor = 1e-12 * float(np.max(centred**2, initial=0))
    return 1 - ratio(weighted_mean((p - y) ** 2, weights), np.where(total > floor, total, 0))


def median_absolute_error(y: Scores, p: Scores, weights: Weights | None = None) -> Values:
    """Return the weighted median of the absolute error (the mean of the middle two if even)."""
    weights = ones_like(p) if weights is None else weights
    if not len(y):
        return np.full(weights.shape[:-1], np.nan)
    errors = np.abs(p - y)
    order = np.argsort(errors)
    errors, reached = errors[order], np.cumsum(weights[..., order], axis=-1)
    half = reached[..., -1:] / 2
    lower = errors[np.argmax(reached >= half, axis=-1)]
    upper = errors[np.argmax(reached > half, axis=-1)]
    return np.where(half[..., 0] > 0, (lower + upper) / 2, np.nan)

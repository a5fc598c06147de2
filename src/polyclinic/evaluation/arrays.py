"""Checks of input arrays, and arithmetic that all metrics share.

Weights have the samples as the last axis and any leading axes (one row per bootstrap resample); a statistic returns one
value per row. Without weights each sample counts once.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

Array = np.ndarray
Truth = Bool[Array, " sample"]
Scores = Float[Array, " sample"]
Weights = Float[Array, "*resample sample"]
Values = Float[Array, "*resample"]  # one per row of weights; a scalar for a single vector of weights
Labels = Sequence[Any] | np.ndarray

CONFIDENCE = 0.95
Z = 1.959963984540054  # the normal quantile of the two-sided 95 % interval


def as_truth(y: Labels) -> Truth:
    """Convert binary truths (Booleans, or 0 and 1) to Booleans; raise `ValueError` for anything else."""
    truth = np.asarray(y)
    if truth.ndim != 1:
        raise ValueError(f"the truth has {truth.ndim} axes: give one value per sample")
    if truth.dtype == bool:
        return truth
    if truth.size and not np.issubdtype(truth.dtype, np.number):
        raise ValueError("the truth is not numeric: give Booleans, or 0 and 1")
    invalid = int((~np.isin(truth, (0, 1))).sum())
    if invalid:
        raise ValueError(
            f"{invalid} of {len(truth)} truths are neither 0 nor 1: leave out samples with no known answer"
        )
    binary: Truth = truth.astype(bool)
    return binary


def as_scores(p: Labels, n: int, what: str = "predictions") -> Scores:
    """Convert to one finite number per sample; raise `ValueError` for another length, NaN or infinity."""
    scores = np.asarray(p, dtype=np.float64)
    if scores.shape != (n,):
        raise ValueError(f"{what} of shape {scores.shape} for {n} samples: give one number per sample")
    return finite(scores, what)


def as_matrix(p: Labels, n: int, columns: int, what: str = "predictions") -> Float[Array, "sample column"]:
    """Convert to one finite number per sample and column; raise `ValueError` otherwise."""
    scores = np.asarray(p, dtype=np.float64)
    if scores.shape != (n, columns):
        raise ValueError(f"{what} of shape {scores.shape}: expected {n} samples by {columns} columns")
    return finite(scores, what)


def finite(values: Array, what: str) -> Array:
    """Return `values` if all are finite; raise `ValueError` with the number that are not."""
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise ValueError(
            f"{bad} of {values.size} {what} are not finite: mask what is unknown, and look for NaN in the model"
        )
    return values


def as_probabilities(p: Array) -> Array:
    """Return `p` if all lie between 0 and 1; raise `ValueError` otherwise (for logits, for example)."""
    outside = int(((p < 0) | (p > 1)).sum())
    if outside:
        raise ValueError(
            f"{outside} of {p.size} predictions lie outside 0 to 1: give probabilities, not logits or scores"
        )
    return p


def subject_codes(subjects: Labels | None, n: int) -> tuple[Int[Array, " sample"], int]:
    """Number the subjects 0, 1, … in sorted order and count them; without `subjects` each sample is one."""
    if subjects is None:
        return np.arange(n), n
    ids = np.asarray(subjects)
    if ids.shape != (n,):
        raise ValueError(f"subjects of shape {ids.shape} for {n} samples: give one subject per sample")
    if n == 0:
        return np.arange(0), 0
    unique, codes = np.unique(ids, return_inverse=True)
    return codes, len(unique)


def subjects_by_outcome(subjects: Labels | None, cases: Truth | None) -> tuple[int | None, int | None]:
    """Return the number of subjects with a case, and of those with a sample that is none; None without an outcome."""
    if cases is None:
        return None, None
    ids = np.arange(len(cases)) if subjects is None else np.asarray(subjects)
    return len(np.unique(ids[cases])), len(np.unique(ids[~cases]))


def ones_like(p: Array) -> Scores:
    """Return a weight of 1 for each sample."""
    return np.ones(len(p))


def ratio(numerator: Array, denominator: Array) -> Array:
    """Divide; NaN, without a warning, where the denominator is zero."""
    numerator, denominator = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    quotient = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    return quotient


def weighted_mean(values: Scores, weights: Weights) -> Values:
    """Average `values` under each row of weights; NaN where the weights sum to zero."""
    return ratio(weights @ values, weights.sum(axis=-1))


def binary_obstacle(y: Truth) -> str:
    """Return the reason why discrimination cannot be measured; empty if it can."""
    if len(y) == 0:
        return "no samples"
    if not y.any():
        return f"no positives among {len(y)} samples"
    return f"no negatives among {len(y)} samples" if y.all() else ""

"""Classification at a threshold: confusion matrix, sensitivity, specificity, predictive values, F1.

Intervals of proportions are Wilson's (1927); where subjects have several samples, at the effective number that the
scatter between subjects leaves (Korn & Graubard 1998).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from polyclinic.evaluation.arrays import (
    Array,
    Labels,
    Scores,
    Truth,
    Values,
    Weights,
    Z,
    ones_like,
    ratio,
    subject_codes,
)
from polyclinic.evaluation.estimate import Estimate
from polyclinic.evaluation.record import Record

RATES = ("sensitivity", "specificity", "ppv", "npv", "accuracy")
Cut = float | Scores
"""One threshold for all samples, or one for each."""
WILSON = "Wilson, 95 %"
WILSON_BY_SUBJECT = "Wilson by subject, 95 %"


@dataclass(frozen=True)
class Confusion(Record):
    """Numbers of samples by truth and class; a score of `threshold` or more is positive.

    Where samples have thresholds of their own, `threshold` is the displayed one.
    """

    threshold: float
    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int


def confusion(y: Truth, p: Scores, threshold: float, own: Scores | None = None) -> Confusion:
    """Return the confusion matrix at `threshold`, or at each sample's `own` threshold."""
    tp, fp, fn, tn = (int(cell) for cell in cells(y, p, threshold if own is None else own))
    return Confusion(float(threshold), tp, fp, fn, tn)


def cells(
    y: Truth,
    p: Scores,
    threshold: Cut,
    weights: Weights | None = None,
) -> Float[Array, "4 ..."]:
    """Return the weights of true positives, false positives, false negatives and true negatives."""
    weights = ones_like(p) if weights is None else weights
    positive = p >= threshold
    indicators = np.stack([y & positive, ~y & positive, y & ~positive, ~y & ~positive], axis=1).astype(float)
    return np.moveaxis(weights @ indicators, -1, 0)


def f1(
    y: Truth,
    p: Scores,
    threshold: Cut,
    weights: Weights | None = None,
) -> Values:
    """Return the harmonic mean of sensitivity and PPV; NaN without true and predicted positives."""
    tp, fp, fn, _ = cells(y, p, threshold, weights)
    return ratio(2 * tp, 2 * tp + fp + fn)


def wilson(share: float, n: float) -> tuple[float, float]:
    """Return the 95 % score interval of a proportion among `n`; NaN twice for n = 0."""
    if not n > 0:
        return np.nan, np.nan
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return max(0.0, min(float(middle - half), share)), min(1.0, max(float(middle + half), share))


def proportion(
    name: str,
    hit: Truth,
    among: Truth,
    subjects: Labels | None = None,
    empty: str = "no samples",
) -> Estimate:
    """Return the share of `hit` in the samples `among`; `empty` is the reason given if there are none."""
    n = int(among.sum())
    if n == 0:
        return Estimate.missing(name, 0, empty)
    share = float(hit[among].mean())
    if subjects is None:
        return Estimate.of(name, share, wilson(share, n), n, WILSON)
    codes, count = subject_codes(np.asarray(subjects)[among], n)
    if count == n:
        return Estimate.of(name, share, wilson(share, n), n, WILSON)
    if count == 1:
        return Estimate.of(name, share, (np.nan, np.nan), n, WILSON_BY_SUBJECT, "a single subject")
    deviations = np.bincount(codes, hit[among] - share, count)
    variance = count / (count - 1) * float(deviations @ deviations) / n**2
    effective = min(share * (1 - share) / variance, n) if variance > 0 else count
    return Estimate.of(name, share, wilson(share, effective), n, WILSON_BY_SUBJECT)


def threshold_figures(y: Truth, p: Scores, threshold: Cut, subjects: Labels | None = None) -> dict[str, Estimate]:
    """Return sensitivity, specificity, PPV, NPV and accuracy at `threshold`."""
    if not len(y):
        return {name: Estimate.missing(name, 0, "no samples") for name in RATES}
    called = p >= threshold
    all_samples = np.ones(len(y), dtype=bool)
    return {
        "sensitivity": proportion("sensitivity", called, y, subjects, "no positives"),
        "specificity": proportion("specificity", ~called, ~y, subjects, "no negatives"),
        "ppv": proportion("ppv", y, called, subjects, "no positive calls"),
        "npv": proportion("npv", ~y, ~called, subjects, "everyone is called positive"),
        "accuracy": proportion("accuracy", y == called, all_samples, subjects),
    }

"""AUROC with an interval, and the paired test of two AUROCs, without resampling.

DeLong, DeLong & Clarke-Pearson 1988, by midranks (Sun & Xu 2014); subjects with several samples after Obuchowski 1997,
which is DeLong's when each has one. The interval is computed on the logit scale, which keeps it within 0 and 1
and its coverage near them. Under perfect separation, which leaves no variance, Newcombe's method 5 (2006) is used.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit, logit, ndtr

from polyclinic.evaluation.arrays import (
    Array,
    Labels,
    Scores,
    Truth,
    Z,
    as_scores,
    as_truth,
    binary_obstacle,
    ratio,
    subject_codes,
)
from polyclinic.evaluation.estimate import Difference, Estimate

METHOD = "DeLong on the logit scale, 95 %"
SEPARATED = "Newcombe, 95 % (perfect separation)"
PAIRED = "paired DeLong, 95 %"
CONSTANT = "every sample has the same score"


@dataclass(frozen=True)
class Areas:
    """The AUROCs of several scores on the same samples, and their covariance."""

    values: Float[Array, " score"]
    covariance: Float[Array, "score score"]


def placements(y: Truth, p: Scores) -> tuple[Float[Array, " positive"], Float[Array, " negative"]]:
    """Return the share of negatives below each positive, and of positives above each negative (ties count half)."""
    positives, negatives = p[y], p[~y]
    below = (_rank(negatives, positives, "left") + _rank(negatives, positives, "right")) / 2
    above = len(positives) - (_rank(positives, negatives, "left") + _rank(positives, negatives, "right")) / 2
    return below / len(negatives), above / len(positives)


def _rank(among: Array, values: Array, side: str) -> Int[Array, " value"]:
    return np.searchsorted(np.sort(among), values, side=side)  # type: ignore[call-overload,no-any-return]


def areas(y: Truth, scores: Float[Array, "score sample"], subjects: Labels | None = None) -> Areas:
    """Return the AUROC of each row of `scores` and their covariance by subject; both classes are required."""
    codes, count = subject_codes(subjects, len(y))
    m, n = int(y.sum()), int((~y).sum())
    values, of_positives, of_negatives = [], [], []
    for p in scores:
        below, above = placements(y, p)
        area = float(below.mean())
        values.append(area)
        of_positives.append(np.bincount(codes[y], below - area, count) / m)
        of_negatives.append(np.bincount(codes[~y], above - area, count) / n)
    first, second = np.array(of_positives), np.array(of_negatives)
    covariance = _spread(first, np.unique(codes[y]).size) + _spread(second, np.unique(codes[~y]).size)
    cross = first @ second.T
    covariance = covariance + (cross + cross.T) * float(ratio(np.array(count), np.array(count - 1.0)))
    return Areas(np.array(values), covariance)


def _spread(parts: Float[Array, "score subject"], subjects: int) -> Float[Array, "score score"]:
    """Sum the products over subjects; NaN for a single subject, which has no variance."""
    return np.asarray(parts @ parts.T * float(ratio(np.array(subjects), np.array(subjects - 1.0))))


def auroc_figure(y: Labels, p: Labels, subjects: Labels | None = None, name: str = "auroc") -> Estimate:
    """Return the AUROC of scores `p` with its 95 % interval by subject."""
    truth = as_truth(y)
    scores = as_scores(p, len(truth))
    obstacle = binary_obstacle(truth)
    if obstacle:
        return Estimate.missing(name, len(truth), obstacle)
    found = areas(truth, scores[None], subjects)
    area, variance = float(found.values[0]), float(found.covariance[0, 0])
    if np.ptp(scores) == 0:
        return Estimate.of(name, area, (np.nan, np.nan), len(truth), "definition", CONSTANT)
    if not variance > 0:
        return _without_variance(name, truth, area, subjects)
    half = Z * np.sqrt(variance) / (area * (1 - area))
    interval = (float(expit(logit(area) - half)), float(expit(logit(area) + half)))
    return Estimate.of(name, area, interval, len(truth), METHOD)


def _without_variance(name: str, y: Array, area: float, subjects: Labels | None) -> Estimate:
    codes, _ = subject_codes(subjects, len(y))
    positives, negatives = np.unique(codes[y]).size, np.unique(codes[~y]).size
    if area in (0.0, 1.0):
        return Estimate.of(name, area, newcombe(area, positives, negatives), len(y), SEPARATED)
    few = "positive" if positives < 2 else "negative"
    reason = f"a single {few} subject" if min(positives, negatives) < 2 else "the subjects do not vary"
    return Estimate.of(name, area, (np.nan, np.nan), len(y), METHOD, reason)


def newcombe(area: float, positives: int, negatives: int) -> tuple[float, float]:
    """Return the interval of areas whose standard error (Hanley & McNeil 1982, Newcombe's method 5) reaches `area`."""
    n = (positives + negatives) / 2 - 1
    grid = np.linspace(0, 1, 20_001)
    variance = grid * (1 - grid) * (1 + n * (1 - grid) / (2 - grid) + n * grid / (1 + grid)) / (positives * negatives)
    inside = grid[np.abs(grid - area) <= Z * np.sqrt(variance) + 1e-12]
    return float(inside.min()), float(inside.max())


def delong_test(y: Labels, p: Labels, reference: Labels, subjects: Labels | None = None) -> Difference:
    """Return the AUROC of `p` minus that of `reference` on the same samples, with a two-sided p value."""
    truth = as_truth(y)
    scores = np.stack([as_scores(p, len(truth)), as_scores(reference, len(truth), "reference predictions")])
    obstacle = binary_obstacle(truth)
    if obstacle:
        return Difference(Estimate.missing("auroc", len(truth), obstacle), None)
    found = areas(truth, scores, subjects)
    gap = float(found.values[0] - found.values[1])
    contrast = np.array([1.0, -1.0])
    variance = float(contrast @ found.covariance @ contrast)
    if not variance > 1e-14:
        reason = "both rank every pair alike" if gap == 0 else "the subjects do not vary"
        return Difference(Estimate.of("auroc", gap, (np.nan, np.nan), len(truth), PAIRED, reason), None)
    error = np.sqrt(variance)
    interval = (max(-1.0, gap - Z * error), min(1.0, gap + Z * error))
    return Difference(Estimate.of("auroc", gap, interval, len(truth), PAIRED), float(2 * ndtr(-abs(gap) / error)))

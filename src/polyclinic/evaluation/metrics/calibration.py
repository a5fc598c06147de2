"""Calibration of predicted probabilities: Brier score, log loss, ECE, slope, intercept, reliability.

Slope and intercept are those of a logistic regression of the outcome on the logit of the prediction (Cox 1958; Van
Calster et al. 2019): the slope with a free intercept (below 1: predictions too extreme), the intercept with the slope
held at 1 ("in the large"; above 0: risks underestimated). ECE uses bins of equal mass (Nguyen & O'Connor 2015).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit, logit

from polyclinic.evaluation.arrays import (
    Array,
    Labels,
    Scores,
    Truth,
    Values,
    Weights,
    Z,
    binary_obstacle,
    ones_like,
    ratio,
    subject_codes,
    weighted_mean,
)
from polyclinic.evaluation.bootstrap import percentiles
from polyclinic.evaluation.estimate import Estimate
from polyclinic.evaluation.metrics.confusion import wilson
from polyclinic.evaluation.metrics.delong import CONSTANT
from polyclinic.evaluation.record import Record

BINS = 10
CLIP = 1e-9  # predictions nearer to 0 or 1 are clipped, so that their logit is finite
ONE_SIDED = 1.6448536269514722  # the normal quantile of 95 %
REFLECTED = "reflected bootstrap by subject, 95 %"
WALD = "Wald by subject, 95 %"
SEPARATED = "the predictions separate the outcomes perfectly"


def brier(y: Truth, p: Scores, weights: Weights | None = None) -> Values:
    """Return the mean squared error of the probability."""
    return weighted_mean((p - y) ** 2, ones_like(p) if weights is None else weights)


def scaled_brier(y: Truth, p: Scores, weights: Weights | None = None) -> Values:
    """Return the relative reduction of the Brier score of the prevalence; NaN without both classes."""
    weights = ones_like(p) if weights is None else weights
    prevalence = weighted_mean(y.astype(float), weights)
    return 1 - ratio(brier(y, p, weights), prevalence * (1 - prevalence))


def log_loss(y: Truth, p: Scores, weights: Weights | None = None) -> Values:
    """Return the mean negative log likelihood, in nats; probabilities are clipped at 2⁻⁵²."""
    edge = np.finfo(float).eps
    p = np.clip(p, edge, 1 - edge)
    return weighted_mean(-np.where(y, np.log(p), np.log1p(-p)), ones_like(p) if weights is None else weights)


def ece(
    y: Truth,
    p: Scores,
    weights: Weights | None = None,
    bins: int = BINS,
) -> Values:
    """Return the mean gap, over bins of equal mass, between mean prediction and observed rate."""
    weights = ones_like(p) if weights is None else weights
    if not len(p):
        return np.full(weights.shape[:-1], np.nan)
    order = np.argsort(p, kind="stable")
    rows = np.atleast_2d(weights[..., order])
    bin_of = equal_mass_bins(p[order], rows, bins) + bins * np.arange(len(rows))[:, None]
    gaps = np.bincount(bin_of.ravel(), (rows * (y - p)[order]).ravel(), bins * len(rows)).reshape(len(rows), bins)
    return ratio(np.abs(gaps).sum(axis=-1), rows.sum(axis=-1)).reshape(weights.shape[:-1])


def ece_figure(y: Truth, p: Scores, subjects: Labels | None, draws: Float[Array, " resample"]) -> Estimate:
    """Return the ECE less most of its upward bias, with its interval.

    Its square is reduced by that of the mean ECE of calibrated predictions, as Kumar, Liang & Ma (2019, section 4)
    reduce the squared gap of each bin by its variance. The bootstrap interval is reflected about the uncorrected value
    (Davison & Hinkley 1997, section 5.2), and reaches down to zero where calibrated predictions would exceed it in 1 of
    20 samples.
    """
    if not len(y):
        return Estimate.missing("ece", 0, "no samples")
    raw = float(ece(y, p))
    usual, most = _of_calibrated(y, p, subjects)
    value = np.sqrt(max(0.0, raw**2 - usual**2))
    lowest, highest, reason = percentiles(draws)
    if reason:
        return Estimate.of("ece", value, (np.nan, np.nan), len(y), REFLECTED, reason)
    low = 0.0 if raw <= most else max(0.0, min(value, 2 * raw - highest))
    return Estimate.of("ece", value, (low, max(raw, 2 * raw - lowest)), len(y), REFLECTED)


def _of_calibrated(y: Truth, p: Scores, subjects: Labels | None) -> tuple[float, float]:
    """Return the mean and the 95 % quantile of the ECE of calibrated predictions: a sum of folded normals."""
    codes, count = subject_codes(subjects, len(y))
    order = np.argsort(p, kind="stable")
    bin_of = np.empty(len(p), dtype=int)
    bin_of[order] = equal_mass_bins(p[order], np.ones(len(p)), BINS)
    gaps = np.bincount(bin_of, y - p, BINS) / np.maximum(np.bincount(bin_of, minlength=BINS), 1)
    parts = np.bincount(codes * BINS + bin_of, y - p - gaps[bin_of], count * BINS).reshape(count, BINS)
    variance = (parts**2).sum(axis=0)
    mean, error = np.sqrt(2 * variance / np.pi).sum(), np.sqrt((1 - 2 / np.pi) * variance.sum())
    return float(mean) / len(y), float(mean + ONE_SIDED * error) / len(y)


def equal_mass_bins(ascending: Scores, weights: Weights, bins: int) -> Int[Array, "*resample sample"]:
    """Return the bin of each sample, in ascending order; equal predictions share the bin of their middle."""
    reached = np.cumsum(weights, axis=-1)
    total = reached[..., -1:]
    first = np.flatnonzero(np.append(True, np.diff(ascending) != 0))
    if len(first) == len(ascending):
        middle = reached - weights / 2
    else:
        sizes = np.diff(np.append(first, len(ascending)))
        ends = reached[..., first + sizes - 1]
        starts = np.concatenate([np.zeros_like(total), ends[..., :-1]], axis=-1)
        middle = np.repeat((starts + ends) / 2, sizes, axis=-1)
    scaled = middle * (bins / np.where(total > 0, total, 1))
    return np.asarray(np.minimum(scaled.astype(int), bins - 1))


def members_of_bins(p: Scores, bins: int) -> list[Int[Array, " member"]]:
    """Return the samples of each bin of `equal_mass_bins`, by ascending prediction; empty bins are left out."""
    order = np.argsort(p, kind="stable")
    bin_of = equal_mass_bins(p[order], np.ones(len(p)), bins)
    return [order[bin_of == number] for number in np.unique(bin_of)]


@dataclass(frozen=True)
class ReliabilityBin(Record):
    """The mean prediction of some samples, and their observed mean with its interval (None for a single sample)."""

    predicted: float
    observed: float
    low: float | None
    high: float | None
    n: int


def reliability(y: Truth, p: Scores, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """Return mean prediction and observed rate in bins of equal mass, ascending, with Wilson intervals."""
    if not len(p):
        return ()
    found = []
    for members in members_of_bins(p, bins):
        rate = float(y[members].mean())
        found.append(ReliabilityBin(float(p[members].mean()), rate, *wilson(rate, len(members)), len(members)))
    return tuple(found)


def recalibration(y: Truth, x: Float[Array, "sample column"], offset: Array) -> Float[Array, " column"]:
    """Fit a logistic regression of `y` on the columns of `x` with a fixed `offset`, by Newton's method.

    Raises `ArithmeticError` where it does not converge, as under perfect separation.
    """
    beta = np.zeros(x.shape[1])
    for _ in range(100):
        fitted = expit(offset + x @ beta)
        gradient = x.T @ (y - fitted)
        step = np.linalg.lstsq((x.T * (fitted * (1 - fitted))) @ x, gradient, rcond=None)[0]
        step = _shorten(y, x, offset, beta, step)
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            return np.asarray(beta)
    raise ArithmeticError("the logistic recalibration does not converge")


def _shorten(y: Array, x: Array, offset: Array, beta: Array, step: Array) -> Array:
    """Halve the step until the likelihood does not decrease."""
    start = _log_likelihood(y, offset + x @ beta)
    for _ in range(30):
        if _log_likelihood(y, offset + x @ (beta + step)) >= start - 1e-12 * abs(start):
            break
        step = step / 2
    return step


def _log_likelihood(y: Array, linear: Array) -> float:
    return float(-np.logaddexp(0, np.where(y, -linear, linear)).sum())


def calibration_figures(y: Truth, p: Scores, subjects: Labels | None = None) -> dict[str, Estimate]:
    """Return the calibration slope and intercept, with intervals robust to repeated subjects."""
    obstacle = binary_obstacle(y)
    linear = logit(np.clip(p, CLIP, 1 - CLIP))
    ones, zeros = np.ones((len(y), 1)), np.zeros(len(y))
    if obstacle:
        slope = Estimate.missing("calibration_slope", len(y), obstacle)
        return {
            "calibration_slope": slope,
            "calibration_intercept": Estimate.missing("calibration_intercept", len(y), obstacle),
        }
    return {
        "calibration_slope": _slope(y, linear, ones, zeros, subjects),
        "calibration_intercept": _wald("calibration_intercept", y, ones, linear, subjects, target=0),
    }


def _slope(y: Array, linear: Array, ones: Array, zeros: Array, subjects: Labels | None) -> Estimate:
    name = "calibration_slope"
    if np.ptp(linear) < 1e-9:
        return Estimate.missing(name, len(y), CONSTANT)
    lowest, highest = linear[y].min(), linear[~y].max()
    if lowest >= highest or linear[y].max() <= linear[~y].min():
        return Estimate.missing(name, len(y), SEPARATED)
    design = np.column_stack([ones, linear - linear.mean()])
    return _wald(name, y, design, zeros, subjects, target=1)


def _wald(name: str, y: Array, x: Array, offset: Array, subjects: Labels | None, target: int) -> Estimate:
    try:
        beta = recalibration(y, x, offset)
    except ArithmeticError as failure:
        return Estimate.missing(name, len(y), str(failure))
    codes, count = subject_codes(subjects, len(y))
    if count < 2:
        return Estimate.of(name, beta[target], (np.nan, np.nan), len(y), WALD, "a single subject")
    fitted = expit(offset + x @ beta)
    bread = np.linalg.pinv((x.T * (fitted * (1 - fitted))) @ x)
    scores = np.stack([np.bincount(codes, column * (y - fitted), count) for column in x.T], axis=1)
    covariance = bread @ (scores.T @ scores) @ bread * count / (count - 1)
    error = float(np.sqrt(covariance[target, target]))
    return Estimate.of(name, beta[target], (beta[target] - Z * error, beta[target] + Z * error), len(y), WALD)

"""Metrics of time-to-event predictions under censoring.

Harrell's C (1982); Uno's C (2011), which does not depend on the censoring; the Brier score at a time and integrated
over time, weighted by the inverse probability of censoring (Graf et al. 1999); observed over expected events at a
horizon. A higher risk means an earlier event; `survival[i, t]` is the predicted probability that sample i is event-free
at `times[t]`.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float

from polyclinic.evaluation.arrays import Array, Scores, Truth, Values, Weights, ones_like, ratio
from polyclinic.evaluation.metrics.calibration import BINS, ReliabilityBin, members_of_bins
from polyclinic.evaluation.metrics.kaplan_meier import survival_at, survival_interval, uncensored_at

PAIRS = 1 << 22  # compared at a time


def harrell_c(
    time: Scores,
    event: Truth,
    risk: Scores,
    weights: Weights | None = None,
) -> Values:
    """Return the share of comparable pairs in which the earlier event had the higher risk, ties counting half.

    A pair is comparable if one sample had the event while the other was still event-free; NaN if there is none.
    """
    weights = ones_like(risk) if weights is None else weights
    return _concordance(time, event, risk, weights, np.ones_like(weights), np.inf)


def uno_c(
    time: Scores,
    event: Truth,
    risk: Scores,
    weights: Weights | None = None,
    until: float | None = None,
) -> Values:
    """Return Harrell's C with pairs weighted by 1 / G², G the probability to be uncensored before the earlier event.

    Only events before `until` count (default: the last observed time).
    """
    weights = ones_like(risk) if weights is None else weights
    uncensored = uncensored_at(time, event, time, weights, before=True)
    inverse = np.divide(1, uncensored**2, out=np.zeros_like(uncensored), where=uncensored > 0)
    return _concordance(time, event, risk, weights, inverse, np.inf if until is None else until)


def _concordance(time: Array, event: Array, risk: Array, weights: Array, factor: Array, until: float) -> Values:
    """Return concordant over comparable pairs by matrix products, which are exact in float32 for integer weights."""
    counts = weights.astype(np.float32)
    concordant, comparable = np.zeros(weights.shape[:-1]), np.zeros(weights.shape[:-1])
    for rows, later, higher in _pairs(time, event, risk, until):
        own = weights[..., rows] * factor[..., rows]
        concordant = concordant + (own * (counts @ higher)).sum(axis=-1)
        comparable = comparable + (own * (counts @ later)).sum(axis=-1)
    return ratio(concordant, comparable)


def _pairs(time: Array, event: Array, risk: Array, until: float) -> Iterator[tuple[Array, Array, Array]]:
    """Yield events, who outlived each [sample, event], and which of those had a lower risk (0.5 for equal risk)."""
    events = np.flatnonzero(event & (time < until))
    step = max(1, PAIRS // max(1, len(time)))
    for start in range(0, len(events), step):
        rows = events[start : start + step]
        later = (time[:, None] > time[rows]) | ((time[:, None] == time[rows]) & ~event[:, None])
        higher = (risk[:, None] < risk[rows]).astype(np.float32)
        higher[risk[:, None] == risk[rows]] = 0.5
        yield rows, later.astype(np.float32), higher * later


def risks_at(
    risks: Float[Array, "sample bin"], ends: Sequence[float], times: Sequence[float]
) -> Float[Array, "sample time"]:
    """Interpolate risks of the event, given by the ends of bins, at other times.

    The hazard is constant within a bin (Kvamme & Borgan 2021, arXiv 1910.06724); after the last bin the risk stays.
    """
    edges = np.concatenate([[0.0], ends])
    hazard = -np.log(np.clip(1 - np.column_stack([np.zeros(len(risks)), risks]), np.finfo(float).tiny, 1))
    at = np.clip(times, 0, edges[-1])
    right = np.searchsorted(edges, at).clip(1, len(edges) - 1)
    share = (at - edges[right - 1]) / (edges[right] - edges[right - 1])
    return np.asarray(-np.expm1(-(hazard[:, right - 1] * (1 - share) + hazard[:, right] * share)))


def brier_at(
    time: Scores,
    event: Truth,
    survival: Float[Array, "sample time"],
    times: Float[Array, " time"],
    weights: Weights | None = None,
) -> Float[Array, "*resample time"]:
    """Return the Brier score of the predicted survival at each of `times`, weighted for censoring."""
    weights = ones_like(time) if weights is None else weights
    at_event = uncensored_at(time, event, time, weights, before=True)
    at_time = uncensored_at(time, event, times, weights)
    died = (survival**2) * (event[:, None] & (time[:, None] <= times))
    alive = ((1 - survival) ** 2) * (time[:, None] > times)
    inverse = np.divide(weights, at_event, out=np.zeros_like(at_event), where=at_event > 0)
    return ratio(inverse @ died + ratio(weights @ alive, at_time), weights.sum(axis=-1)[..., None])


def integrated_brier(
    time: Scores,
    event: Truth,
    survival: Float[Array, "sample time"],
    times: Float[Array, " time"],
    weights: Weights | None = None,
) -> Values:
    """Average `brier_at` over ascending `times` by trapezoids; some sample must be followed beyond the last."""
    scores = brier_at(time, event, survival, times, weights)
    return np.asarray(np.trapezoid(scores, times, axis=-1) / (times[-1] - times[0]))


def observed_over_expected(
    time: Scores,
    event: Truth,
    survival: Scores,
    horizon: float,
    weights: Weights | None = None,
) -> Values:
    """Return the Kaplan–Meier share of events by `horizon` over the predicted share (1: calibrated in the large)."""
    weights = ones_like(time) if weights is None else weights
    observed = 1 - survival_at(time, event, np.array([horizon]), weights)[..., 0]
    return ratio(observed * weights.sum(axis=-1), weights @ (1 - survival))


def horizon_reliability(
    time: Scores,
    event: Truth,
    survival: Scores,
    horizon: float,
    bins: int = BINS,
) -> tuple[ReliabilityBin, ...]:
    """Return predicted and Kaplan–Meier risk at `horizon` in bins of equal mass that are followed so long."""
    if not len(time):
        return ()
    risk = 1 - survival
    found = []
    for members in members_of_bins(risk, bins):
        alive, low, high = survival_interval(time[members], event[members], horizon)
        if np.isfinite(low):
            found.append(ReliabilityBin(float(risk[members].mean()), 1 - alive, 1 - high, 1 - low, len(members)))
    return tuple(found)

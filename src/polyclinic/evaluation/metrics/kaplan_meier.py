"""Kaplan–Meier estimate of survival under censoring (Kaplan & Meier 1958)."""

import numpy as np
from jaxtyping import Float

from polyclinic.evaluation.arrays import Array, Scores, Truth, Weights, Z, ones_like
from polyclinic.evaluation.metrics.confusion import wilson


def survival_at(
    time: Scores,
    event: Truth,
    points: Float[Array, " point"],
    weights: Weights | None = None,
    before: bool = False,
) -> Float[Array, "*resample point"]:
    """Return the Kaplan–Meier curve at `points`, or with `before` just before them."""
    return _product(time, event, points, weights, before, events_first=False)


def uncensored_at(
    time: Scores,
    event: Truth,
    points: Float[Array, " point"],
    weights: Weights | None = None,
    before: bool = False,
) -> Float[Array, "*resample point"]:
    """Return the probability to be uncensored at `points`; at tied times events precede censoring."""
    return _product(time, ~event, points, weights, before, events_first=True)


def _product(
    time: Array, ends: Array, points: Array, weights: Array | None, before: bool, events_first: bool
) -> Float[Array, "*resample point"]:
    weights = ones_like(time) if weights is None else weights
    if not len(time):
        return np.ones((*weights.shape[:-1], len(points)))
    order = np.argsort(time, kind="stable")
    times, first = np.unique(time[order], return_index=True)
    ordered = weights[..., order]
    leaving = np.add.reduceat(ordered, first, axis=-1)
    ending = np.add.reduceat(ordered * ends[order], first, axis=-1)
    at_risk = np.cumsum(leaving[..., ::-1], axis=-1)[..., ::-1]
    if events_first:
        at_risk = at_risk - (leaving - ending)
    hazard = np.divide(ending, at_risk, out=np.zeros_like(ending), where=at_risk > 0)
    curve = np.concatenate([np.ones((*weights.shape[:-1], 1)), np.cumprod(1 - hazard, axis=-1)], axis=-1)
    found: Float[Array, "*resample point"] = curve[
        ..., np.searchsorted(times, points, side="left" if before else "right")
    ]
    return found


def survival_interval(time: Scores, event: Truth, point: float) -> tuple[float, float, float]:
    """Return the Kaplan–Meier estimate at `point` and its 95 % interval (Greenwood, on the log–log scale).

    For estimates of 0 or 1, the interval is Wilson's among the samples followed so far; NaN if there are none.
    """
    survival = float(survival_at(time, event, np.array([point]))[0])
    if survival in (0.0, 1.0):
        followed = int((time >= point).sum()) if survival else len(time)
        return survival, *wilson(survival, followed)
    times = np.unique(time[event & (time <= point)])
    at_risk = (time >= times[:, None]).sum(axis=1)
    ended = (event & (time == times[:, None])).sum(axis=1)
    greenwood = float(np.sum(ended / (at_risk * (at_risk - ended))))
    half = Z * np.sqrt(greenwood) / abs(np.log(survival))
    return survival, float(survival ** np.exp(half)), float(survival ** np.exp(-half))

"""Decision curve: net benefit of the model against treating all or none (Vickers & Elkin 2006)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from polyclinic.evaluation.arrays import Array, Labels, Scores, Truth, Weights, ones_like, ratio
from polyclinic.evaluation.bootstrap import Bootstrap, percentiles
from polyclinic.evaluation.record import Record

THRESHOLDS = tuple(round(0.01 * step, 2) for step in range(1, 100))


@dataclass(frozen=True)
class DecisionPoint(Record):
    """Net benefit (true positives per sample, less false positives weighted by the threshold's odds) at a threshold."""

    threshold: float
    model: float
    low: float | None
    high: float | None
    treat_all: float


def net_benefit(
    y: Truth,
    p: Scores,
    thresholds: Sequence[float] = THRESHOLDS,
    weights: Weights | None = None,
) -> Float[Array, "*resample threshold"]:
    """Return the net benefit of treating samples with `p` at or above each threshold.

    Raises `ValueError` for thresholds that are not strictly between 0 and 1.
    """
    weights = ones_like(p) if weights is None else weights
    cut = np.asarray(thresholds, dtype=np.float64)
    if ((cut <= 0) | (cut >= 1)).any():
        raise ValueError("a decision threshold is a probability strictly between 0 and 1")
    worth = np.where(y[:, None], 1.0, -cut / (1 - cut)) * (p[:, None] >= cut)
    total = weights.sum(axis=-1)
    return ratio(weights @ worth, total[..., None])


def decision_curve(
    y: Truth,
    p: Scores,
    thresholds: Sequence[float] = THRESHOLDS,
    subjects: Labels | None = None,
    bootstrap: Bootstrap | None = None,
) -> tuple[DecisionPoint, ...]:
    """Return the net benefit over `thresholds`, with a 95 % band if a `bootstrap` is given; empty without samples."""
    if not len(y):
        return ()
    model = net_benefit(y, p, thresholds)
    treat_all = net_benefit(y, np.ones(len(y)), thresholds)
    band = [(np.nan, np.nan)] * len(model)
    if bootstrap is not None:
        draws = bootstrap.draws(lambda weights: net_benefit(y, p, thresholds, weights), len(y), subjects, strata=y)
        band = [percentiles(column)[:2] for column in draws.T] if len(draws) else band  # too few subjects: none
    return tuple(
        DecisionPoint(float(cut), round(float(value), 6), _or_none(low), _or_none(high), round(float(all_), 6))
        for cut, value, (low, high), all_ in zip(thresholds, model, band, treat_all, strict=True)
    )


def _or_none(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None

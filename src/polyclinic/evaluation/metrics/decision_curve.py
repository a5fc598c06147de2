"""Whether acting on the model does more good than treating all or none: the decision curve (Vickers & Elkin 2006)."""

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
    """Net benefit (true positives per subject, less the false ones at the threshold's odds) of three policies."""

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
    """Give the net benefit of treating those with `p` at or above each threshold (strictly between 0 and 1).

    Raises `ValueError` for a threshold outside, at which the odds have no meaning.
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
    """Measure the net benefit over `thresholds`, with a 95 % band if a `bootstrap` is given; nothing for no samples."""
    if not len(y):
        return ()
    model = net_benefit(y, p, thresholds)
    everyone = net_benefit(y, np.ones(len(y)), thresholds)
    band = [(np.nan, np.nan)] * len(model)
    if bootstrap is not None:
        draws = bootstrap.draws(lambda weights: net_benefit(y, p, thresholds, weights), len(y), subjects, strata=y)
        band = [percentiles(column)[:2] for column in draws.T] if len(draws) else band  # too few subjects: none
    return tuple(
        DecisionPoint(float(cut), round(float(value), 6), _or_none(low), _or_none(high), round(float(all_), 6))
        for cut, value, (low, high), all_ in zip(thresholds, model, band, everyone, strict=True)
    )


def _or_none(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None

"""Whether development had enough samples: the criterion of expected shrinkage of Riley et al.

Riley et al. 2019, Minimum sample size for developing a multivariable prediction model: part II (Stat Med 38:1276): with
P candidate predictor parameters, n samples and Cox and Snell's R² (here out of fold, so that it is not optimistic), the
expected uniform shrinkage S satisfies n = P / ((S − 1) · ln(1 − R² / S)). At least .9 is advised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import brentq

from polyclinic.evaluation.estimate import decimal
from polyclinic.evaluation.record import Record

ADVISED = 0.9
"""Expected shrinkage that is advised."""
METHOD = "Riley et al. 2019: n = P / ((S − 1) · ln(1 − R²/S)), with Cox and Snell's R² of the out-of-fold answers"


@dataclass(frozen=True)
class SampleSize(Record):
    """Numbers of development, and what follows from them; what cannot be computed is None, with the `reason`."""

    samples: int
    events: int | None  # samples of the rarer outcome; None for numbers and several outcomes
    predictors: int  # candidate predictor parameters: columns of all inputs
    events_per_predictor: float | None
    r2: float | None = None  # Cox and Snell's, out of fold
    shrinkage: float | None = None  # expected
    needed: int | None = None  # samples for a shrinkage of `ADVISED`
    method: str = METHOD
    reason: str = ""

    def __str__(self) -> str:
        counted = f"{self.samples:,} samples"
        if self.events is not None:
            counted += f", {self.events:,} of the rarer outcome"
        counted += f"; {self.predictors:,} candidate predictors (columns of all inputs)"
        if self.events_per_predictor is not None:
            counted += f"; {self.events_per_predictor:.2g} events per candidate predictor"
        if self.shrinkage is None or self.r2 is None:
            return f"{counted}. Expected shrinkage: {self.reason}."
        verdict = "as advised" if self.shrinkage >= ADVISED else f"less than the advised {decimal(ADVISED, 1)}"
        return (
            f"{counted}. Expected shrinkage {decimal(self.shrinkage)}, {verdict}, at an R² of {decimal(self.r2)}; "
            f"{decimal(ADVISED, 1)} needs {self.needed:,} samples. The criterion is that of a regression "
            "without penalty on all columns; for the models combined here it is a guide only."
        )


def sample_size(
    kind: str, truth: Float[np.ndarray, "sample column"], p: Float[np.ndarray, "sample output"], predictors: int
) -> SampleSize:
    """Compute the numbers of a task from its labelled development samples and their out-of-fold answers."""
    n = len(truth)
    events = _events(kind, truth)
    ratio = events / predictors if events is not None and predictors else None
    if kind != "binary":
        reason = "computed for binary tasks only"
        return SampleSize(n, events, predictors, ratio, reason=reason)
    r2 = cox_snell(truth[:, 0] > 0.5, p[:, 0])
    if r2 <= 0 or not predictors:
        reason = "not estimable, since out-of-fold answers are no better than the outcome rate"
        return SampleSize(n, events, predictors, ratio, r2, reason=reason)
    return SampleSize(n, events, predictors, ratio, r2, shrinkage(n, predictors, r2), samples_for(predictors, r2))


def _events(kind: str, truth: np.ndarray) -> int | None:
    if kind == "binary":
        cases = int((truth[:, 0] > 0.5).sum())
        return min(cases, len(truth) - cases)
    return int((truth[:, 1] > 0.5).sum()) if kind == "time_to_event" else None


def cox_snell(truth: Bool[np.ndarray, " sample"], p: Float[np.ndarray, " sample"]) -> float:
    """Return Cox and Snell's R² of probabilities."""
    rate = truth.mean()
    chance = np.where(truth, p, 1 - p).clip(1e-12)
    null = np.where(truth, rate, 1 - rate).clip(1e-12)
    return float(1 - np.exp(2 * (np.log(null).mean() - np.log(chance).mean())))


def samples_for(predictors: int, r2: float, shrinkage: float = ADVISED) -> int:
    """Return the samples needed for an expected shrinkage.

    >>> samples_for(24, 0.288)
    623
    """
    return int(np.ceil(predictors / ((shrinkage - 1) * np.log(1 - min(r2 / shrinkage, 1 - 1e-9)))))


def shrinkage(n: int, predictors: int, r2: float) -> float:
    """Return the expected uniform shrinkage, from R² to 1: the inverse of `samples_for`."""

    def excess(s: float) -> float:
        return -n * (1 - s) * float(np.log(1 - r2 / s)) - predictors

    low, high = r2 * (1 + 1e-9), 1 - 1e-12
    if excess(low) <= 0:  # too few samples for any
        return float(r2)
    return float(brentq(excess, low, high))

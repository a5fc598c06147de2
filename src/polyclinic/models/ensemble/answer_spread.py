"""How much an answer would vary over refits on other development subjects: the basis of its interval.

The models of cross-fitting, each fitted without one of K folds, are the replicates of a delete-a-group jackknife (Kott
2001, J. Official Statistics 17, 521–526): the variance over refits is (K − 1)² / K times the variance between them. The
replicates are not kept, so that a bundle stays small: the logarithm of their variance is regressed on how much the
networks of the folds disagree, which is known of every patient. A development sample is judged by the replicates that
have all seen it, since the one that has not differs for another reason.

The variance between replicates also holds the randomness of the fits themselves, which the factor inflates. It lacks
the refitting of features and combination, which matters where outcomes are few: the interval is that of Student's t,
with a degree of freedom for every ten subjects of the rarer outcome. `python -m benchmarks audit` measures the coverage
of refits.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import expit, stdtrit

from polyclinic.models.ensemble.link_functions import log_odds

CONFIDENCE = 0.95

LEAST = 1e-4
"""Standard deviation, relative to the unit of the scale, below which differences count as equal."""
PRIOR = 1.0
"""Strength of the shrinkage of the slope towards none, in samples."""
MAX_SLOPE = 2.0
"""The spread grows at most with the square of the networks' disagreement, and never falls with it."""
CASES_PER_DEGREE = 10
"""Subjects of the rarer outcome per degree of freedom."""
LEAST_DEGREES = 4.0
LARGE = 20.0
"""Bound of the fitted logarithms, beyond any that a variance has."""


def to_scale(kind: str, answers: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    """Return answers on the scale of the interval: log-odds, and numbers as they are."""
    return np.asarray(answers, dtype=np.float64) if kind == "regression" else log_odds(answers)


def from_scale(kind: str, scores: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    """Return the answers of scores; inverts `to_scale`."""
    return np.asarray(scores if kind == "regression" else expit(scores))


def disagreement(kind: str, networks: Float[np.ndarray, "network sample output"]) -> Float[np.ndarray, "sample output"]:
    """Return the standard deviation between the networks' answers, on the scale of the interval; 0 without several."""
    if len(networks) < 2:
        return np.zeros(networks.shape[1:])
    deviation: np.ndarray = np.nanstd(to_scale(kind, networks), axis=0, ddof=1)
    return deviation


@dataclass(frozen=True)
class AnswerSpread:
    """The standard deviation of an answer over refits: log variance = intercept + slope · log disagreement."""

    kind: str
    folds: int
    unit: float  # of the scale
    intercept: tuple[float, ...]  # of each output
    slope: tuple[float, ...]
    quantile: tuple[float, ...]  # of the 95 % interval, in standard deviations

    @classmethod
    def fit(
        cls,
        kind: str,
        replicates: Float[np.ndarray, "fold sample output"],
        networks: Float[np.ndarray, "fold sample output"] | None,
        unseen: Bool[np.ndarray, "fold sample"],
        cases: Float[np.ndarray, " output"] | float,
    ) -> AnswerSpread:
        """Fit to the answers of each fold's models for development samples.

        Args:
            kind: of the task.
            replicates: the answers of the whole ensemble, fitted without each fold.
            networks: those of its network alone; None without.
            unseen: whether a fold's models were fitted without the sample; they are left out if two others are left.
            cases: number of development subjects with the rarer outcome, of each output.
        """
        scores = to_scale(kind, replicates)
        unit = max(float(scores.std()), LEAST) if kind == "regression" else 1.0
        left_out = unseen if len(replicates) > 2 else np.zeros_like(unseen)
        variance = _seen(scores, left_out).var(axis=0, ddof=1).filled(0.0) / unit**2
        apart = np.zeros_like(variance)
        if networks is not None:
            apart = _seen(to_scale(kind, networks), left_out).std(axis=0, ddof=1).filled(0.0) / unit
        lines = [_line(v, d) for v, d in zip(variance.T, apart.T, strict=True)]
        intercept, slope = zip(*lines, strict=True)
        degrees = np.maximum(np.broadcast_to(cases, len(intercept)) / CASES_PER_DEGREE, LEAST_DEGREES)
        quantile = stdtrit(degrees, (1 + CONFIDENCE) / 2)
        return cls(kind, len(replicates), unit, intercept, slope, tuple(quantile.tolist()))

    def __call__(self, apart: Float[np.ndarray, "sample output"]) -> Float[np.ndarray, "sample output"]:
        """Return the standard deviation over refits, given the networks' `disagreement`."""
        logs = np.log(np.maximum(apart / self.unit, LEAST))
        deviation = self.unit * np.exp((np.array(self.intercept) + np.array(self.slope) * logs) / 2)
        return np.asarray((self.folds - 1) / np.sqrt(self.folds) * deviation)

    def reach(
        self, apart: Float[np.ndarray, "sample output"], further: Float[np.ndarray, "sample output"]
    ) -> Float[np.ndarray, "sample output"]:
        """Return half of the width of the 95 % interval; `further` is the deviation from another source."""
        return np.asarray(np.array(self.quantile) * np.hypot(self(apart), further))

    def state(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> AnswerSpread:
        """Rebuild a spread from its state."""
        parts = (tuple(state[name]) for name in ("intercept", "slope", "quantile"))
        return cls(state["kind"], state["folds"], state["unit"], *parts)


def _seen(scores: np.ndarray, left_out: np.ndarray) -> np.ma.MaskedArray[Any, Any]:
    return np.ma.MaskedArray(scores, mask=np.broadcast_to(left_out[:, :, None], scores.shape))


def _line(variance: Float[np.ndarray, " sample"], apart: Float[np.ndarray, " sample"]) -> tuple[float, float]:
    """Fit log variance = intercept + slope · log apart by the gamma likelihood."""
    from scipy.optimize import minimize  # not needed in use

    known = np.maximum(variance, LEAST**2)
    known, scale = known / known.mean(), float(np.log(known.mean()))
    logs = np.log(np.maximum(apart, LEAST))
    centred = logs - logs.mean()

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        fitted = x[0] + x[1] * centred
        ratio = known * np.exp(-fitted)
        value = (ratio + fitted).mean() + PRIOR / 2 * x[1] ** 2 / len(known)
        by_slope = ((1 - ratio) * centred).mean() + PRIOR * x[1] / len(known)
        return float(value), np.array([(1 - ratio).mean(), by_slope])

    bounds = [(-LARGE, LARGE), (0, MAX_SLOPE)]
    intercept, slope = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(scale + intercept - slope * logs.mean()), float(slope)

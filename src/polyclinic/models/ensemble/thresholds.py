"""Operating thresholds from out-of-fold predictions, by sensitivity or by utility."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True)
class Utility:
    """Utility of each kind of prediction, in any unit; by default a false negative costs four false positives."""

    true_positive: float = 0.0
    false_positive: float = -1.0
    false_negative: float = -4.0
    true_negative: float = 0.0

    @classmethod
    def of(cls, harm_to_benefit: float) -> Utility:
        """Utility for a ratio of the harm of a false positive to the benefit of a true one (Vickers & Elkin 2006)."""
        return cls(true_positive=1.0, false_positive=-harm_to_benefit, false_negative=0.0)


def threshold_for_sensitivity(
    p: Float[np.ndarray, " sample"], y: Bool[np.ndarray, " sample"], sensitivity: float
) -> float:
    """Return the highest threshold (`p >= threshold`) of at least the given sensitivity.

    Raises:
        ValueError: there are no positives, or the sensitivity is outside (0, 1].
    """
    if not 0 < sensitivity <= 1:
        raise ValueError(f"the sensitivity must be above 0 and at most 1, not {sensitivity}")
    thresholds, true, _ = _curve(p, y)
    if not true[-1]:
        raise ValueError("no validation sample is positive: the sensitivity is undefined")
    return float(thresholds[np.argmax(true >= np.ceil(sensitivity * true[-1] - 1e-9))])


def threshold_for_utility(
    p: Float[np.ndarray, " sample"], y: Bool[np.ndarray, " sample"], utility: Utility | None = None
) -> float:
    """Return the threshold of maximum mean utility; the highest in a tie.

    A threshold just above every probability, with no positive predictions, is also considered.
    """
    worth = utility or Utility()
    thresholds, true, false = _curve(p, y)
    thresholds, true, false = np.append(np.nextafter(p.max(), 2), thresholds), np.append(0, true), np.append(0, false)
    gained = true * (worth.true_positive - worth.false_negative) + false * (worth.false_positive - worth.true_negative)
    return float(thresholds[np.argmax(gained)])


def _curve(p: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the distinct probabilities, highest first, and the true and false positives at each."""
    order = np.argsort(-p, kind="stable")
    last = np.append(np.diff(p[order]) != 0, True)
    true = np.cumsum(y[order] > 0.5)[last]
    return p[order][last], true, np.flatnonzero(last) + 1 - true

"""Operating thresholds from out-of-fold predictions: by sensitivity, or by utility."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True)
class Utility:
    """What each kind of call is worth, in any one unit; by default a missed case weighs four false alarms."""

    true_positive: float = 0.0
    false_positive: float = -1.0
    false_negative: float = -4.0
    true_negative: float = 0.0

    @classmethod
    def of(cls, harm_to_benefit: float) -> Utility:
        """Weigh the harm of a false alarm against the benefit of a true one, which is 1 (Vickers & Elkin 2006)."""
        return cls(true_positive=1.0, false_positive=-harm_to_benefit, false_negative=0.0)


def threshold_for_sensitivity(
    p: Float[np.ndarray, " sample"], y: Bool[np.ndarray, " sample"], sensitivity: float
) -> float:
    """Give the highest threshold at which at least `sensitivity` of the positives are called (`p >= threshold`).

    Raises ValueError where there is no positive, or for a sensitivity outside (0, 1].
    """
    if not 0 < sensitivity <= 1:
        raise ValueError(f"a sensitivity lies above 0 and up to 1, not at {sensitivity}")
    thresholds, true, _ = _curve(p, y)
    if not true[-1]:
        raise ValueError("no validation sample is positive: no threshold has a sensitivity")
    return float(thresholds[np.argmax(true >= np.ceil(sensitivity * true[-1] - 1e-9))])


def threshold_for_utility(
    p: Float[np.ndarray, " sample"], y: Bool[np.ndarray, " sample"], utility: Utility | None = None
) -> float:
    """Give the threshold of the greatest mean utility; of several as good, the highest.

    To call nobody is a choice too: its threshold is just above every probability.
    """
    worth = utility or Utility()
    thresholds, true, false = _curve(p, y)
    thresholds, true, false = np.append(np.nextafter(p.max(), 2), thresholds), np.append(0, true), np.append(0, false)
    gained = true * (worth.true_positive - worth.false_negative) + false * (worth.false_positive - worth.true_negative)
    return float(thresholds[np.argmax(gained)])


def _curve(p: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the distinct probabilities from the highest, and how many positives and negatives reach each."""
    order = np.argsort(-p, kind="stable")
    last = np.append(np.diff(p[order]) != 0, True)
    true = np.cumsum(y[order] > 0.5)[last]
    return p[order][last], true, np.flatnonzero(last) + 1 - true

"""Limits and scales, fitted on training values: outliers neither move them nor survive them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, Self

import numpy as np

from polyclinic.features.measurements import Measurements

EXTREME = 0.001
"""Share of the training values, at each end, that is set to the limit (winsorised)."""
CLIP = 10.0
"""Robustly scaled values are kept within this many standard deviations."""
NORMAL_IQR = 1.3489795003921634
"""Interquartile range of the standard normal distribution: with it, scales compare to standard deviations."""


def winsor_limits(events: Measurements, codes: int) -> list[tuple[float, float]]:
    """Give the lowest and highest value kept of each code: observed quantiles of its training values."""
    limits = [(0.0, 0.0)] * codes
    for code, places in events.by_code():
        low, high = np.quantile(events.value[places], [EXTREME, 1 - EXTREME], method="nearest")
        limits[code] = (float(low), float(high))
    return limits


class Scale(Protocol):
    """Standardises the values of one code by their training distribution; a frozen dataclass of JSON values."""

    @classmethod
    def fit(cls, values: np.ndarray) -> Self:
        """Fit to finite training values."""
        ...

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Standardise."""
        ...


@dataclass(frozen=True)
class RobustScale:
    """(value − median) / robust standard deviation, clipped: keeps distances."""

    centre: float
    spread: float

    @classmethod
    def fit(cls, values: np.ndarray) -> Self:
        """Take the quartiles; the plain standard deviation where half of the values are equal, and 1 where all are."""
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        spread = (high - low) / NORMAL_IQR or np.sort(values).std() or 1.0
        return cls(float(middle), float(spread))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Standardise."""
        return np.clip((values - self.centre) / self.spread, -CLIP, CLIP)


@dataclass(frozen=True)
class QuantileScale:
    """The value's rank in the training distribution, spread to mean 0 and variance 1: keeps order."""

    points: tuple[float, ...]  # values, ascending
    ranks: tuple[float, ...]  # the standardised rank of each

    @classmethod
    def fit(cls, values: np.ndarray) -> Self:
        """Take the percentiles; a value that spans several takes their mean."""
        grid = np.linspace(0, 1, 101)
        points, place = np.unique(np.quantile(values, grid), return_inverse=True)
        ranks = (np.bincount(place, weights=grid) / np.bincount(place) - 0.5) * np.sqrt(12)
        return cls(tuple(points.tolist()), tuple(ranks.tolist()))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Standardise."""
        ranks: np.ndarray = np.interp(values, self.points, self.ranks)
        return ranks


ScaleName = Literal["robust", "quantile"]
SCALES: Mapping[ScaleName, type[RobustScale] | type[QuantileScale]] = {"robust": RobustScale, "quantile": QuantileScale}

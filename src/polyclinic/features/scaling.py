"""Winsorising limits and scales, fitted on training values and robust to outliers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, Self

import numpy as np

from polyclinic.features.measurements import Measurements

EXTREME = 0.001
"""Share of the training values that is winsorised at each end."""
CLIP = 10.0
"""Robustly scaled values are clipped to this many standard deviations."""
NORMAL_IQR = 1.3489795003921634
"""Interquartile range of the standard normal distribution; dividing by it gives a robust standard deviation."""


def winsor_limits(events: Measurements, codes: int) -> list[tuple[float, float]]:
    """Return the lowest and highest value kept of each code: observed extreme quantiles of its values."""
    limits = [(0.0, 0.0)] * codes
    for code, places in events.by_code():
        low, high = np.quantile(events.value[places], [EXTREME, 1 - EXTREME], method="nearest")
        limits[code] = (float(low), float(high))
    return limits


class Scale(Protocol):
    """Standardise the values of one code by their training distribution; a frozen dataclass of JSON values."""

    @classmethod
    def fit(cls, values: np.ndarray) -> Self:
        """Fit to finite training values."""
        ...

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Standardise."""
        ...


@dataclass(frozen=True)
class RobustScale:
    """(value − median) / robust standard deviation, clipped; preserves distances."""

    centre: float
    spread: float

    @classmethod
    def fit(cls, values: np.ndarray) -> Self:
        """Use the quartiles; the standard deviation if half of the values are equal, and 1 if all are."""
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        spread = (high - low) / NORMAL_IQR or np.sort(values).std() or 1.0
        return cls(float(middle), float(spread))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Standardise."""
        return np.clip((values - self.centre) / self.spread, -CLIP, CLIP)


@dataclass(frozen=True)
class QuantileScale:
    """Rank in the training distribution, scaled to mean 0 and variance 1; preserves order."""

    points: tuple[float, ...]  # values, ascending
    ranks: tuple[float, ...]  # the standardised rank of each

    @classmethod
    def fit(cls, values: np.ndarray) -> Self:
        """Use the percentiles; a value that spans several gets their mean rank."""
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

"""Imputation and scaling for linear models, with balanced blocks of columns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

MAX_VARIANCE = 30.0
"""Maximum total variance of the scaled columns of a block; small blocks have the variance of their columns."""
CLIP = 3.0
"""Measurements are clipped to this many standard deviations, to bound the influence of outliers."""


@dataclass(frozen=True)
class Block:
    """Adjacent columns from one source."""

    name: str
    columns: int
    alike: bool = False  # columns share a unit (components, TF-IDF): keep their relative spread


@dataclass(frozen=True)
class Preparation:
    """Impute, centre, clip and scale; fitted on training samples.

    Large blocks have equal variance, as in multiple factor analysis (Escofier & Pagès 1994): otherwise the penalty
    would hardly affect a block of a thousand features, which would dominate.
    """

    fill: Float[np.ndarray, " column"]
    centre: Float[np.ndarray, " column"]
    reach: Float[np.ndarray, " column"]  # maximum distance from the centre
    scale: Float[np.ndarray, " column"]

    @classmethod
    def fit(cls, x: Float[np.ndarray, "sample column"], blocks: Sequence[Block]) -> "Preparation":
        """Fit medians, means and scales; columns that are constant or never known become 0."""
        known = ~np.isnan(x)
        empty = ~known.any(axis=0)
        fill = np.zeros(x.shape[1])
        fill[~empty] = np.nanmedian(x[:, ~empty], axis=0)
        filled = np.where(known, x, fill)
        spread = filled.std(axis=0)
        alike = np.repeat([block.alike for block in blocks], [block.columns for block in blocks])
        reach = np.where(alike, np.inf, CLIP * spread)
        return cls(fill, filled.mean(axis=0), reach, _scales(spread**2, blocks))

    def __call__(self, x: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, "sample column"]:
        """Impute and scale a matrix."""
        deviation = np.where(np.isnan(x), self.fill, x) - self.centre
        result: np.ndarray = np.clip(deviation, -self.reach, self.reach) / self.scale
        return result


def _scales(variance: np.ndarray, blocks: Sequence[Block]) -> np.ndarray:
    scales, start = np.ones_like(variance), 0
    for block in blocks:
        within = slice(start, start + block.columns)
        varying = variance[within] > 0
        total = min(MAX_VARIANCE, max(varying.sum(), 1))
        of_block = variance[within].sum() if block.alike else variance[within] * varying.sum()
        scales[within] = np.where(varying, np.sqrt(of_block / total), 1.0)
        start += block.columns
    return scales

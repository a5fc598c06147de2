"""What linear models need before they see a matrix: nothing missing, and no block of columns that drowns another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

MOST_VARIANCE = 30.0
"""Of the columns of one block together, once scaled; a small block has the variance of its columns."""
FAR = 3.0
"""Standard deviations beyond which a measurement says no more: outliers would bend a line."""


@dataclass(frozen=True)
class Block:
    """Neighbouring columns that come from one source."""

    name: str
    columns: int
    alike: bool = False  # the columns share a unit (components, TF-IDF): their relative spread is kept


@dataclass(frozen=True)
class Preparation:
    """Fill, centre, clip, scale; fitted on training samples.

    Large blocks have the same variance, as in multiple factor analysis (Escofier & Pagès 1994): otherwise the penalty
    on the weights would hardly touch a block of a thousand features, and they would decide alone.
    """

    fill: Float[np.ndarray, " column"]
    centre: Float[np.ndarray, " column"]
    reach: Float[np.ndarray, " column"]  # what lies further from the centre counts as lying there
    scale: Float[np.ndarray, " column"]

    @classmethod
    def fit(cls, x: Float[np.ndarray, "sample column"], blocks: Sequence[Block]) -> "Preparation":
        """Learn medians, means and scales; a column that is never known, or constant, becomes 0."""
        known = ~np.isnan(x)
        empty = ~known.any(axis=0)
        fill = np.zeros(x.shape[1])
        fill[~empty] = np.nanmedian(x[:, ~empty], axis=0)
        filled = np.where(known, x, fill)
        spread = filled.std(axis=0)
        alike = np.repeat([block.alike for block in blocks], [block.columns for block in blocks])
        reach = np.where(alike, np.inf, FAR * spread)
        return cls(fill, filled.mean(axis=0), reach, _scales(spread**2, blocks))

    def __call__(self, x: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, "sample column"]:
        """Prepare a matrix."""
        away = np.where(np.isnan(x), self.fill, x) - self.centre
        result: np.ndarray = np.clip(away, -self.reach, self.reach) / self.scale
        return result


def _scales(variance: np.ndarray, blocks: Sequence[Block]) -> np.ndarray:
    scales, start = np.ones_like(variance), 0
    for block in blocks:
        within = slice(start, start + block.columns)
        varying = variance[within] > 0
        total = min(MOST_VARIANCE, max(varying.sum(), 1))
        of_block = variance[within].sum() if block.alike else variance[within] * varying.sum()
        scales[within] = np.where(varying, np.sqrt(of_block / total), 1.0)
        start += block.columns
    return scales

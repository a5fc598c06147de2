"""What linear models need before they see a matrix: nothing missing, and no block of columns that drowns another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

BLOCK_VARIANCE = 30.0
"""Of the columns of one block together, once scaled."""


@dataclass(frozen=True)
class Block:
    """Neighbouring columns that come from one source."""

    name: str
    columns: int
    alike: bool = False  # the columns share a unit (components, TF-IDF): their relative spread is kept


@dataclass(frozen=True)
class Preparation:
    """Fill, centre, scale; fitted on training samples.

    Each block's variance adds up to the same, as in multiple factor analysis (Escofier & Pagès 1994): otherwise the
    penalty on the weights would hardly touch a block of a thousand picture features, and they would decide alone.
    """

    fill: Float[np.ndarray, " column"]
    centre: Float[np.ndarray, " column"]
    scale: Float[np.ndarray, " column"]

    @classmethod
    def fit(cls, x: Float[np.ndarray, "sample column"], blocks: Sequence[Block]) -> "Preparation":
        """Learn medians, means and scales; a column that is never known, or constant, becomes 0."""
        known = ~np.isnan(x)
        empty = ~known.any(axis=0)
        fill = np.zeros(x.shape[1])
        fill[~empty] = np.nanmedian(x[:, ~empty], axis=0)
        filled = np.where(known, x, fill)
        variance = filled.var(axis=0)
        return cls(fill, filled.mean(axis=0), _scales(variance, blocks))

    def __call__(self, x: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, "sample column"]:
        """Prepare a matrix; scaled values are kept within ±10 of their centre's scale."""
        result: np.ndarray = (np.where(np.isnan(x), self.fill, x) - self.centre) / self.scale
        return result


def _scales(variance: np.ndarray, blocks: Sequence[Block]) -> np.ndarray:
    scales, start = np.ones_like(variance), 0
    for block in blocks:
        within = slice(start, start + block.columns)
        varying = variance[within] > 0
        if block.alike:
            spread = np.full(block.columns, np.sqrt(variance[within].sum() / BLOCK_VARIANCE))
        else:
            spread = np.sqrt(variance[within] * max(varying.sum(), 1) / BLOCK_VARIANCE)
        scales[within] = np.where(varying, spread, 1.0)
        start += block.columns
    return scales

"""How well each of many columns separates an outcome alone, by ranks; NaN marks unknown values.

All columns are ranked at once, in chunks, so that thousands take seconds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import gammaln, ndtr

CHUNK = 256
"""Columns that are ranked together."""


class Separation(NamedTuple):
    """The AUROC of each column (below one half where low values go with the outcome), and its known values."""

    auroc: Float[np.ndarray, " column"]  # NaN unless both classes have known values
    positives: Int[np.ndarray, " column"]
    negatives: Int[np.ndarray, " column"]

    @property
    def chance(self) -> Float[np.ndarray, " column"]:
        """Probability of an AUROC as far from one half where the column is unrelated (Mann & Whitney 1947)."""
        ones, zeros = self.positives.astype(float), self.negatives.astype(float)
        deviation = np.sqrt((ones + zeros + 1) / np.maximum(12 * ones * zeros, 1))
        return np.asarray(2 * ndtr(-np.abs(self.auroc - 0.5) / deviation))


def separation(columns: Float[np.ndarray, "sample column"], truth: Bool[np.ndarray, " sample"]) -> Separation:
    """Return the AUROC of each column among the samples in which it is known; ties count half."""
    return separations(columns, truth[:, None])[0]


def separations(
    columns: Float[np.ndarray, "sample column"], truths: Bool[np.ndarray, "sample outcome"]
) -> list[Separation]:
    """Return `separation` for each of several outcomes; the columns are ranked once."""
    shape = (truths.shape[1], columns.shape[1])
    auroc, positives, negatives = np.full(shape, np.nan), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    is_true = truths.astype(np.float64).T
    for at in range(0, columns.shape[1], CHUNK):
        known, ranks = _ranked(columns[:, at : at + CHUNK])
        ones = is_true @ known
        zeros = known.sum(axis=0) - ones
        wins = is_true @ np.where(known, ranks, 0.0) - ones * (ones + 1) / 2
        place = slice(at, at + CHUNK)
        auroc[:, place] = np.where(ones * zeros > 0, wins / np.maximum(ones * zeros, 1), np.nan)
        positives[:, place], negatives[:, place] = ones, zeros
    return [Separation(*of_outcome) for of_outcome in zip(auroc, positives, negatives, strict=True)]


def spearman(
    columns: Float[np.ndarray, "sample column"], values: Float[np.ndarray, " sample"]
) -> tuple[Float[np.ndarray, " column"], Int[np.ndarray, " column"]]:
    """Return Spearman's correlation of each column with `values`, and the number of samples in which it is known."""
    parts = [_spearman(columns[:, at : at + CHUNK], values) for at in range(0, columns.shape[1], CHUNK)]
    rho = np.concatenate([np.zeros(0), *(part[0] for part in parts)])
    return rho, np.concatenate([np.zeros(0, dtype=np.int64), *(part[1] for part in parts)])


def _spearman(
    columns: Float[np.ndarray, "sample column"], values: Float[np.ndarray, " sample"]
) -> tuple[Float[np.ndarray, " column"], Int[np.ndarray, " column"]]:
    known, ranks = _ranked(columns)
    _, others = _ranked(np.where(known, values[:, None], np.nan))
    count = known.sum(axis=0)
    one, other = (np.where(known, r - (count + 1) / 2, 0.0) for r in (ranks, others))
    scale = np.sqrt((one**2).sum(axis=0) * (other**2).sum(axis=0))
    rho = (one * other).sum(axis=0) / np.where(scale > 0, scale, 1.0)
    return np.where(scale > 0, rho, np.nan), count


def _ranked(
    columns: Float[np.ndarray, "sample column"],
) -> tuple[Bool[np.ndarray, "sample column"], Float[np.ndarray, "sample column"]]:
    """Return which values are known, and their ranks among the known ones of their column, ties averaged."""
    from scipy.stats import rankdata  # slow to import, and not needed for assessments

    known = ~np.isnan(columns)
    if not len(columns):
        return known, np.zeros(columns.shape)
    return known, rankdata(np.where(known, columns, np.inf), axis=0)


def chance_of_one_class(
    present: Int[np.ndarray, " column"], of_class: int, samples: int
) -> Float[np.ndarray, " column"]:
    """Return the probability that all of `present` samples are of a class that `of_class` of all samples have.

    Hypergeometric, as in Fisher's exact test.
    """
    present, fits = np.asarray(present, dtype=float), np.asarray(present) <= of_class
    within = np.where(fits, present, 0.0)
    log = _log_choose(float(of_class), within) - _log_choose(float(samples), within)
    return np.where(fits, np.exp(log), 0.0)


def _log_choose(n: float, k: Float[np.ndarray, " column"]) -> Float[np.ndarray, " column"]:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))

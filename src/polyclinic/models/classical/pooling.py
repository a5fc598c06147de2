"""Pooling of series, notes and images to one row per sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float, Int

from polyclinic.features import Arrays
from polyclinic.features.image.featurizer import pooled

SUMMARIES = ("last", "first", "minimum", "maximum", "mean", "sd", "count")
TRENDS = ("recent mean", "change", "median")
SHARES = ("share low", "share high")
BATCH_ROWS = 64


def summary_names(codes: Sequence[str], summaries: Sequence[str] = SUMMARIES) -> list[str]:
    """Return the column names of `series_summaries`, or those of other summaries."""
    return [f"{code} {summary}" for summary in summaries for code in codes]


@dataclass(frozen=True)
class Cells:
    """The triplets of all samples, oldest first within each cell of `[sample, code]`."""

    shape: tuple[int, int]
    cell: Int[np.ndarray, " triplet"]
    value: Float[np.ndarray, " triplet"]
    hours: Float[np.ndarray, " triplet"]  # before the prediction

    @classmethod
    def of(cls, arrays: Arrays, codes: int) -> Self:
        """Read the triplets of samples that have the modality."""
        code = np.where(arrays["present"][:, None], arrays["triplet_code"], 0)
        sample, position = np.nonzero(code)
        cell = sample * codes + code[sample, position] - 1
        value, hours = (arrays[f"triplet_{name}"][sample, position].astype(np.float64) for name in ("value", "time"))
        return cls((len(code), codes), cell, value, hours)

    def mean(self, weight: Float[np.ndarray, " triplet"], value: np.ndarray | None = None) -> np.ndarray:
        """Return the weighted mean of each cell, of the triplets' values or others; NaN without weight."""
        value, cells = self.value if value is None else value, self.shape[0] * self.shape[1]
        total = np.bincount(self.cell, weight, cells)
        result = np.full(cells, np.nan)
        np.divide(np.bincount(self.cell, weight * value, cells), total, out=result, where=total > 0)
        return result

    def median(self) -> np.ndarray:
        """Return the median of each cell; NaN without triplets."""
        order = np.lexsort((self.value, self.cell))
        cell, start, number = np.unique(self.cell[order], return_index=True, return_counts=True)
        value, result = self.value[order], np.full(self.shape[0] * self.shape[1], np.nan)
        result[cell] = (value[start + (number - 1) // 2] + value[start + number // 2]) / 2
        return result

    def table(self, columns: Sequence[np.ndarray]) -> Float[np.ndarray, "sample column*code"]:
        """Return columns of cells as a matrix."""
        samples, codes = self.shape
        return np.stack(columns).reshape(len(columns), samples, codes).transpose(1, 0, 2).reshape(samples, -1)


def series_summaries(arrays: Arrays, codes: int) -> Float[np.ndarray, "sample 7*code"]:
    """Summarise each code's triplets; NaN if recorded are none, 0 for the count."""
    cells = Cells.of(arrays, codes)
    cell, numbers, size = cells.cell, cells.value, len(arrays["present"]) * codes
    table = np.full((len(SUMMARIES), size), np.nan)
    count = np.bincount(cell, minlength=size)
    recorded = count > 0
    table[0, cell] = numbers
    table[1, cell[::-1]] = numbers[::-1]
    lowest, highest = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(lowest, cell, numbers)
    np.maximum.at(highest, cell, numbers)
    table[2, recorded], table[3, recorded] = lowest[recorded], highest[recorded]
    mean = np.bincount(cell, numbers, size)[recorded] / count[recorded]
    square = np.bincount(cell, numbers**2, size)[recorded] / count[recorded]
    table[4, recorded], table[5, recorded] = mean, np.sqrt(np.maximum(square - mean**2, 0))
    table[6] = count
    return cells.table(list(table))


def series_trends(arrays: Arrays, codes: int, window_hours: float) -> Float[np.ndarray, "sample 3*code"]:
    """Return each code's `TRENDS`: NaN where they are unknown.

    The recent mean weighs a value half for each quarter of the window that it is older; the change is the mean of the
    last half of the window less that of what came before.
    """
    cells = Cells.of(arrays, codes)
    late = (cells.hours <= window_hours / 2).astype(np.float64)
    recent = cells.mean(0.5 ** (cells.hours / (window_hours / 4)))
    return cells.table([recent, cells.mean(late) - cells.mean(1 - late), cells.median()])


def series_shares(
    arrays: Arrays, low: Float[np.ndarray, " code"], high: Float[np.ndarray, " code"]
) -> Float[np.ndarray, "sample 2*code"]:
    """Return the shares of each code's values below `low` and above `high`; NaN if there are none."""
    cells = Cells.of(arrays, len(low))
    code, weight = cells.cell % max(len(low), 1), np.ones(len(cells.cell))
    return cells.table([cells.mean(weight, cells.value < low[code]), cells.mean(weight, cells.value > high[code])])


def usual_range(
    arrays: Arrays, codes: int, quantiles: tuple[float, float]
) -> tuple[Float[np.ndarray, " code"], Float[np.ndarray, " code"]]:
    """Return quantiles of each code's values; infinite where there are none."""
    cells = Cells.of(arrays, codes)
    low, high = np.full(codes, -np.inf), np.full(codes, np.inf)
    code = cells.cell % max(codes, 1)
    for place in np.unique(code):
        low[place], high[place] = np.quantile(cells.value[code == place], quantiles)
    return low, high


def pooled_sentences(arrays: Arrays, rows: Int[np.ndarray, " row"] | None = None) -> Float[np.ndarray, "row feature"]:
    """Average each sample's sentences; 0 if there are none. They are read in batches of samples."""
    rows = np.arange(len(arrays["sentence_mask"])) if rows is None else rows
    parts = []
    for start in range(0, max(len(rows), 1), BATCH_ROWS):
        chosen = rows[start : start + BATCH_ROWS]
        mask = arrays["sentence_mask"][chosen]
        parts.append(_mean(np.where(mask[..., None], arrays["sentences"][chosen], 0), mask))
    return np.concatenate(parts)


def pooled_images(arrays: Arrays, rows: Int[np.ndarray, " row"] | None = None) -> Float[np.ndarray, "row feature"]:
    """Average each sample's images, with pooled maps; 0 if there are none.

    Memory-mapped maps are read in batches of samples.
    """
    rows = np.arange(len(arrays["view_mask"])) if rows is None else rows
    parts = []
    for start in range(0, max(len(rows), 1), BATCH_ROWS):
        chosen = rows[start : start + BATCH_ROWS]
        mask = arrays["view_mask"][chosen]
        views = arrays["pooled"][chosen] if "pooled" in arrays else pooled(arrays["tokens"][chosen])
        parts.append(_mean(np.where(mask[..., None], views, 0).astype(np.float32), mask).astype(np.float32))
    return np.concatenate(parts)


def _mean(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    mean: np.ndarray = values.sum(axis=1) / np.maximum(mask.sum(axis=1), 1)[:, None]
    return mean

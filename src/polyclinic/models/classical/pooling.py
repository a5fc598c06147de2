"""Pooling of series, notes and images to one row per sample."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from polyclinic.features import Arrays
from polyclinic.features.image.featurizer import pooled

SUMMARIES = ("last", "first", "minimum", "maximum", "mean", "sd", "count")
BATCH_ROWS = 64


def summary_names(codes: Sequence[str]) -> list[str]:
    """Return the column names of `series_summaries`."""
    return [f"{code} {summary}" for summary in SUMMARIES for code in codes]


def series_summaries(arrays: Arrays, codes: int) -> Float[np.ndarray, "sample 7*code"]:
    """Summarise each code's triplets, oldest first; NaN if recorded are none, 0 for the count."""
    code = np.where(arrays["present"][:, None], arrays["triplet_code"], 0)
    value = arrays["triplet_value"].astype(np.float64)
    sample, position = np.nonzero(code)
    cell = sample * codes + code[sample, position] - 1
    cells, numbers = len(code) * codes, value[sample, position]
    table = np.full((len(SUMMARIES), cells), np.nan)
    count = np.bincount(cell, minlength=cells)
    recorded = count > 0
    table[0, cell] = numbers
    table[1, cell[::-1]] = numbers[::-1]
    lowest, highest = np.full(cells, np.inf), np.full(cells, -np.inf)
    np.minimum.at(lowest, cell, numbers)
    np.maximum.at(highest, cell, numbers)
    table[2, recorded], table[3, recorded] = lowest[recorded], highest[recorded]
    mean = np.bincount(cell, numbers, cells)[recorded] / count[recorded]
    square = np.bincount(cell, numbers**2, cells)[recorded] / count[recorded]
    table[4, recorded], table[5, recorded] = mean, np.sqrt(np.maximum(square - mean**2, 0))
    table[6] = count
    return table.reshape(len(SUMMARIES), len(code), codes).transpose(1, 0, 2).reshape(len(code), -1)


def pooled_sentences(arrays: Arrays, rows: Int[np.ndarray, " row"] | None = None) -> Float[np.ndarray, "row feature"]:
    """Average each sample's sentences; 0 if there are none."""
    chosen = slice(None) if rows is None else rows
    mask = arrays["sentence_mask"][chosen]
    return _mean(np.where(mask[..., None], arrays["sentences"][chosen], 0), mask)


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

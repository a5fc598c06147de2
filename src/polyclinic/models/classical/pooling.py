"""One row of numbers per sample, of series, notes and pictures."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from polyclinic.features import Arrays
from polyclinic.features.image.featurizer import pooled

SUMMARIES = ("last", "first", "minimum", "maximum", "mean", "sd", "count")
ROWS_AT_ONCE = 64


def summary_names(codes: Sequence[str]) -> list[str]:
    """Name the columns of `series_summaries`."""
    return [f"{code} {summary}" for summary in SUMMARIES for code in codes]


def series_summaries(arrays: Arrays, codes: int) -> Float[np.ndarray, "sample 7*code"]:
    """Summarise each code's triplets, which come oldest first; NaN where there is none, 0 for the count."""
    code = np.where(arrays["present"][:, None], arrays["triplet_code"], 0)
    value = arrays["triplet_value"].astype(np.float64)
    sample, place = np.nonzero(code)
    cell = sample * codes + code[sample, place] - 1
    cells, numbers = len(code) * codes, value[sample, place]
    table = np.full((len(SUMMARIES), cells), np.nan)
    count = np.bincount(cell, minlength=cells)
    there = count > 0
    table[0, cell] = numbers
    table[1, cell[::-1]] = numbers[::-1]
    lowest, highest = np.full(cells, np.inf), np.full(cells, -np.inf)
    np.minimum.at(lowest, cell, numbers)
    np.maximum.at(highest, cell, numbers)
    table[2, there], table[3, there] = lowest[there], highest[there]
    mean = np.bincount(cell, numbers, cells)[there] / count[there]
    square = np.bincount(cell, numbers**2, cells)[there] / count[there]
    table[4, there], table[5, there] = mean, np.sqrt(np.maximum(square - mean**2, 0))
    table[6] = count
    return table.reshape(len(SUMMARIES), len(code), codes).transpose(1, 0, 2).reshape(len(code), -1)


def pooled_sentences(arrays: Arrays, rows: Int[np.ndarray, " row"] | None = None) -> Float[np.ndarray, "row feature"]:
    """Average each sample's sentences; 0 where there is none."""
    chosen = slice(None) if rows is None else rows
    mask = arrays["sentence_mask"][chosen]
    return _mean(np.where(mask[..., None], arrays["sentences"][chosen], 0), mask)


def pooled_pictures(arrays: Arrays, rows: Int[np.ndarray, " row"] | None = None) -> Float[np.ndarray, "row feature"]:
    """Average each sample's pictures, of whose maps the cells are pooled; 0 where there is none.

    Maps that lie in memory-mapped files are read a few samples at a time.
    """
    rows = np.arange(len(arrays["view_mask"])) if rows is None else rows
    found = []
    for start in range(0, max(len(rows), 1), ROWS_AT_ONCE):
        chosen = rows[start : start + ROWS_AT_ONCE]
        mask = arrays["view_mask"][chosen]
        views = arrays["pooled"][chosen] if "pooled" in arrays else pooled(arrays["tokens"][chosen])
        found.append(_mean(np.where(mask[..., None], views, 0).astype(np.float32), mask).astype(np.float32))
    return np.concatenate(found)


def _mean(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    mean: np.ndarray = values.sum(axis=1) / np.maximum(mask.sum(axis=1), 1)[:, None]
    return mean

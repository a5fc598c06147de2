"""Categorical values of records: short texts without a number, such as `DEMOGRAPHIC//sex` = `female`."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from polyclinic.features.featurizer import sample_rows
from polyclinic.features.measurements import encode, hours_before


class Categories(NamedTuple):
    """The latest categories of each code of each sample; several where several were recorded at one time."""

    row: np.ndarray  # int64 [event], of the sample
    code: np.ndarray  # int64 [event], index among the codes of the vocabulary
    category: np.ndarray  # int64 [event], index among the concatenated categories of all codes; -1: unknown


def categorise(known: pl.DataFrame, samples: pl.DataFrame, vocabulary: Mapping[str, Sequence[str]]) -> Categories:
    """Return the latest categories of the codes in `vocabulary`."""
    codes, rows = encode(known["code"], list(vocabulary)), sample_rows(known, samples)
    lacks_text, lacks_number = (known[column].is_null().to_numpy() for column in ("text_value", "numeric_value"))
    kept = np.flatnonzero((codes >= 0) & (rows >= 0) & lacks_number & ~lacks_text)
    rows, codes = rows[kept], codes[kept]
    latest = _latest(
        rows * max(len(vocabulary), 1) + codes, hours_before(known["time"].to_numpy()[kept], samples, rows)
    )
    words = sorted({text for texts in vocabulary.values() for text in texts})
    word = encode(known["text_value"].gather(kept[latest]), words)
    return Categories(rows[latest], codes[latest], _category_indices(vocabulary, words)[codes[latest], word])


def _category_indices(vocabulary: Mapping[str, Sequence[str]], words: Sequence[str]) -> np.ndarray:
    """Return the index of each word among the concatenated categories of all codes, int64 `[code, word]`; -1: none.

    The last column is that of an unknown word.
    """
    indices = np.full((len(vocabulary), len(words) + 1), -1, dtype=np.int64)
    column = {word: number for number, word in enumerate(words)}
    pairs = [(code, column[text]) for code, texts in enumerate(vocabulary.values()) for text in texts]
    for index, pair in enumerate(pairs):
        indices[pair] = index
    return indices


def _latest(group: np.ndarray, hours: np.ndarray) -> np.ndarray:
    """Return a mask of the latest events of each group; static facts count as oldest."""
    age = np.where(np.isnan(hours), np.inf, hours)
    groups, place = np.unique(group, return_inverse=True)
    newest = np.full(len(groups), np.inf)
    np.minimum.at(newest, place, age)
    latest: np.ndarray = age == newest[place]
    return latest


def frequent_categories(known: pl.DataFrame, codes: Sequence[str], least: int, most: int) -> dict[str, list[str]]:
    """Return the `most` frequent categories of each code found in at least `least` samples, sorted."""
    counted = (
        known.lazy()
        .filter(
            pl.col("code").is_in(list(codes)) & pl.col("text_value").is_not_null() & pl.col("numeric_value").is_null()
        )
        .group_by("code", "text_value")
        .agg(samples=pl.col("sample").n_unique())
        .filter(pl.col("samples") >= least)
        .sort("samples", "text_value", descending=[True, False])
        .collect()
    )
    kept: dict[str, list[str]] = {code: [] for code in codes}
    for code, text in counted.select("code", "text_value").iter_rows():
        if len(kept[code]) < most:
            kept[code].append(text)
    return {code: sorted(texts) for code, texts in kept.items()}

"""The categories in a record: short texts without a number, such as `DEMOGRAPHIC//sex` = `female`."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from polyclinic.features.featurizer import sample_rows
from polyclinic.features.measurements import encode, hours_before

_BETWEEN = "\x1f"


class Categories(NamedTuple):
    """The latest categories of each code of each sample; several where several were recorded at one time."""

    row: np.ndarray  # int64 [event], of the sample
    code: np.ndarray  # int64 [event], place among the codes of the vocabulary
    category: np.ndarray  # int64 [event], place among the categories of all codes in turn; -1: none of them


def categorise(known: pl.DataFrame, samples: pl.DataFrame, vocabulary: Mapping[str, Sequence[str]]) -> Categories:
    """Find the latest categories of the codes in `vocabulary`."""
    codes = encode(known["code"], list(vocabulary))
    is_category = (known["text_value"].is_not_null() & known["numeric_value"].is_null()).to_numpy()
    rows = sample_rows(known, samples)
    kept = np.flatnonzero((codes >= 0) & is_category & (rows >= 0))
    events, rows, codes = known[kept], rows[kept], codes[kept]
    pairs = [f"{code}{_BETWEEN}{text}" for code, texts in vocabulary.items() for text in texts]
    category = encode(events["code"].cast(pl.String) + _BETWEEN + events["text_value"], pairs)
    latest = _latest(rows * max(len(vocabulary), 1) + codes, hours_before(events["time"], samples, rows))
    return Categories(rows[latest], codes[latest], category[latest])


def _latest(group: np.ndarray, hours: np.ndarray) -> np.ndarray:
    """Tell which events are the latest of their group; static facts are so where nothing else is."""
    age = np.where(np.isnan(hours), np.inf, hours)
    groups, place = np.unique(group, return_inverse=True)
    newest = np.full(len(groups), np.inf)
    np.minimum.at(newest, place, age)
    latest: np.ndarray = age == newest[place]
    return latest


def frequent_categories(known: pl.DataFrame, codes: Sequence[str], least: int, most: int) -> dict[str, list[str]]:
    """Give the categories of each code that at least `least` samples have, the `most` frequent, sorted."""
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

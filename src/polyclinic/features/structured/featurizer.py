"""Static facts and summary statistics of measurements: one row of features per sample."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import polars as pl

from polyclinic.cohort import modality
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.features.featurizer import Arrays, Featurizer, NotFittedError, sample_rows
from polyclinic.features.measurements import count_events, measure
from polyclinic.features.scaling import CLIP, RobustScale, winsor_limits
from polyclinic.features.structured.categories import frequent_categories
from polyclinic.features.structured.columns import Column, Layout, RawFeatures, is_scaled

CONSTANT = 1e-6
"""Relative range at or below which a column counts as constant: float32 rounding."""
MOST_CATEGORIES = 30
"""Per code; the others are pooled as rare."""


class StructuredFeaturizer(Featurizer):
    """Numbers → statistics per code, categories → one-hot; unknown values are masked.

    For each code of the modality: last, first, minimum, maximum, mean, sd, count, slope per hour and hours since last
    of its numbers; its latest category, `rare` if pooled and `unknown` if there is none. An event without a value
    counts as 1. Numbers beyond a code's extreme training quantiles are winsorised. Codes found in fewer than
    `least_share` of the training samples, or in fewer than `least_samples`, are left out; categories as rare are
    pooled. Columns that are constant in training or duplicate another of their code are dropped. Missingness is
    encoded as a `count` of 0, or as `unknown`.

    Arrays: `values` float32 `[sample, feature]`, numbers scaled robustly and clipped, 0 where unknown; `known`
    Boolean `[sample, feature]`; `present` Boolean `[sample]`: whether any code of the layout is recorded.
    """

    modality: ClassVar[str] = "structured"

    def __init__(self, least_share: float = 0.01, least_samples: int = 5) -> None:
        self.least_share = least_share
        self.least_samples = least_samples
        self._layout: Layout | None = None

    @classmethod
    def of(cls, options: Any, cache: EncoderCache) -> StructuredFeaturizer:  # noqa: ARG003
        """Return an unfitted featurizer; it has no options."""
        return cls()

    @property
    def layout(self) -> Layout:
        """The fitted codes and columns."""
        if self._layout is None:
            raise NotFittedError(self)
        return self._layout

    def fit(self, known: pl.DataFrame, samples: pl.DataFrame) -> StructuredFeaturizer:
        """Fit codes, categories, limits, columns and scales on training samples."""
        least = max(self.least_samples, math.ceil(self.least_share * samples.height))
        known = known.filter(pl.Series(sample_rows(known, samples) >= 0))
        numeric, bare, texts = _codes(known, least)
        limits = winsor_limits(measure(known, samples, numeric), len(numeric))
        categories = frequent_categories(known, texts, least, MOST_CATEGORIES)
        full = Layout.full(dict(zip(numeric, limits, strict=True)), bare, categories)
        columns = _informative(full.columns, full.read(known, samples).values, least)
        self._layout = replace(full, columns=columns)
        return self

    def transform(self, known: pl.DataFrame, samples: pl.DataFrame, classical: bool = False) -> Arrays:
        """Return `values`, `known` and `present`; with `classical` also `raw`, the values of `raw()`."""
        raw, present = self.raw(known, samples)
        values = np.nan_to_num(np.clip((raw - self.layout.centres) / self.layout.spreads, -CLIP, CLIP), nan=0.0)
        arrays: Arrays = {"values": values.astype(np.float32), "known": ~np.isnan(raw), "present": present}
        return arrays | ({"raw": raw} if classical else {})

    def raw(self, known: pl.DataFrame, samples: pl.DataFrame) -> RawFeatures:
        """Return the unscaled features, NaN where unknown."""
        return self.layout.read(known, samples)

    @property
    def names(self) -> list[str]:
        """The names of the features, in the order of the arrays."""
        return [column.name for column in self.layout.columns]

    @property
    def column_names(self) -> list[str]:
        """The names of the features."""
        return self.names

    @property
    def codes_read(self) -> frozenset[str]:
        """The codes of the features."""
        return frozenset(self.layout.codes)

    def sizes(self, arrays: Arrays) -> dict[str, Any]:
        """Return the number of features, and the group of each."""
        return {"features": arrays["values"].shape[1], "groups": self.groups}

    @property
    def groups(self) -> tuple[int, ...]:
        """The index of each feature's code, from 0 in order of appearance."""
        numbers: dict[str, int] = {}
        return tuple(numbers.setdefault(column.code, len(numbers)) for column in self.layout.columns)

    def ignored(self, known: pl.DataFrame) -> dict[str, int]:
        """Count the events of each structured code that was absent or too rare in training."""
        return count_events(known, [code for code in _structured(known) if code not in self.layout.codes])

    def state(self) -> dict[str, Any]:
        """Return the fitted state as JSON values."""
        return {"least_share": self.least_share, "least_samples": self.least_samples, **self.layout.state()}

    @classmethod
    def from_state(cls, state: dict[str, Any], *, cache: EncoderCache | None = None) -> StructuredFeaturizer:  # noqa: ARG003
        """Rebuild a featurizer from its state."""
        featurizer = cls(state["least_share"], state["least_samples"])
        featurizer._layout = Layout.from_state(state)
        return featurizer


def _structured(known: pl.DataFrame) -> list[str]:
    """Return the structured codes that occur, sorted."""
    codes = known["code"].unique().cast(pl.String).sort().to_list()
    return [code for code in codes if modality(code) == "structured"]


def _codes(known: pl.DataFrame, least: int) -> tuple[list[str], list[str], list[str]]:
    """Return the codes found in at least `least` samples: numeric, without any value, and categorical; sorted."""
    number, text = pl.col("numeric_value").is_finite().fill_null(False), pl.col("text_value").is_not_null()
    has = {"number": number, "text": text & pl.col("numeric_value").is_null(), "any": pl.lit(True)}
    counted = (
        known.lazy()
        .filter(pl.col("code").is_in(_structured(known)))
        .group_by("code")
        .agg(pl.col("sample").filter(having).n_unique().alias(name) for name, having in has.items())
        .filter(pl.col("any") >= least)
        .sort("code")
        .collect()
    )
    numeric = counted.filter(pl.col("number") >= least)["code"].to_list()
    texts = counted.filter(pl.col("text") >= least)["code"].to_list()
    bare = counted.filter((pl.col("number") == 0) & (pl.col("text") == 0))["code"].to_list()
    return numeric, bare, texts


def _informative(columns: list[Column], values: np.ndarray, least: int) -> list[Column]:
    """Keep the columns that vary and do not duplicate an earlier one of their code; fit their scales."""
    kept: list[Column] = []
    seen: set[tuple[str, bytes]] = set()
    for column, of_column in zip(columns, values.T, strict=True):
        known = of_column[~np.isnan(of_column)]
        content = (column.code, of_column.tobytes())
        if len(known) < least or np.ptp(known) <= CONSTANT * np.abs(known).max() or content in seen:
            continue
        seen.add(content)
        scale = RobustScale.fit(known) if is_scaled(column) else RobustScale(0.0, 1.0)
        kept.append(column._replace(centre=scale.centre, spread=scale.spread))
    return kept

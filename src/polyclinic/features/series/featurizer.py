"""Timed measurements as (time, code, value) triplets and on a regular time grid."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import polars as pl
from pydantic import BaseModel, Field

from polyclinic.cohort import kind, modality
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.features.featurizer import Arrays, Featurizer, NotFittedError, Request, sample_rows
from polyclinic.features.measurements import Measurements, count_events, measure
from polyclinic.features.scaling import SCALES, QuantileScale, RobustScale, ScaleName, winsor_limits
from polyclinic.features.series.representations import Form, grid, triplets

NOT_SERIES = ("DEMOGRAPHIC", "DICOM")
"""Kinds of code whose numbers are not a time series, even with a time."""
BIN_HOURS = (0.25, 0.5, 1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 168, 336, 730)
"""Candidate bin widths."""
MOST_BINS = 48


class SeriesOptions(BaseModel, frozen=True, extra="forbid"):
    """Options of the series; None: derived from training samples."""

    forms: tuple[Form, ...] = ("triplets", "grid")
    scale: ScaleName = "robust"
    longest: int = Field(768, ge=1)  # triplets kept per sample, the newest
    window_hours: float | None = Field(None, gt=0)  # of the grid; None: covers 99 % of the training records
    bin_hours: float | None = Field(None, gt=0)  # None: chosen to give at most 48 bins
    least_share: float = Field(0.05, ge=0, le=1)  # of training samples that have a code
    least_samples: int = Field(5, ge=1)


class SeriesState(BaseModel, frozen=True, extra="forbid"):
    """State fitted on training samples."""

    codes: tuple[str, ...]
    limits: tuple[tuple[float, float], ...]  # of each code: lowest and highest value kept
    scales: tuple[RobustScale | QuantileScale, ...]  # of each code
    length: int  # triplets of one sample
    bins: int
    bin_hours: float
    window_hours: float  # time before the prediction covered by the grid


class SeriesFeaturizer(Featurizer):
    """Timed numbers → triplets and a grid, standardised per code.

    Codes are those with a timed number in enough training samples. Values are winsorised at a code's extreme training
    quantiles, then standardised by its training distribution.

    Arrays: `present` Boolean `[sample]`: whether any of the codes is recorded; and those of the forms, see
    `representations`.
    """

    modality: ClassVar[str] = "series"

    def __init__(self, options: SeriesOptions | None = None) -> None:
        self.options = options or SeriesOptions()
        self._fitted: SeriesState | None = None

    @classmethod
    def of(cls, options: Any, cache: EncoderCache) -> SeriesFeaturizer:  # noqa: ARG003
        """Return an unfitted featurizer."""
        return cls(options)

    @classmethod
    def options_for(cls, request: Request) -> SeriesOptions:
        """Return options with the scale of the request."""
        return SeriesOptions(scale=request.scale)

    @classmethod
    def is_recorded(cls, known: pl.DataFrame, samples: pl.DataFrame) -> bool:
        """Return whether any code has a timed number in enough samples."""
        return bool(_with_timed_numbers(known, _least(SeriesOptions(), samples)))

    @property
    def fitted(self) -> SeriesState:
        """The fitted state."""
        if self._fitted is None:
            raise NotFittedError(self)
        return self._fitted

    @property
    def codes(self) -> tuple[str, ...]:
        """The channels of the grid; triplets number them from 1."""
        return self.fitted.codes

    def fit(self, known: pl.DataFrame, samples: pl.DataFrame) -> SeriesFeaturizer:
        """Fit codes, limits, scales, length and grid on training samples."""
        options = self.options
        known = known.filter(pl.Series(sample_rows(known, samples) >= 0))
        codes = _with_timed_numbers(known, _least(options, samples))
        events = _timed(measure(known, samples, codes))
        limits = winsor_limits(events, len(codes))
        events = events.within(limits)
        scales = {code: SCALES[options.scale].fit(events.value[rows]) for code, rows in events.by_code()}
        longest = int(np.bincount(events.row, minlength=1).max())
        window = options.window_hours or _usual_window(events)
        width = options.bin_hours or next((w for w in BIN_HOURS if window / w <= MOST_BINS), window / MOST_BINS)
        self._fitted = SeriesState(
            codes=tuple(codes),
            limits=tuple(limits),
            scales=tuple(scales[code] for code in range(len(codes))),
            length=max(1, min(longest, options.longest)),
            bins=math.ceil(window / width),
            bin_hours=width,
            window_hours=window,
        )
        return self

    def transform(self, known: pl.DataFrame, samples: pl.DataFrame, classical: bool = False) -> Arrays:  # noqa: ARG002
        """Return `present` and the arrays of the forms; classical models use the same."""
        fitted = self.fitted
        events = _timed(measure(known, samples, fitted.codes)).within(fitted.limits)
        values = np.empty(len(events.value))
        for code, rows in events.by_code():
            values[rows] = fitted.scales[code](events.value[rows])
        arrays: Arrays = {"present": np.bincount(events.row, minlength=samples.height) > 0}
        if "triplets" in self.options.forms:
            arrays |= triplets(events, values, samples.height, fitted.length)
        if "grid" in self.options.forms:
            shape = (samples.height, fitted.bins, len(fitted.codes))
            arrays |= grid(events, values, shape, fitted.bin_hours, fitted.window_hours)
        return arrays

    @property
    def column_names(self) -> list[str]:
        """The codes."""
        return list(self.codes)

    @property
    def codes_read(self) -> frozenset[str]:
        """The codes."""
        return frozenset(self.codes)

    def sizes(self, arrays: Arrays) -> dict[str, Any]:  # noqa: ARG002
        """Return the number of codes, with the padding code 0, and of channels."""
        return {"codes": len(self.codes) + 1, "channels": len(self.codes)}

    def ignored(self, known: pl.DataFrame) -> dict[str, int]:
        """Count the events of each code with timed numbers that was absent or too rare in training."""
        unseen = [code for code in _with_timed_numbers(known, 1) if code not in self.fitted.codes]
        return count_events(known, unseen)

    def state(self) -> dict[str, Any]:
        """Return the options and the fitted state as JSON values."""
        return {"options": self.options.model_dump(mode="json"), "fitted": self.fitted.model_dump(mode="json")}

    @classmethod
    def from_state(cls, state: dict[str, Any], *, cache: EncoderCache | None = None) -> SeriesFeaturizer:  # noqa: ARG003
        """Rebuild a featurizer from its state."""
        featurizer = cls(SeriesOptions.model_validate(state["options"]))
        featurizer._fitted = SeriesState.model_validate(state["fitted"])
        return featurizer


def _timed(events: Measurements) -> Measurements:
    return events.where(~np.isnan(events.hours))


def _least(options: SeriesOptions, samples: pl.DataFrame) -> int:
    """Return the number of samples that must have a code."""
    return max(options.least_samples, math.ceil(options.least_share * samples.height))


def _with_timed_numbers(known: pl.DataFrame, least: int) -> list[str]:
    """Return the codes with a timed number in at least `least` samples, sorted."""
    counted = (
        known.lazy()
        .filter(pl.col("time").is_not_null() & pl.col("numeric_value").is_finite())
        .group_by("code")
        .agg(samples=pl.col("sample").n_unique())
        .filter(pl.col("samples") >= least)
        .collect()
    )
    codes = counted["code"].cast(pl.String).sort().to_list()
    return [code for code in codes if modality(code) == "structured" and kind(code) not in NOT_SERIES]


def _usual_window(events: Measurements) -> float:
    """Return the whole hours that cover the records of 99 % of the samples."""
    if len(events.row) == 0:
        return 1.0
    oldest = np.zeros(events.row.max() + 1)
    np.maximum.at(oldest, events.row, events.hours)
    return float(max(1, math.ceil(np.quantile(oldest[np.unique(events.row)], 0.99))))

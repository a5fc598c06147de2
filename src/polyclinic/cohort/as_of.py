"""Select the events known at each prediction time. All models go through this function, so none sees the future."""

from typing import TypeVar

import polars as pl

from polyclinic.cohort.errors import CohortError

Events = TypeVar("Events", pl.LazyFrame, pl.DataFrame)

#: One row per sample: its number, subject and prediction time.
SAMPLES = {"sample": pl.UInt32(), "subject_id": pl.Int64(), "prediction_time": pl.Datetime("us")}


def known_at(events: Events, samples: pl.DataFrame) -> Events:
    """Return the events of each sample's subject that are known at its prediction time.

    These are static facts (null time) and events at or before `prediction_time`. A subject may have several samples;
    an event is repeated for each sample that includes it. The columns `sample` and `prediction_time` are added. Rows
    are sorted by sample and time, static facts first; the sort is stable.

    Raises:
        CohortError: `samples` lacks a column of `SAMPLES`, holds another type, or holds a null.
    """
    requested = _checked(samples)
    known = (
        events.lazy()
        .filter(pl.col("subject_id").is_between(requested["subject_id"].min(), requested["subject_id"].max()))
        .join(requested.lazy(), on="subject_id", how="inner", maintain_order="left")
        .filter(pl.col("time").is_null() | (pl.col("time") <= pl.col("prediction_time")))
        .sort("sample", "time", nulls_last=False, maintain_order=True)
    )
    return known if isinstance(events, pl.LazyFrame) else known.collect()


def _checked(samples: pl.DataFrame) -> pl.DataFrame:
    for column, dtype in SAMPLES.items():
        if samples.schema.get(column) != dtype:
            raise CohortError(
                f"samples need a column {column!r} of type {dtype}: build them with tasks.prediction_times"
            )
    if any(samples[column].null_count() for column in SAMPLES):
        raise CohortError("samples hold a null: every sample needs a subject and a prediction time")
    return samples.select(list(SAMPLES))

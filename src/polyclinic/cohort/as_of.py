"""The view of the record as of a time: the one function that cuts it, so that no model sees the future."""

from typing import TypeVar

import polars as pl

from polyclinic.cohort.errors import CohortError

Events = TypeVar("Events", pl.LazyFrame, pl.DataFrame)

#: One row for each question asked: its number, of whom, and when.
SAMPLES = {"sample": pl.UInt32(), "subject_id": pl.Int64(), "prediction_time": pl.Datetime("us")}


def known_at(events: Events, samples: pl.DataFrame) -> Events:
    """Give the events known of each sample's subject at its prediction time.

    Kept are static facts (null time) and events at or before `prediction_time`; a subject may have any number of
    samples, and an event appears once for each that knows it. To the columns of `events` are added `sample` and
    `prediction_time`. Rows are sorted by sample and time, static facts first, and otherwise stay in their order.

    Raises:
        CohortError: `samples` lacks a column of `SAMPLES`, holds another type, or holds a null.
    """
    asked = _checked(samples)
    known = (
        events.lazy()
        .filter(pl.col("subject_id").is_between(asked["subject_id"].min(), asked["subject_id"].max()))
        .join(asked.lazy(), on="subject_id", how="inner", maintain_order="left")
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

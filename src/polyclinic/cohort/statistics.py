"""Counts of a shard's events by subject and by code; every subject is in one shard, so shards add up."""

import polars as pl

from polyclinic.cohort.codes import MODALITIES, SERIES_KINDS, kind, modality
from polyclinic.cohort.shards import EVENT_BYTES

#: Columns of the counts by subject, beside `subject_id`: all events, those of each modality, and their weight.
COUNTS = ("events", *MODALITIES, "bytes")


def by_pair(events: pl.DataFrame) -> pl.DataFrame:
    """Count a shard's events by subject and code, the smallest table from which the others follow."""
    value = pl.col("numeric_value")
    return events.group_by("subject_id", "code").agg(
        events=pl.len().cast(pl.Int64),
        values=value.count().cast(pl.Int64),
        timed=(value.is_not_null() & pl.col("time").is_not_null()).sum().cast(pl.Int64),
        total=value.cast(pl.Float64).sum(),
        minimum=value.min(),
        maximum=value.max(),
        first=pl.col("time").min(),
        last=pl.col("time").max(),
        bytes=pl.len() * EVENT_BYTES + pl.col("text_value").str.len_bytes().sum().cast(pl.Int64),
    )


def by_code(pairs: pl.DataFrame) -> pl.DataFrame:
    """Give each code's events and subjects, how many events hold a number, and the range of numbers and times."""
    return pairs.group_by(pl.col("code").cast(pl.String)).agg(
        pl.col("events", "values", "total").sum(),
        pl.col("minimum", "first").min(),
        pl.col("maximum", "last").max(),
        subjects=pl.len().cast(pl.Int64),
    )


def add_codes(counts: pl.DataFrame) -> pl.DataFrame:
    """Add up the code counts of many shards."""
    return (
        counts.group_by("code")
        .agg(
            pl.col("events", "subjects", "values", "total").sum(),
            pl.col("minimum", "first").min(),
            pl.col("maximum", "last").max(),
        )
        .sort("code")
    )


def by_subject(pairs: pl.DataFrame) -> pl.DataFrame:
    """Give, for each subject, the columns `COUNTS`."""
    codes = pairs.get_column("code").unique().cast(pl.String).to_list()
    seen_as = pl.DataFrame(
        {
            "code": pl.Series(codes, dtype=pl.String).cast(pl.Categorical),
            "modality": pl.Series([modality(code) for code in codes], dtype=pl.String),
            "serial": pl.Series([kind(code) in SERIES_KINDS for code in codes], dtype=pl.Boolean),
        }
    )
    seen = {name: pl.when(pl.col("modality") == name).then("events").sum() for name in MODALITIES}
    seen["series"] = pl.when("serial").then("timed").sum()
    return (
        pairs.join(seen_as, on="code", how="left")
        .group_by("subject_id")
        .agg(pl.col("events").sum(), pl.col("bytes").sum(), **seen)
        .select("subject_id", *COUNTS)
        .sort("subject_id")
    )

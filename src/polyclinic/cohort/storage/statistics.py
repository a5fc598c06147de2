"""Count a shard's events by subject and by code. Every subject is in one shard, so counts of shards can be added.

Events must be sorted by subject, with a categorical `code`.
"""

import numpy as np
import polars as pl

from polyclinic.cohort.codes import MODALITIES, SERIES_KINDS, kind, modality
from polyclinic.cohort.storage.shards import weight

#: Per subject: number of events in total and by modality, and their weight.
SUBJECT_COUNTS: dict[str, pl.DataType] = {name: pl.Int64() for name in ("events", *MODALITIES, "bytes")}

#: Per code: number of events, subjects and numeric values; their total and range; range of times.
CODE_COUNTS: dict[str, pl.DataType] = {
    "events": pl.Int64(),
    "subjects": pl.Int64(),
    "values": pl.Int64(),
    "total": pl.Float64(),
    "minimum": pl.Float32(),
    "maximum": pl.Float32(),
    "first": pl.Datetime("us"),
    "last": pl.Datetime("us"),
}


def by_subject(events: pl.DataFrame) -> pl.DataFrame:
    """Return `SUBJECT_COUNTS` per subject."""
    codes = events.get_column("code").unique()
    names = codes.cast(pl.String).to_list()
    modalities = pl.DataFrame(
        {
            "code": codes,
            "modality": pl.Series([modality(code) for code in names], dtype=pl.String),
            "serial": pl.Series([kind(code) in SERIES_KINDS for code in names], dtype=pl.Boolean),
        }
    )
    timed_number = pl.col("numeric_value").is_not_null() & pl.col("time").is_not_null()
    counts = {name: (pl.col("modality") == name).sum() for name in MODALITIES}
    counts |= {"series": (pl.col("serial") & timed_number).sum(), "events": pl.len()}
    return (
        events.join(modalities, on="code", how="left", maintain_order="left")
        .group_by("subject_id", maintain_order=True)
        .agg(bytes=weight(), **{name: count.cast(pl.Int64) for name, count in counts.items()})
        .select("subject_id", *SUBJECT_COUNTS)
    )


def by_code(events: pl.DataFrame) -> pl.DataFrame:
    """Return `CODE_COUNTS` per code."""
    value, time = pl.col("numeric_value"), pl.col("time")
    counts = events.group_by("code").agg(
        events=pl.len().cast(pl.Int64),
        values=value.count().cast(pl.Int64),
        total=value.cast(pl.Float64).sum(),
        minimum=value.min(),
        maximum=value.max(),
        first=time.min(),
        last=time.max(),
    )
    return counts.with_columns(_subjects(events, counts.get_column("code")), pl.col("code").cast(pl.String))


def _subjects(events: pl.DataFrame, codes: pl.Series) -> pl.Series:
    """Return the number of subjects with each of `codes`."""
    numbers = pl.col("code").to_physical()
    pairs = events.select(pl.col("subject_id").rle_id().cast(pl.Int64) * (1 << 32) + numbers).to_series().to_numpy()
    pairs = np.sort(pairs)
    first = np.append(True, pairs[1:] != pairs[:-1])[: pairs.size]
    counts = np.bincount(pairs[first] & ((1 << 32) - 1), minlength=1)
    return pl.Series("subjects", counts[codes.to_physical().to_numpy()], dtype=pl.Int64)


def add_codes(counts: pl.DataFrame) -> pl.DataFrame:
    """Add the code counts of several shards."""
    return (
        counts.group_by("code")
        .agg(
            pl.col("events", "subjects", "values", "total").sum(),
            pl.col("minimum", "first").min(),
            pl.col("maximum", "last").max(),
        )
        .sort("code")
    )

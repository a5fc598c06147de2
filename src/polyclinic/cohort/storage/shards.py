"""Shards: Parquet files with all events of a range of subject ids, small enough to sort in memory."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from meds.schema import DataSchema

from polyclinic.cohort.schema import EVENTS, POLARS_EVENTS
from polyclinic.cohort.storage.subject_ids import END

#: Memory of an event excluding its text: its columns and their share of the indices, in bytes.
EVENT_BYTES = 48
#: Weight at which a new shard is cut.
TARGET_BYTES = 24 << 20
#: An existing shard is split when it exceeds this multiple of the target.
GROWTH = 3
#: Rows per row group: the least decoded to read one subject.
ROW_GROUP = 1 << 16

Integers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Piece:
    """A planned shard: the subjects in [`start`, `stop`).

    `file` is the existing shard with their events, None in a new cohort; `changed` is whether events are added, so
    that the shard must be rewritten.
    """

    start: int
    stop: int
    file: str | None
    changed: bool


def plan(old: pl.DataFrame, weights: pl.DataFrame, touched: pl.Series, target: int) -> list[Piece]:
    """Plan the shards of the next version, sorted by `start`; an existing shard that grew too heavy is split.

    Args:
        old: columns `file` and `start` of the existing shards, sorted by `start`.
        weights: columns `subject_id` (sorted) and `bytes`, of existing and added events together.
        touched: ids of subjects with added events.
        target: weight of a shard, in bytes.
    """
    files: list[str | None] = old.get_column("file").to_list() or [None]
    starts = [*(old.get_column("start").to_list() or [0]), END]
    limit = GROWTH * target if old.height else target
    ids, weight = weights.get_column("subject_id").to_numpy(), weights.get_column("bytes").to_numpy()
    edges = np.searchsorted(ids, starts)
    changed = set((np.searchsorted(starts, touched.to_numpy(), side="right") - 1).tolist())
    pieces: list[Piece] = []
    for shard, file in enumerate(files):
        inside = slice(edges[shard], edges[shard + 1])
        cuts = _cuts(ids[inside], weight[inside], limit, target) if shard in changed else []
        bounds = [starts[shard], *cuts, starts[shard + 1]]
        rewrite = file is None or shard in changed
        pieces.extend(Piece(start, stop, file, rewrite) for start, stop in pairwise(bounds))
    return pieces


def _cuts(ids: Integers, weight: Integers, limit: int, target: int) -> list[int]:
    """Return the first subject of each new shard after the first."""
    if weight.sum() <= limit:
        return []
    part = (np.cumsum(weight) - weight) // target
    return [int(subject) for subject in ids[1:][part[1:] != part[:-1]]]


def weight() -> pl.Expr:
    """Return an expression for the weight of events: the bytes of their columns and text."""
    return pl.len().cast(pl.Int64) * EVENT_BYTES + pl.col("text_value").str.len_bytes().sum().cast(pl.Int64)


def distinct(events: pl.DataFrame) -> pl.DataFrame:
    """Sort by subject, time (static facts first) and value, and drop exact duplicates."""
    keys = ordered_keys(events)
    rows = events.sort(keys, nulls_last=False)
    differs = pl.any_horizontal(pl.col(key).ne_missing(pl.col(key).shift(1)) for key in keys)
    return rows.filter(differs | (pl.int_range(pl.len()) == 0))


def ordered_keys(events: pl.DataFrame) -> list[str]:
    """Return the columns by which events are sorted and distinguished: those of `POLARS_EVENTS` that hold anything."""
    return [c for c in POLARS_EVENTS if c in ("subject_id", "time", "code") or events[c].null_count() < events.height]


def write(path: Path, events: pl.DataFrame) -> None:
    """Write a shard with the types of `EVENTS`, validated by MEDS' schema."""
    loose = events.select(list(POLARS_EVENTS)).to_arrow(compat_level=pl.CompatLevel.oldest())
    exact = pa.table([_cast(loose[field.name], field.type) for field in EVENTS], schema=EVENTS)
    DataSchema.validate(exact)
    pq.write_table(
        exact,
        path,
        row_group_size=ROW_GROUP,
        compression="zstd",
        use_dictionary=["code", "text_value", "blob"],
        write_statistics=["subject_id", "time"],
    )


def _cast(column: pa.ChunkedArray, dtype: pa.DataType) -> pa.ChunkedArray:
    return column if column.type == dtype else column.cast(dtype)

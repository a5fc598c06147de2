"""Shards: Parquet files that each hold the whole record of a range of subject ids, small enough to sort in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from polyclinic.cohort.schema import EVENTS, POLARS_EVENTS

#: What an event weighs beside its text: its columns and their share of the indices, in bytes.
EVENT_BYTES = 48
#: A new shard is cut at this weight; an old one that grows beyond twice of it is cut anew.
TARGET_BYTES = 24 << 20
#: Rows decoded at once to read one subject.
ROW_GROUP = 1 << 16
#: No subject's id is as large.
END = (1 << 63) - 1

Integers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Piece:
    """A shard to be: the subjects from `start` up to but not including `stop`.

    `file` is the old shard that holds those of them that there are, None in a new cohort; `changed` tells whether
    events are added, so that it must be written anew.
    """

    start: int
    stop: int
    file: str | None
    changed: bool


def plan(old: pl.DataFrame, weights: pl.DataFrame, touched: pl.Series, target: int = TARGET_BYTES) -> list[Piece]:
    """Decide how the next version is cut into shards, by `start`: an old shard that grew too heavy becomes several.

    Args:
        old: columns `file` and `start` of the shards there are, by `start`.
        weights: columns `subject_id` (sorted) and `bytes`, old and added events together.
        touched: ids of the subjects with added events.
        target: weight at which to cut, in bytes.
    """
    files: list[str | None] = old.get_column("file").to_list() or [None]
    starts = [*(old.get_column("start").to_list() or [0]), END]
    limit = 2 * target if old.height else target
    ids, weight = weights.get_column("subject_id").to_numpy(), weights.get_column("bytes").to_numpy()
    edges = np.searchsorted(ids, starts)
    changed = set((np.searchsorted(starts, touched.to_numpy(), side="right") - 1).tolist())
    pieces: list[Piece] = []
    for shard, file in enumerate(files):
        inside = slice(edges[shard], edges[shard + 1])
        cuts = _cuts(ids[inside], weight[inside], limit, target) if shard in changed else []
        bounds = [starts[shard], *cuts, starts[shard + 1]]
        fresh = file is None or shard in changed
        pieces.extend(Piece(start, stop, file, fresh) for start, stop in pairwise(bounds))
    return pieces


def _cuts(ids: Integers, weight: Integers, limit: int, target: int) -> list[int]:
    """Give the subjects with which a new shard begins."""
    if weight.sum() <= limit:
        return []
    part = (np.cumsum(weight) - weight) // target
    return [int(subject) for subject in ids[1:][part[1:] != part[:-1]]]


def merged(sources: Sequence[Path], piece: Piece) -> pl.DataFrame:
    """Give the events of the piece's subjects in all `sources`: sorted, each duplicate once, codes categorical."""
    inside = (pl.col("subject_id") >= piece.start) & (pl.col("subject_id") < piece.stop)
    frames = [
        pl.scan_parquet(source).filter(inside).with_columns(pl.col("code").cast(pl.Categorical)).collect()
        for source in sources
    ]
    return distinct(pl.concat(frames) if frames else pl.DataFrame(schema=POLARS_EVENTS))


def distinct(events: pl.DataFrame) -> pl.DataFrame:
    """Sort by subject, time (static facts first) and value, and keep each exact duplicate once."""
    keys = [c for c in POLARS_EVENTS if c in ("subject_id", "time", "code") or events[c].null_count() < events.height]
    rows = events.sort(keys, nulls_last=False)
    differs = pl.any_horizontal(pl.col(key).ne_missing(pl.col(key).shift(1)) for key in keys)
    return rows.filter(differs | (pl.int_range(pl.len()) == 0))


def write(path: Path, events: pl.DataFrame) -> None:
    """Write a shard with the exact types of `EVENTS`, so that MEDS' own schema accepts it as it is."""
    table = events.select(list(POLARS_EVENTS)).to_arrow(compat_level=pl.CompatLevel.oldest())
    columns = [_cast(table[field.name], field.type) for field in EVENTS]
    pq.write_table(
        pa.table(columns, schema=EVENTS),
        path,
        row_group_size=ROW_GROUP,
        compression="zstd",
        use_dictionary=["code", "text_value", "blob"],
        write_statistics=["subject_id", "time"],
    )


def _cast(column: pa.ChunkedArray, dtype: pa.DataType) -> pa.ChunkedArray:
    return column if column.type == dtype else column.cast(dtype)

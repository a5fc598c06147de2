"""Which sources contain each event: a file beside each shard, so that the events themselves stay plain MEDS.

A row of `provenance/<shard>` gives the place of an event in its shard and the number of a source that contains it; an
event of several sources has several rows. Versions written before sources were recorded have no such files.
"""

import os
import shutil
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from polyclinic.cohort.storage.sources import UNRECORDED
from polyclinic.cohort.storage.versions import PROVENANCE

SCHEMA = {"event": pl.UInt32(), "source": pl.UInt32()}


def path_of(shard: Path) -> Path:
    """Return the file of a shard's provenance, in the same version."""
    return shard.parent.parent / PROVENANCE / shard.name


def write(shard: Path, frame: pl.DataFrame) -> None:
    """Write the provenance of a shard, sorted by event."""
    table = frame.select(list(SCHEMA)).cast(pl.Schema(SCHEMA)).to_arrow()
    pq.write_table(
        table,
        path_of(shard),
        compression="zstd",
        use_dictionary=["source"],
        column_encoding={"event": "DELTA_BINARY_PACKED"},
    )


def read(shard: Path, events: int) -> pl.DataFrame:
    """Return the provenance of a shard of so many events; unrecorded, if it has none."""
    path = path_of(shard)
    if path.is_file():
        return pl.read_parquet(path)
    source = pl.lit(UNRECORDED, pl.UInt32)
    return pl.select(event=pl.int_range(events, dtype=pl.UInt32)).with_columns(source=source)


def link(old: Path, new: Path) -> None:
    """Link the provenance of the old shard of a linked one, if it has any."""
    if path_of(old).is_file():
        link_file(path_of(old), path_of(new))


def link_file(old: Path, new: Path) -> None:
    """Link a file into another version, or copy it."""
    try:
        os.link(old, new)
    except OSError:  # a file system without links
        shutil.copyfile(old, new)


def events_by_source(shards: list[Path], events: list[int]) -> dict[int, int]:
    """Return the number of events of each source."""
    counts: dict[int, int] = {}
    for shard, number in zip(shards, events, strict=True):
        for source, contained in read(shard, number).group_by("source").len().iter_rows():
            counts[source] = counts.get(source, 0) + contained
    return counts


def subjects_by_source(shards: list[Path]) -> dict[int, int]:
    """Return the number of subjects with an event of each source; a subject is in one shard."""
    counts: dict[int, int] = {}
    for shard in shards:
        subjects = pl.read_parquet(shard, columns=["subject_id"]).get_column("subject_id")
        rows = read(shard, len(subjects))
        pairs = rows.with_columns(subjects.gather(rows.get_column("event"))).group_by("source")
        for source, people in pairs.agg(pl.col("subject_id").n_unique()).iter_rows():
            counts[source] = counts.get(source, 0) + people
    return counts


def events_of_others(shards: list[Path], source: int) -> pl.LazyFrame:
    """Return the events of shards that a source other than this one contains, lazily."""
    found = []
    for shard in shards:
        rows = read(shard, pq.read_metadata(shard).num_rows)
        others = rows.filter(pl.col("source") != source).select("event").unique()
        found.append(pl.scan_parquet(shard).with_row_index("event").join(others.lazy(), on="event", how="semi"))
    return pl.concat(found).drop("event")

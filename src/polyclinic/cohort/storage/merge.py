"""Write the next version of a cohort: shards with added events are rewritten, the others hard-linked."""

import os
import shutil
from datetime import UTC, datetime
from importlib.metadata import version as version_of
from pathlib import Path
from typing import NamedTuple, Self

import polars as pl

from polyclinic.cohort import rejects, splits
from polyclinic.cohort.errors import CohortError
from polyclinic.cohort.storage import digest, shards, statistics, tables, versions
from polyclinic.cohort.storage.fingerprint import fingerprint
from polyclinic.cohort.storage.staging import Staging
from polyclinic.progress import Progress


class Totals(NamedTuple):
    """Number of events and subjects in a version."""

    events: int
    subjects: int


class PreviousVersion(NamedTuple):
    """The previous version and its tables; for the first version, no folder and empty tables."""

    folder: Path | None
    subjects: pl.DataFrame
    listed: pl.DataFrame
    codes: pl.DataFrame

    @classmethod
    def read(cls, folder: Path | None) -> Self:
        """Read the tables of a version."""
        return cls(folder, *(tables.read(folder, name) for name in ("subjects", "shards", "shard_codes")))

    def file(self, piece: shards.Piece) -> Path | None:
        """Return the shard with the existing events of a piece's subjects, or None."""
        return self.folder / "data" / piece.file if self.folder and piece.file else None


class ShardStatistics(NamedTuple):
    """A shard's row of `shards`, and its counts by subject and by code."""

    shard: pl.DataFrame
    subjects: pl.DataFrame
    codes: pl.DataFrame


def totals(version: Path | None) -> Totals:
    """Return the number of events and subjects in a version."""
    listed = tables.read(version, "shards")
    return Totals(int(listed["events"].sum()), int(listed["subjects"].sum()))


def write_events(folder: Path | None, version: Path, staging: Staging, source: str, progress: Progress) -> None:
    """Write the shards of `version` and their tables: `subjects`, `shards`, `shard_codes`, `codes`.

    Args:
        folder: of the previous version; None for the first.
        version: folder of the version to write.
        staging: the events to add.
        source: name of their source.
        progress: shows the number of shards written.
    """
    before, staged = PreviousVersion.read(folder), staging.subjects()
    sources, added = _sources(before.subjects, staged, source), staged.get_column("subject_id")
    pieces = shards.plan(before.listed, _weights(before.subjects, staged), added, shards.TARGET_BYTES)
    counted: list[ShardStatistics] = []
    with progress.task("Writing events", len(pieces)) as advance:
        for index, piece in enumerate(pieces):
            path, old = version / "data" / f"{index:05}.parquet", before.file(piece)
            if piece.changed or old is None:
                counted.append(_write_shard(path, piece, shards.merged(staging.runs, old, piece)))
            else:
                counted.append(_link_shard(path, piece, old, before))
            advance(1)
    subjects = pl.concat([item.subjects for item in counted])
    codes = pl.concat([item.codes for item in counted])
    tables.write(version, "subjects", subjects.join(sources, on="subject_id", how="left", maintain_order="left"))
    tables.write(version, "shards", pl.concat([item.shard for item in counted]))
    tables.write(version, "shard_codes", codes)
    tables.write(version, "codes", statistics.add_codes(codes))


def write_splits_and_rejects(
    before: Path | None, version: Path, rejected: pl.DataFrame, seed: int, clock: str | None = None
) -> None:
    """Write the splits and rejects of `version`, and `dataset.json`, after its events."""
    subjects = tables.read(version, "subjects").get_column("subject_id")
    assigned = splits.assign(subjects, _subject_blobs(version), seed, tables.read(before, "subject_splits"))
    tables.write(version, "subject_splits", assigned)
    listed = pl.concat([tables.read(before, "rejects"), rejected])
    tables.write(version, "rejects", rejects.distinct(listed, pl.col("records").max()))
    information = {
        "dataset_name": "polyclinic cohort",
        "dataset_version": version.name,
        "etl_name": "polyclinic",
        "etl_version": version_of("polyclinic"),
        "meds_version": version_of("meds"),
        "created_at": datetime.now(UTC).isoformat(),
        "additional_value_modality_columns": ["blob"],
        "polyclinic": {
            "layout": versions.LAYOUT,
            "seed": seed,
            "clock": tables.clock_of(before, clock),
            "fingerprint": _fingerprint(version, assigned),
        },
    }
    tables.write_information(version, information)


def _sources(known: pl.DataFrame, staged: pl.DataFrame, source: str) -> pl.DataFrame:
    """Return `source` and `source_id` of existing and added subjects."""
    both = staged.join(known.select("subject_id", known="source_id"), on="subject_id", how="left")
    if both.filter(pl.col("known") != pl.col("source_id")).height:
        raise CohortError("two source ids map to one subject: rename one of them in the source")
    own = pl.coalesce("source_id", pl.col("subject_id").cast(pl.String))
    new = both.filter(pl.col("known").is_null()).select("subject_id", source=pl.lit(source), source_id=own)
    return pl.concat([known.select("subject_id", "source", "source_id"), new])


def _weights(known: pl.DataFrame, staged: pl.DataFrame) -> pl.DataFrame:
    both = pl.concat([known.select("subject_id", "bytes"), staged.select("subject_id", "bytes")])
    return both.group_by("subject_id").sum().sort("subject_id")


def _write_shard(path: Path, piece: shards.Piece, events: pl.DataFrame) -> ShardStatistics:
    shards.write(path, events)
    subjects = statistics.by_subject(events)
    codes = statistics.by_code(events).with_columns(start=pl.lit(piece.start, pl.Int64))
    row = (path.name, piece.start, subjects.height, events.height, f"{digest.digest(events):032x}")
    shard = pl.DataFrame([row], schema=tables.TABLES["shards"], orient="row")
    return ShardStatistics(shard, subjects, codes.select(list(tables.TABLES["shard_codes"])))


def _link_shard(path: Path, piece: shards.Piece, old: Path, before: PreviousVersion) -> ShardStatistics:
    try:
        os.link(old, path)
    except OSError:  # a file system without links
        shutil.copyfile(old, path)
    in_piece = pl.col("subject_id").is_between(piece.start, piece.stop, closed="left")
    same = pl.col("start") == piece.start
    return ShardStatistics(
        before.listed.filter(same).with_columns(file=pl.lit(path.name)),
        before.subjects.filter(in_piece).select("subject_id", *statistics.SUBJECT_COUNTS),
        before.codes.filter(same),
    )


def _subject_blobs(version: Path) -> pl.DataFrame:
    pairs = pl.scan_parquet(version / "data").filter(pl.col("blob").is_not_null()).select("subject_id", "blob")
    return pairs.unique().collect(engine="streaming")


def _fingerprint(version: Path, assigned: pl.DataFrame) -> str:
    digests = tables.read(version, "shards").get_column("digest").to_list()
    return fingerprint([int(text, 16) for text in digests], assigned)

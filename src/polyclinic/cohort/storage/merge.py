"""Write the next version of a cohort: shards with added events are rewritten, the others hard-linked."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version as version_of
from pathlib import Path
from typing import NamedTuple, Self

import polars as pl

from polyclinic.cohort import splits
from polyclinic.cohort.errors import CohortError
from polyclinic.cohort.storage import combine, digest, provenance, shards, statistics, tables, versions
from polyclinic.cohort.storage.combine import Drop
from polyclinic.cohort.storage.fingerprint import fingerprint
from polyclinic.cohort.storage.sources import UNRECORDED, Registered
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
        return self.shard(piece.file) if piece.file else None

    def shard(self, file: str) -> Path:
        """Return the path of a shard."""
        assert self.folder is not None
        return self.folder / "data" / file


class ShardStatistics(NamedTuple):
    """A shard's row of `shards`, its counts by subject and by code, and what changed in it.

    `first` holds the number of the first source of each subject of a rewritten shard (`subject_id`, `source`).
    """

    shard: pl.DataFrame
    subjects: pl.DataFrame
    codes: pl.DataFrame
    first: pl.DataFrame = pl.DataFrame(schema={"subject_id": pl.Int64(), "source": pl.UInt32()})
    gone: pl.DataFrame = pl.DataFrame(schema={"subject_id": pl.Int64(), "blob": pl.String()})
    added: int = 0
    changed: combine.Changed = combine.Changed()
    repeated: int = 0


def totals(version: Path | None) -> Totals:
    """Return the number of events and subjects in a version."""
    listed = tables.read(version, "shards")
    return Totals(int(listed["events"].sum()), int(listed["subjects"].sum()))


class Changes(NamedTuple):
    """What the next version adds and takes away.

    Attributes:
        runs: the events to add.
        subjects: of them, with `bytes` and `source_id`.
        source: contains them, and becomes one of the cohort's; None if none is added.
        reader: of the source.
        drop: what to take away.
    """

    runs: Sequence[Path] = ()
    subjects: pl.DataFrame = Staging.NO_SUBJECTS
    source: Registered | None = None
    reader: str = ""
    drop: Drop = Drop()


class Written(NamedTuple):
    """What a new version holds that the previous one did not, and what it no longer holds.

    Attributes:
        added: number of events.
        gone: the events, without their values: `subject_id` and `blob`.
        new_subjects: number of subjects.
        gone_subjects: number of subjects.
        changed: see `combine.changed_places`.
        withdrawn: number of events elsewhere that the source contained before and no longer contains, and that stay.
    """

    added: int
    gone: pl.DataFrame
    new_subjects: int
    gone_subjects: int
    changed: int
    withdrawn: int


def plan(before: PreviousVersion, changes: Changes) -> list[shards.Piece]:
    """Return the pieces of the next version."""
    touched = changes.subjects.get_column("subject_id")
    if changes.drop:
        paths = [(row["start"], before.shard(row["file"])) for row in before.listed.iter_rows(named=True)]
        starts = [start for start, path in paths if changes.drop.touches(path)]
        touched = pl.concat([touched, pl.Series(starts, dtype=pl.Int64)])
    return shards.plan(before.listed, _weights(before.subjects, changes.subjects), touched, shards.TARGET_BYTES)


def write_events(folder: Path | None, version: Path, changes: Changes, progress: Progress) -> Written:
    """Write the shards of `version` and their tables: `subjects`, `shards`, `shard_codes`, `codes`, `sources`.

    Args:
        folder: of the previous version; None for the first.
        version: folder of the version to write.
        changes: what to add and to take away.
        progress: shows the number of shards written.
    """
    before = PreviousVersion.read(folder)
    names, pieces = _sources(before.subjects, changes), plan(before, changes)
    registered = changes.source.table if changes.source else tables.read(folder, "sources")
    counted: list[ShardStatistics] = []
    with progress.task("Writing events", len(pieces)) as advance:
        for index, piece in enumerate(pieces):
            path, old = version / "data" / f"{index:05}.parquet", before.file(piece)
            if piece.changed or old is None:
                counted.append(_write_shard(path, piece, old, changes))
            else:
                counted.append(_link_shard(path, piece, old, before))
            advance(1)
    subjects = pl.concat([item.subjects for item in counted])
    codes = pl.concat([item.codes for item in counted])
    first = _first_readers(pl.concat([item.first for item in counted]), registered) if changes.drop else None
    tables.write(version, "subjects", _named(subjects, names, first))
    tables.write(version, "shards", pl.concat([item.shard for item in counted]))
    tables.write(version, "shard_codes", codes)
    tables.write(version, "codes", statistics.add_codes(codes))
    tables.write(version, "sources", registered)
    return Written(
        added=sum(item.added for item in counted),
        gone=pl.concat([item.gone for item in counted]),
        new_subjects=subjects.join(before.subjects, on="subject_id", how="anti").height,
        gone_subjects=before.subjects.join(subjects, on="subject_id", how="anti").height,
        changed=sum(item.changed.places for item in counted),
        withdrawn=_withdrawn(before, changes, counted),
    )


def write_splits_and_rejects(
    before: Path | None, version: Path, rejected: pl.DataFrame, seed: int, clock: str | None
) -> None:
    """Write the splits of `version`, its rejects and clock as given, and `dataset.json`, after its events."""
    subjects = tables.read(version, "subjects").get_column("subject_id")
    assigned = splits.assign(subjects, _subject_blobs(version), seed, tables.read(before, "subject_splits"))
    tables.write(version, "subject_splits", assigned)
    tables.write(version, "rejects", rejected)
    information = {
        "dataset_name": "polyclinic cohort",
        "dataset_version": version.name,
        "etl_name": "polyclinic",
        "etl_version": _version_of("polyclinic"),
        "meds_version": _version_of("meds"),
        "created_at": datetime.now(UTC).isoformat(),
        "additional_value_modality_columns": ["blob"],
        "polyclinic": {
            "layout": versions.LAYOUT,
            "seed": seed,
            "clock": clock,
            "fingerprint": _fingerprint(version, assigned),
        },
    }
    tables.write_information(version, information)


@cache
def _version_of(package: str) -> str:
    """Return the version of an installed package, read once from its files."""
    return version_of(package)


def _sources(known: pl.DataFrame, changes: Changes) -> pl.DataFrame:
    """Return `source` (the reader that first added it) and `source_id` of existing and added subjects."""
    staged = changes.subjects
    both = staged.join(known.select("subject_id", known="source_id"), on="subject_id", how="left")
    if both.filter(pl.col("known") != pl.col("source_id")).height:
        raise CohortError("two source ids map to one subject: rename one of them in the source")
    own = pl.coalesce("source_id", pl.col("subject_id").cast(pl.String))
    new = both.filter(pl.col("known").is_null()).select("subject_id", source=pl.lit(changes.reader), source_id=own)
    return pl.concat([known.select("subject_id", "source", "source_id"), new])


def _named(subjects: pl.DataFrame, names: pl.DataFrame, first: pl.DataFrame | None) -> pl.DataFrame:
    """Add `source` and `source_id` to the counts of subjects; `first` names readers where sources were taken away."""
    named = subjects.join(names, on="subject_id", how="left", maintain_order="left")
    if first is None:
        return named
    known = named.join(first, on="subject_id", how="left", maintain_order="left")
    return known.with_columns(source=pl.coalesce("reader", "source")).drop("reader")


def _first_readers(first: pl.DataFrame, registered: pl.DataFrame) -> pl.DataFrame:
    """Return the reader that first added each subject: `subject_id`, `reader`."""
    readers = registered.select("reader", source="number")
    return first.join(readers, on="source", how="inner").select("subject_id", "reader")


def _weights(known: pl.DataFrame, staged: pl.DataFrame) -> pl.DataFrame:
    both = pl.concat([known.select("subject_id", "bytes"), staged.select("subject_id", "bytes")])
    return both.group_by("subject_id").sum().sort("subject_id")


def _write_shard(path: Path, piece: shards.Piece, old: Path | None, changes: Changes) -> ShardStatistics:
    number = changes.source.number if changes.source else UNRECORDED
    found = combine.combined(old, piece, combine.Added(changes.runs, number), changes.drop)
    events = found.events
    shards.write(path, events)
    provenance.write(path, found.provenance)
    subjects = statistics.by_subject(events)
    codes = statistics.by_code(events).with_columns(start=pl.lit(piece.start, pl.Int64))
    row = (path.name, piece.start, subjects.height, events.height, f"{digest.digest(events):032x}")
    subject_of_row = events.select("subject_id")[found.provenance.get_column("event")]
    first = subject_of_row.with_columns(found.provenance.get_column("source")).group_by("subject_id").min()
    return ShardStatistics(
        shard=pl.DataFrame([row], schema=tables.TABLES["shards"], orient="row"),
        subjects=subjects,
        codes=codes.select(list(tables.TABLES["shard_codes"])),
        first=first if changes.drop else first.clear(),
        gone=found.gone.select("subject_id", "blob"),
        added=found.added,
        changed=found.changed,
        repeated=found.repeated,
    )


def _withdrawn(before: PreviousVersion, changes: Changes, counted: Sequence[ShardStatistics]) -> int:
    """Return the number of events that the source no longer contains, but for those where a value changed."""
    return max(_held_of_source(before, changes) - sum(item.repeated + item.changed.withdrawn for item in counted), 0)


def _held_of_source(before: PreviousVersion, changes: Changes) -> int:
    """Return the number of events that the source contained before, if they stay."""
    if before.folder is None or changes.source is None or changes.source.is_new or changes.drop:
        return 0
    shards_before = [before.shard(file) for file in before.listed.get_column("file")]
    counts = provenance.events_by_source(shards_before, before.listed.get_column("events").to_list())
    return counts.get(changes.source.number, 0)


def _link_shard(path: Path, piece: shards.Piece, old: Path, before: PreviousVersion) -> ShardStatistics:
    provenance.link_file(old, path)
    provenance.link(old, path)
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

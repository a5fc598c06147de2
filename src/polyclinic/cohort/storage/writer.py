"""Add events to a cohort: streamed, in bounded memory, committed atomically."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from polyclinic.cohort import rejects
from polyclinic.cohort.codes import BIRTH
from polyclinic.cohort.errors import CohortError
from polyclinic.cohort.rejects import Reject, Rejects
from polyclinic.cohort.schema import POLARS_EVENTS
from polyclinic.cohort.storage import labels, merge, provenance, tables, versions
from polyclinic.cohort.storage.blobs import BlobStore
from polyclinic.cohort.storage.combine import Drop
from polyclinic.cohort.storage.sources import Registered, Source
from polyclinic.cohort.storage.staging import Staging
from polyclinic.progress import SILENT, Progress


@dataclass(frozen=True)
class Commit:
    """The result of a commit.

    Attributes:
        version: number of the new version.
        events: events in the cohort.
        subjects: subjects in the cohort.
        received: events added to the writer, excluding those left out.
        new_events: received events that are neither in the previous version nor duplicates.
        new_subjects: subjects not in the previous version.
        new_blobs: images and waveforms not stored before.
        rejects: rejected records, by reason.
        removed: events that the source contained before and no longer contains (`replace` only).
        changed: subjects, times and codes at which the source has another value than the cohort held: of the same
            source any value that it no longer contains, of others a number.
        withdrawn: events elsewhere that the source contained before and no longer contains; they stay (unless
            `replace`).
    """

    version: int
    events: int
    subjects: int
    received: int
    new_events: int
    new_subjects: int
    new_blobs: int
    rejects: Mapping[str, int]
    removed: int = 0
    changed: int = 0
    withdrawn: int = 0


class CohortWriter:
    """Add events to the cohort at `path`, which is created if it does not exist.

    Use it in a `with` block. Readers see the events after `commit`, which is called at the end of the block if needed;
    an exception leaves the cohort unchanged, or not created. Several writers, in one process or many, may work on one
    cohort: they stage events separately and commit in turn.

    Args:
        path: folder of the cohort.
        source: the reader of the events, stored with its subjects and rejects.
        progress: shows the progress of the commit.
        seed: of the splits; None means that of the cohort, or 0 for a new one.
        path_read: the file or folder that is read; names the source unless `name` does, see `sources.Source`.
        name: of the source, to replace or remove it later.
        replace: whether the added events take the place of what the source contained before.

    Attributes:
        source_name: by which the source can be replaced or removed; after the commit.
        source_is_new: whether the cohort did not have it before; after the commit.
        clock: of the cohort and of the added times, `UTC` or `LOCAL`; None if neither has times of day. Set it before
            the commit.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        source: str,
        progress: Progress = SILENT,
        seed: int | None = None,
        path_read: Path | None = None,
        name: str | None = None,
        replace: bool = False,
    ) -> None:
        self.path = Path(path)
        self.source = source
        self.committed: Commit | None = None
        self.clock: str | None = None
        self.source_name = name or source
        self.source_is_new = True
        self._read_from = Source(source, path_read, name)
        self.replace = replace
        self._progress = progress
        self._seed = seed
        self._rejects = Rejects(source)
        self._resources = ExitStack()
        self._opened: tuple[Staging, BlobStore] | None = None

    def __enter__(self) -> Self:
        """Prepare the folders of the cohort.

        Raises:
            CohortError: the cohort has another seed or a newer layout, or the folder is not a cohort.
        """
        created = versions.prepare(self.path)
        tables.seed_for(versions.current(self.path), self._seed)
        self.clock = tables.clock_of(self._clock_of(versions.current(self.path)))
        folder = self._resources.enter_context(versions.staging(self.path, created))
        self._opened = Staging(folder), BlobStore(self.path / "blobs", folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._resources:
            if kind is None and self.committed is None:
                self.commit()
        self._opened = None

    def add(self, frame: pl.DataFrame) -> None:
        """Add one event per row.

        Columns are `source_id` (text, the source's id of the subject) or `subject_id` (integer), and `code`; optional
        are `time` (without time zone), `numeric_value`, `text_value` and `blob`. Rows without subject or code, or with
        a non-finite number or a date outside the years 1 to 9999, are left out and counted as rejects; readers that
        know file and line should reject them first.

        Raises:
            CohortError: a column is missing, unknown or of the wrong type, or a `subject_id` lies outside 0 to
                2**63 - 2.
        """
        staging, _ = self._require_open()
        staging.add(frame)

    def add_blob(self, content: bytes, suffix: str) -> str:
        """Store an image or waveform, and return its name for the `blob` column: its SHA-256, a dot and `suffix`.

        Raises:
            CohortError: the suffix has characters other than letters and digits.
        """
        _, blobs = self._require_open()
        return blobs.add(content, suffix)

    def reject(self, *rejects: Reject) -> None:
        """Record rejects."""
        for reject in rejects:
            self._rejects.add(reject)

    def rejected(self) -> pl.DataFrame:
        """Return the rejects recorded so far (columns `REJECTS`)."""
        return self._rejects.table()

    def recorded(self, codes: Sequence[str]) -> pl.DataFrame:
        """Return the events of some codes in the version that was current when this is called."""
        version = versions.current(self.path)
        if version is None or not tables.read(version, "codes").get_column("code").is_in(codes).any():
            return pl.DataFrame(schema=dict(POLARS_EVENTS))
        return self._former(version).filter(pl.col("code").is_in(codes)).collect()

    def earliest(self) -> pl.DataFrame:
        """Return the earliest time, births aside, of each subject with added events, in them and in the cohort.

        Columns are `subject_id` and `first`.
        """
        staging, _ = self._require_open()
        staging.flush()
        version = versions.current(self.path)
        events = [
            pl.scan_parquet(run).select("subject_id", "time", pl.col("code").cast(pl.String)) for run in staging.runs
        ]
        if version is not None:
            added = staging.subjects().lazy().select("subject_id")
            events.append(
                self._former(version).select("subject_id", "time", "code").join(added, on="subject_id", how="semi")
            )
        if not events:
            return pl.DataFrame(schema={"subject_id": pl.Int64, "first": pl.Datetime("us")})
        timed = pl.concat(events).filter(pl.col("time").is_not_null(), pl.col("code") != BIRTH)
        return timed.group_by("subject_id").agg(first=pl.col("time").min()).collect()

    def commit(self) -> Commit:
        """Merge the added events into a new version, without exact duplicates, and make it current.

        Raises:
            CohortError: an event names a blob that was not added, two source ids map to one subject, the cohort has
                another clock, or another writer does not finish its own commit.
        """
        staging, blobs = self._require_open()
        staging.flush()
        for reject, records in staging.left_out.items():
            self._rejects.add(reject, records)
        staging.left_out.clear()
        blobs.sync()
        with versions.locked(self.path / ".lock"):
            before = versions.current(self.path)
            seed = tables.seed_for(before, self._seed)
            blobs.check(staging.blobs)  # none is removed while the lock is held
            own = Registered.of(self._read_from, tables.read(before, "sources"))
            drop = Drop(sources=(own.number,)) if self.replace else Drop()
            changes = merge.Changes(staging.runs, staging.subjects(), own, self.source, drop)
            with versions.new_version(self.path) as version:
                written = merge.write_events(before, version, changes, self._progress)
                rejected = self._all_rejects(before, own.name)
                clock = tables.clock_of(self._clock_of(before), self.clock)
                merge.write_splits_and_rejects(before, version, rejected, seed, clock)
            labels.drop_subjects(self.path, written.gone.get_column("subject_id"))
            new_blobs = blobs.publish()
            versions.publish(self.path, version)
        now, self.source_name = merge.totals(version), own.name
        self.source_is_new = own.is_new
        self.committed = Commit(
            version=int(version.name),
            events=now.events,
            subjects=now.subjects,
            received=staging.received,
            new_events=written.added,
            new_subjects=written.new_subjects,
            new_blobs=new_blobs,
            rejects=self._rejects.by_reason(),
            removed=written.gone.height,
            changed=written.changed,
            withdrawn=written.withdrawn,
        )
        return self.committed

    def _clock_of(self, version: Path | None) -> Path | None:
        """Return the version whose clock the added times must have; None if all of it is replaced."""
        if version is None or not self.replace:
            return version
        own = Registered.of(self._read_from, tables.read(version, "sources"))
        shards = tables.read(version, "shards")
        files = [version / "data" / file for file in shards.get_column("file")]
        counts = provenance.events_by_source(files, shards.get_column("events").to_list())
        return None if set(counts) <= {own.number} else version

    def _former(self, version: Path) -> pl.LazyFrame:
        """Return the events of a version, but those that this ingest replaces."""
        own = Registered.of(self._read_from, tables.read(version, "sources"))
        replaced = own.number if self.replace and not own.is_new else None
        shards = [version / "data" / file for file in tables.read(version, "shards").get_column("file")]
        return pl.scan_parquet(shards) if replaced is None else provenance.events_of_others(shards, replaced)

    def _all_rejects(self, before: Path | None, name: str) -> pl.DataFrame:
        known = tables.read(before, "rejects")
        kept = known.filter(pl.col("origin").ne_missing(name)) if self.replace else known
        return rejects.merged(kept, self._rejects.table(), name)

    def _require_open(self) -> tuple[Staging, BlobStore]:
        if self._opened is None or self.committed is not None:
            raise CohortError("the writer is closed: open another in a with block")
        return self._opened

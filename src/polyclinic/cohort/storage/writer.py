"""Add events to a cohort: streamed, in bounded memory, seen by readers all at once or not at all."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from polyclinic.cohort.errors import CohortError
from polyclinic.cohort.rejects import Reject, Rejects
from polyclinic.cohort.storage import merge, tables, versions
from polyclinic.cohort.storage.blobs import BlobStore
from polyclinic.cohort.storage.staging import Staging
from polyclinic.progress import SILENT, Progress


@dataclass(frozen=True)
class Commit:
    """What a commit did.

    Attributes:
        version: number of the version that it made.
        events: events in the cohort now.
        subjects: subjects in the cohort now.
        received: events given to the writer, less those left out.
        new_events: events that were not there before; the others were there, or came twice.
        new_subjects: subjects that were not there before.
        new_blobs: pictures and waveforms that were not there before.
        rejects: records left out, by reason.
    """

    version: int
    events: int
    subjects: int
    received: int
    new_events: int
    new_subjects: int
    new_blobs: int
    rejects: Mapping[str, int]


class CohortWriter:
    """Adds events to the cohort at `path`, which is made if it does not exist.

    Use it in a `with` block. Nothing is seen before `commit`, which the end of the block calls if nobody did; an
    exception in the block leaves the cohort as it was, and nothing where there was none. Several writers may work on
    one cohort, in one process or many: they gather their events apart and commit in turn.

    Args:
        path: folder of the cohort.
        source: name of where the events come from, kept with its subjects and rejects.
        progress: shows how far the commit has come.
        seed: of the splits; None takes the cohort's own, or 0 for a new one.
    """

    def __init__(self, path: Path | str, *, source: str, progress: Progress = SILENT, seed: int | None = None) -> None:
        self.path = Path(path)
        self.source = source
        self.committed: Commit | None = None
        self._progress = progress
        self._seed = seed
        self._rejects = Rejects(source)
        self._resources = ExitStack()
        self._opened: tuple[Staging, BlobStore] | None = None

    def __enter__(self) -> Self:
        """Prepare the folder.

        Raises:
            CohortError: the cohort was split with another seed or has a newer layout, or the folder is not one.
        """
        made = versions.prepare(self.path)
        tables.seed_for(versions.current(self.path), self._seed)
        folder = self._resources.enter_context(versions.staging(self.path, made))
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
        """Add one event a row.

        Columns are `source_id` (text, the source's own name of the subject) or `subject_id` (integer), and `code`;
        `time`, `numeric_value`, `text_value` and `blob` are null where they are left out. Times have no zone.
        Rows without subject or code, with a number that is not finite or a date outside the years 1 to 9999 are
        left out and counted among the rejects; a reader that knows file and line rejects them itself.

        Raises:
            CohortError: a column is missing, unknown or of the wrong type, or a `subject_id` lies outside 0 to
                2**63 - 2.
        """
        staging, _ = self._open()
        staging.add(frame)

    def add_blob(self, content: bytes, suffix: str) -> str:
        """Keep a picture or waveform, and give its name for the `blob` column: its SHA-256, a dot and `suffix`.

        Raises:
            CohortError: the suffix has other characters than letters and digits.
        """
        _, blobs = self._open()
        return blobs.add(content, suffix)

    def reject(self, *rejects: Reject) -> None:
        """List records that could not be used."""
        for reject in rejects:
            self._rejects.add(reject)

    def commit(self) -> Commit:
        """Merge what was added with what is there, each exact duplicate once, and show it to readers.

        Raises:
            CohortError: an event names a blob that was not added, two source ids map to one subject, or another
                writer does not finish its own commit.
        """
        staging, blobs = self._open()
        staging.flush()
        for reject, records in staging.left_out.items():
            self._rejects.add(reject, records)
        staging.left_out.clear()
        blobs.check(staging.blobs)
        blobs.sync()
        with versions.locked(self.path / ".lock"):
            before = versions.current(self.path)
            seed = tables.seed_for(before, self._seed)
            then = merge.totals(before)
            with versions.begun(self.path) as version:
                merge.write_events(before, version, staging, self.source, self._progress)
                merge.write_rest(before, version, self._rejects.table(), seed)
            new_blobs = blobs.publish()
            versions.publish(self.path, version)
        now = merge.totals(version)
        self.committed = Commit(
            version=int(version.name),
            events=now.events,
            subjects=now.subjects,
            received=staging.received,
            new_events=now.events - then.events,
            new_subjects=now.subjects - then.subjects,
            new_blobs=new_blobs,
            rejects=self._rejects.by_reason(),
        )
        return self.committed

    def _open(self) -> tuple[Staging, BlobStore]:
        if self._opened is None or self.committed is not None:
            raise CohortError("the writer is closed: open another in a with block")
        return self._opened

"""Add events to a cohort: streamed, in bounded memory, seen by readers all at once or not at all."""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from polyclinic.cohort import merge, tables, versions
from polyclinic.cohort.blobs import BlobStore
from polyclinic.cohort.errors import CohortError
from polyclinic.cohort.frames import normalised
from polyclinic.cohort.rejects import Reject, by_reason
from polyclinic.cohort.staging import Staging
from polyclinic.progress import SILENT, Progress


@dataclass(frozen=True)
class Commit:
    """What a commit did: the totals of the cohort now, and what was added to them.

    `received` counts the events given to the writer; those that were there already, or came twice, are not in
    `new_events`. `rejects` counts the records left out, by reason.
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

    Several writers may work on one cohort: they stage apart and commit in turn. Nothing is seen before `commit`,
    which leaving the `with` block calls; an exception in the block leaves the cohort as it was.

    Args:
        path: folder of the cohort.
        source: name of where the events come from, kept with its subjects and rejects.
        progress: shows how far the commit has come.
        seed: of the splits; None takes the cohort's own, or 0 for a new one.

    Raises:
        CohortError: the cohort was split with another seed, or has a layout that this version cannot write.
    """

    def __init__(self, path: Path | str, *, source: str, progress: Progress = SILENT, seed: int | None = None) -> None:
        self.path = Path(path)
        self.source = source
        self._progress = progress
        self._seed = seed
        self._rejects: Counter[Reject] = Counter()
        self._resources = ExitStack()
        self.committed: Commit | None = None

    def __enter__(self) -> Self:
        tables.seed_for(versions.current(self.path), self._seed)
        self.path.mkdir(parents=True, exist_ok=True)
        folder = self._resources.enter_context(versions.staging(self.path))
        self._staging = Staging(folder)
        self._blobs = BlobStore(self.path / "blobs", folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._resources:
            if kind is None and self.committed is None:
                self.commit()

    def add(self, frame: pl.DataFrame) -> None:
        """Add one event a row.

        Columns are `source_id` (text, the source's own name of the subject) or `subject_id` (integer), and `code`;
        `time`, `numeric_value`, `text_value` and `blob` are null where they are left out. Times have no zone.

        Raises:
            CohortError: a column is missing, unknown or of the wrong type, or holds a null subject or code.
        """
        if self.committed:
            raise CohortError("the writer has committed: open another to add more")
        events, infinite = normalised(frame)
        if infinite:
            self._rejects[Reject("", None, "not a finite number", "correct the number or leave it empty")] += infinite
        self._staging.add(events)

    def add_blob(self, content: bytes, suffix: str) -> str:
        """Keep a picture or waveform, and give its name for the `blob` column: its SHA-256 and `.suffix`."""
        return self._blobs.add(content, suffix)

    def reject(self, *rejects: Reject) -> None:
        """List records that could not be used."""
        self._rejects.update(rejects)

    def commit(self) -> Commit:
        """Merge what was added with what is there, each exact duplicate once, and show it to readers.

        Raises:
            CohortError: two source ids were mapped to one subject, or another writer does not finish.
        """
        self._staging.flush()
        self._blobs.sync()
        with versions.locked(self.path / ".lock"):
            before = versions.current(self.path)
            seed = tables.seed_for(before, self._seed)
            then = merge.totals(before)
            version = versions.begin(self.path)
            merge.write_events(before, version, self._staging, self.source, self._progress)
            merge.write_metadata(before, version, self.source, self._rejects, seed)
            versions.publish(self.path, version)
            now = merge.totals(version)
        self.committed = Commit(
            version=int(version.name),
            events=now.events,
            subjects=now.subjects,
            received=self._staging.received,
            new_events=now.events - then.events,
            new_subjects=now.subjects - then.subjects,
            new_blobs=self._blobs.written,
            rejects=by_reason(self._rejects),
        )
        return self.committed

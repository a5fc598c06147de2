"""Read a cohort from disk: a MEDS data set, with images and waveforms stored as blobs."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import polars as pl

from polyclinic.cohort import summary
from polyclinic.cohort.errors import CohortError
from polyclinic.cohort.foreign.index import Index
from polyclinic.cohort.foreign.layout import is_meds, meds_root
from polyclinic.cohort.schema import LOCAL
from polyclinic.cohort.splits import SPLITS
from polyclinic.cohort.storage import provenance, sources, tables, versions
from polyclinic.cohort.storage.blobs import BlobStore
from polyclinic.cohort.storage.sources import UNRECORDED


@dataclass(frozen=True)
class Cohort:
    """One version of a cohort, read lazily; create it with `Cohort.open`.

    It stays valid through the next commit; the commit after that removes its files, so reopen long-lived cohorts.

    Attributes:
        path: folder of the cohort.
        version: folder of the version that was current at opening.
        fingerprint: hash of the version's events and splits, independent of how they were ingested.
        index: tables of a MEDS data set of another tool; None for our own.
    """

    path: Path
    version: Path
    fingerprint: str
    index: Index | None = field(default=None, repr=False, compare=False)

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open the current version of the cohort at `path`, without reading events.

        A MEDS data set of another tool is opened as it is; its shards are read once, to count and to hash them.

        Raises:
            CohortError: there is no cohort at `path`, a newer Polyclinic wrote it, or a MEDS data set is not as MEDS
                defines it.
        """
        root = Path(path)
        version = versions.current(root) or tables.copied_version(root)
        if version is not None:
            return cls(root, version, tables.information(version)["fingerprint"])
        if is_meds(root):
            index = Index.of(root)
            return cls(root, root, index.fingerprint, index)
        whole = meds_root(root)
        make = "make one with `polyclinic ingest` or `polyclinic demo`"
        raise CohortError(f"no cohort at {root}: {f'it is part of a MEDS data set; name {whole}' if whole else make}")

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for another process, without the tables that were read: they hold ids of patients."""
        return {
            name: value
            for name, value in vars(self).items()
            if not isinstance(getattr(Cohort, name, None), cached_property)
        }

    @property
    def clock(self) -> str | None:
        """The clock of the times: `UTC`, or `local` (of one unstated zone); None if there are no times of day."""
        return LOCAL if self.index else tables.clock_of(self.version)

    def events(self) -> pl.LazyFrame:
        """Return all events lazily (columns `POLARS_EVENTS`), sorted by subject and time, static facts first."""
        if self.index is not None:
            return self.index.events(self.path)
        return pl.scan_parquet([self.version / "data" / file for file in self._shards["file"].to_list()])

    def subject(self, subject_id: int) -> pl.DataFrame:
        """Return the events of one subject, sorted by time; empty if the subject is not in the cohort."""
        if self.index is not None:
            return self.index.subject(self.path, subject_id)
        position = int(self._shards.get_column("start").search_sorted(subject_id, side="right")) - 1
        shard = self.version / "data" / self._shards.get_column("file")[max(position, 0)]
        return pl.scan_parquet(shard).filter(pl.col("subject_id") == subject_id).collect()

    def find_subject(self, asked: str) -> int:
        """Return the subject id of a patient asked for by the source's own id, or by the subject id.

        Raises:
            CohortError: there is no such patient, or the text is the source's id of one and the subject id of another.
        """
        text = asked.strip()
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 and str(int(text)) == text else None
        named = (pl.col("source_id") == text) | (pl.col("subject_id") == pl.lit(number, pl.UInt64))
        found = self.subjects.filter(named).get_column("subject_id").to_list()
        if not found:
            where = "the subject_id of its events" if self.index else "in its metadata/subjects.parquet"
            raise CohortError(f"no such subject in {self.path}: the ids are {where}")
        if len(found) > 1:
            raise CohortError(
                "the id is that of one patient in the source and the number of another in the cohort: give the "
                "patient's own subject_id, from metadata/subjects.parquet"
            )
        return int(found[0])

    def source_id(self, subject_id: int) -> str:
        """Return the source's own id of a subject; the subject id as text if the cohort does not have it."""
        row = self.subjects.filter(pl.col("subject_id") == subject_id)
        return str(row["source_id"][0]) if row.height else str(subject_id)

    def as_of(self, time: datetime) -> pl.LazyFrame:
        """Return the events known at `time`: static facts, and events at or before it."""
        return self.events().filter(pl.col("time").is_null() | (pl.col("time") <= time))

    @cached_property
    def subjects(self) -> pl.DataFrame:
        """One row per subject, sorted by id: `subject_id`, its first `source`, `source_id`, and event counts."""
        return self.index.subjects if self.index else tables.read(self.version, "subjects")

    @cached_property
    def splits(self) -> pl.DataFrame:
        """One row per subject, sorted by id: `subject_id` and `split` (train, tuning or held_out)."""
        return self.index.subject_splits if self.index else tables.read(self.version, "subject_splits")

    def subjects_in(self, split: str) -> list[int]:
        """Return the sorted ids of the subjects in a split.

        Raises:
            CohortError: there is no such split.
        """
        if split not in SPLITS:
            raise CohortError(f"unknown split {split!r}: choose from {', '.join(SPLITS)}")
        return self.splits.filter(pl.col("split") == split).get_column("subject_id").to_list()

    def blob(self, name: str) -> Path:
        """Return the path of an image or waveform named in the `blob` column, inside `blobs/`.

        Raises:
            CohortError: this cohort has no blob of that name.
        """
        return BlobStore(self.path / "blobs").path(name)

    @cached_property
    def rejects(self) -> pl.DataFrame:
        """The rejected records: source, file, line, reason, remedy, and the number of records per row."""
        return self.index.rejects if self.index else tables.read(self.version, "rejects")

    @cached_property
    def sources(self) -> pl.DataFrame:
        """One row per source, in order of ingest: `number`, `name`, `reader`, `location`, `events`.

        `events` counts what the source contains, also if others contain it. Events of versions that did not record
        sources are of the source `unrecorded`. A MEDS data set of another tool has none.
        """
        if self.index is not None:
            return tables.read(None, "sources").with_columns(events=pl.lit(None, pl.Int64))
        shards = [self.version / "data" / file for file in self._shards["file"].to_list()]
        counts = provenance.events_by_source(shards, self._shards["events"].to_list())
        known = sources.with_unrecorded(tables.read(self.version, "sources"), UNRECORDED in counts)
        events = pl.col("number").replace_strict(counts, default=0, return_dtype=pl.Int64) if counts else pl.lit(0)
        return known.with_columns(events=events)

    def subjects_by_source(self) -> dict[str, int]:
        """Return the number of subjects with an event of each source, by its name; those of several count in each.

        A MEDS data set of another tool has none.
        """
        if self.index is not None:
            return {}
        shards = [self.version / "data" / file for file in self._shards["file"].to_list()]
        names = dict(self.sources.select("number", "name").iter_rows())
        return {names[number]: people for number, people in provenance.subjects_by_source(shards).items()}

    @property
    def ignored_columns(self) -> tuple[str, ...]:
        """The columns of a MEDS data set of another tool that are not read, such as modifiers of codes."""
        return self.index.ignored if self.index else ()

    @property
    def repeated_events(self) -> int:
        """Number of rows of a MEDS data set of another tool that repeat another row: they are one event."""
        return self.index.repeated if self.index else 0

    def summary(self) -> summary.Summary:
        """Return counts of the cohort from its metadata tables, without reading events."""
        codes = self.index.codes if self.index else tables.read(self.version, "codes")
        return summary.summarise(self.subjects, self.splits, codes, self.rejects)

    @cached_property
    def _shards(self) -> pl.DataFrame:
        return tables.read(self.version, "shards")

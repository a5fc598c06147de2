"""A cohort on disk, opened for reading: a MEDS data set with pictures and waveforms beside it."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Self

import polars as pl

from polyclinic.cohort import summary
from polyclinic.cohort.errors import CohortError
from polyclinic.cohort.splits import SPLITS
from polyclinic.cohort.storage import tables, versions
from polyclinic.cohort.storage.blobs import BlobStore


@dataclass(frozen=True)
class Cohort:
    """One version of a cohort, read when it is asked; make it with `Cohort.open`.

    The next commit does not change it; the one after that removes its files, so open it anew now and then.

    Attributes:
        path: folder of the cohort.
        version: folder of the version that was current when it was opened.
        fingerprint: stands for the version's events and splits; the same for the same content, however it came in.
    """

    path: Path
    version: Path
    fingerprint: str

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open the current version of the cohort at `path`; no event is read.

        Raises:
            CohortError: there is no cohort at `path`, or a newer Polyclinic wrote it.
        """
        root = Path(path)
        version = versions.current(root)
        if version is None:
            raise CohortError(f"no cohort at {root}: make one with `polyclinic ingest` or `polyclinic demo`")
        return cls(root, version, tables.information(version)["fingerprint"])

    def events(self) -> pl.LazyFrame:
        """Give all events (columns `POLARS_EVENTS`), sorted by subject and time, static facts first."""
        return pl.scan_parquet([self.version / "data" / file for file in self._shards["file"].to_list()])

    def subject(self, subject_id: int) -> pl.DataFrame:
        """Give the events of one subject, sorted by time; none for a subject that is not in the cohort."""
        place = int(self._shards.get_column("start").search_sorted(subject_id, side="right")) - 1
        shard = self.version / "data" / self._shards.get_column("file")[max(place, 0)]
        return pl.scan_parquet(shard).filter(pl.col("subject_id") == subject_id).collect()

    def as_of(self, time: datetime) -> pl.LazyFrame:
        """Give the events known at `time`: static facts, and events at or before it."""
        return self.events().filter(pl.col("time").is_null() | (pl.col("time") <= time))

    @cached_property
    def subjects(self) -> pl.DataFrame:
        """One row a subject, by id: `subject_id`, `source` that named it first, `source_id`, counts of its events."""
        return tables.read(self.version, "subjects")

    @cached_property
    def splits(self) -> pl.DataFrame:
        """One row a subject, by id: `subject_id` and `split`, which is train, tuning or held_out."""
        return tables.read(self.version, "subject_splits")

    def subjects_in(self, split: str) -> list[int]:
        """Give the sorted ids of the subjects in a split.

        Raises:
            CohortError: there is no such split.
        """
        if split not in SPLITS:
            raise CohortError(f"unknown split {split!r}: choose from {', '.join(SPLITS)}")
        return self.splits.filter(pl.col("split") == split).get_column("subject_id").to_list()

    def blob(self, name: str) -> Path:
        """Give the file of a picture or waveform named in the `blob` column; it lies inside `blobs/`.

        Raises:
            CohortError: `name` is not that of a blob of this cohort.
        """
        return BlobStore(self.path / "blobs").path(name)

    @cached_property
    def rejects(self) -> pl.DataFrame:
        """The records left out: source, file, line, reason, remedy, and how many records a row stands for."""
        return tables.read(self.version, "rejects")

    def summary(self) -> summary.Summary:
        """Count the cohort, from tables written with it: no event is read."""
        codes = tables.read(self.version, "codes")
        return summary.summarise(self.subjects, self.splits, codes, self.rejects)

    @cached_property
    def _shards(self) -> pl.DataFrame:
        return tables.read(self.version, "shards")

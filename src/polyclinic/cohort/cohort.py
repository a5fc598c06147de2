"""A cohort on disk, opened for reading: a MEDS data set with pictures and waveforms beside it."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

import polars as pl

from polyclinic.cohort import tables, versions
from polyclinic.cohort.blobs import BlobStore
from polyclinic.cohort.codes import MODALITIES
from polyclinic.cohort.errors import CohortError
from polyclinic.cohort.splits import SPLITS
from polyclinic.cohort.summary import FREQUENT, ModalityCount, Summary


@dataclass(frozen=True)
class Cohort:
    """One version of a cohort; a later commit does not change what it reads. Make it with `Cohort.open`."""

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
        return pl.scan_parquet(self.version / "data")

    def subject(self, subject_id: int) -> pl.DataFrame:
        """Give the events of one subject, sorted by time; no rows for a subject that is not in the cohort."""
        starts = tables.read(self.version, "shards").filter(pl.col("start") <= subject_id)
        if not starts.height:
            return self.events().head(0).collect()
        shard = self.version / "data" / starts.get_column("file")[-1]
        return pl.scan_parquet(shard).filter(pl.col("subject_id") == subject_id).collect()

    def as_of(self, time: datetime) -> pl.LazyFrame:
        """Give the events known at `time`: static facts, and events at or before it."""
        return self.events().filter(pl.col("time").is_null() | (pl.col("time") <= time))

    @property
    def subjects(self) -> pl.DataFrame:
        """One row a subject, by id: `subject_id`, `source` that named it first, `source_id`, counts of its events."""
        return tables.read(self.version, "subjects")

    @property
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

    @property
    def rejects(self) -> pl.DataFrame:
        """The records left out: source, file, line, reason, remedy, and how many records a row stands for."""
        return tables.read(self.version, "rejects")

    def summary(self) -> Summary:
        """Count the cohort, from the tables written with it."""
        subjects, codes = self.subjects, tables.read(self.version, "codes")
        n = subjects.height
        per_code = codes.select(
            "code",
            "events",
            "subjects",
            "values",
            "minimum",
            pl.when(pl.col("values") > 0).then(pl.col("total") / pl.col("values")).alias("mean"),
            "maximum",
            "first",
            "last",
            (1 - pl.col("subjects") / n).alias("missing"),
        ).sort("events", "code", descending=[True, False])
        modalities = {
            name: ModalityCount(int((subjects[name] > 0).sum()), int(subjects[name].sum())) for name in MODALITIES
        }
        missing = {name: 1 - count.subjects / n if n else 1.0 for name, count in modalities.items()}
        frequent = per_code.filter(pl.col("subjects") >= FREQUENT * n)
        missing |= dict(zip(frequent["code"].to_list(), frequent["missing"].to_list(), strict=True))
        reasons = (
            self.rejects.group_by("reason").agg(pl.col("records").sum()).sort("records", "reason", descending=True)
        )
        return Summary(
            subjects=n,
            events=int(codes["events"].sum()),
            codes=codes.height,
            modalities=modalities,
            missingness=missing,
            first=codes.select(pl.col("first").min()).item(),
            last=codes.select(pl.col("last").max()).item(),
            splits=dict.fromkeys(SPLITS, 0) | Counter(self.splits["split"].to_list()),
            sources=dict(Counter(subjects["source"].to_list())),
            rejects=dict(reasons.iter_rows()),
            per_code=per_code,
        )

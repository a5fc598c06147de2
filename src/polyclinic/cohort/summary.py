"""Counts of a cohort."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import polars as pl

from polyclinic.cohort.codes import MODALITIES
from polyclinic.cohort.rejects import count_by_reason
from polyclinic.cohort.splits import SPLITS

#: A code is frequent when at least this share of the subjects has it.
FREQUENT = 0.05


@dataclass(frozen=True)
class ModalityCount:
    """Number of subjects with a modality, and of its events."""

    subjects: int
    events: int


@dataclass(frozen=True, eq=False)
class Summary:
    """Counts of a cohort.

    Attributes:
        subjects: subjects with at least one event.
        events: events of all subjects.
        codes: distinct codes.
        modalities: counts of each modality; timed numbers of laboratory values and vital signs count as structured
            and as series; outcomes have no modality.
        missingness: share of subjects, 0 to 1, without each modality and each frequent code (see `FREQUENT`).
        first: earliest time; None if every event is static.
        last: latest time.
        splits: subjects in each split.
        sources: subjects by the source that first added them.
        rejects: rejected records, by reason.
        per_code: columns code, events, subjects, values (events with a number), minimum, mean, maximum, first, last,
            missing (share of subjects without the code); the most common first.
    """

    subjects: int
    events: int
    codes: int
    modalities: Mapping[str, ModalityCount]
    missingness: Mapping[str, float]
    first: datetime | None
    last: datetime | None
    splits: Mapping[str, int]
    sources: Mapping[str, int]
    rejects: Mapping[str, int]
    per_code: pl.DataFrame

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as JSON-serialisable values."""
        times = pl.col("first", "last").dt.to_string("iso:strict")
        return {
            "subjects": self.subjects,
            "events": self.events,
            "codes": self.codes,
            "modalities": {name: asdict(count) for name, count in self.modalities.items()},
            "missingness": dict(self.missingness),
            "first": self.first.isoformat() if self.first else None,
            "last": self.last.isoformat() if self.last else None,
            "splits": dict(self.splits),
            "sources": dict(self.sources),
            "rejects": dict(self.rejects),
            "per_code": self.per_code.with_columns(times).to_dicts(),
        }


def summarise(subjects: pl.DataFrame, splits: pl.DataFrame, codes: pl.DataFrame, rejects: pl.DataFrame) -> Summary:
    """Summarise a version from its tables (see `tables.TABLES`)."""
    n = subjects.height
    per_code = _per_code(codes, n)
    modalities = {
        name: ModalityCount(int((subjects[name] > 0).sum()), int(subjects[name].sum())) for name in MODALITIES
    }
    missing = {name: 1 - count.subjects / n if n else 1.0 for name, count in modalities.items()}
    frequent = per_code.filter(pl.col("subjects") >= FREQUENT * n).select("code", "missing")
    return Summary(
        subjects=n,
        events=int(subjects["events"].sum()),
        codes=codes.height,
        modalities=modalities,
        missingness=missing | dict(frequent.iter_rows()),
        first=codes.select(pl.col("first").min()).item(),
        last=codes.select(pl.col("last").max()).item(),
        splits=dict.fromkeys(SPLITS, 0) | _counted(splits, "split"),
        sources=_counted(subjects, "source"),
        rejects=count_by_reason(rejects),
        per_code=per_code,
    )


def _per_code(codes: pl.DataFrame, subjects: int) -> pl.DataFrame:
    mean = pl.when(pl.col("values") > 0).then(pl.col("total") / pl.col("values"))
    missing = 1 - pl.col("subjects") / subjects
    columns = ["code", "events", "subjects", "values", "minimum", "mean", "maximum", "first", "last", "missing"]
    return (
        codes.with_columns(mean=mean, missing=missing).select(columns).sort("events", "code", descending=[True, False])
    )


def _counted(table: pl.DataFrame, column: str) -> dict[str, int]:
    return dict(table.group_by(column).len().sort(column).iter_rows())

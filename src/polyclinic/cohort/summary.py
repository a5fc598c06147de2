"""What a cohort holds, in numbers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import polars as pl

#: A code counts as frequent when at least this share of the subjects has it.
FREQUENT = 0.05


@dataclass(frozen=True)
class ModalityCount:
    """How many subjects have a modality, and how many events of it there are."""

    subjects: int
    events: int


@dataclass(frozen=True, eq=False)
class Summary:
    """Counts of a cohort.

    Attributes:
        subjects: subjects with at least one event.
        events: events of all subjects.
        codes: distinct codes.
        modalities: counts of each modality; a timed number of a laboratory or vital sign counts as series too.
        missingness: share of subjects, 0 to 1, that lack each modality and each frequent code (see `FREQUENT`).
        first: earliest time; None where every event is static.
        last: latest time.
        splits: subjects in each split.
        sources: subjects first named by each source.
        rejects: records left out, by reason.
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
        """Give the summary as plain values that JSON can hold."""
        plain = {name: value for name, value in vars(self).items() if name not in ("modalities", "per_code")}
        for name in ("missingness", "splits", "sources", "rejects"):
            plain[name] = dict(plain[name])
        times = pl.col("first", "last").dt.to_string("iso:strict")
        return plain | {
            "first": self.first.isoformat() if self.first else None,
            "last": self.last.isoformat() if self.last else None,
            "modalities": {name: asdict(count) for name, count in self.modalities.items()},
            "per_code": self.per_code.with_columns(times).to_dicts(),
        }

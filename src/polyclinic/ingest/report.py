"""The report of an ingest."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class IngestReport:
    """The counts of one ingest.

    `events`, `subjects` and `blobs` count what was read, and `rejects` what was rejected, by reason (listed with file
    and line in the cohort's `metadata/rejects.parquet`). `warnings` counts the records that were kept but may not mean
    what the reader took them for, by what to check. `rows` counts rows of tables (0 for other sources), and
    `rejected_rows` those rejected in whole or in part. `name` is that of the source in the cohort, and `removed` counts
    the events that it contained before and no longer contains, if it was replaced.
    """

    source: str
    events: int
    subjects: int
    blobs: int
    rejects: Mapping[str, int]
    seconds: float
    rows: int = 0
    rejected_rows: int = 0
    warnings: Mapping[str, int] = field(default_factory=dict)
    name: str = ""
    removed: int = 0

    @property
    def rejected(self) -> int:
        """Total number of rejected records and cells."""
        return sum(self.rejects.values())

    @property
    def events_per_second(self) -> float:
        """Throughput, from reading the source to the commit."""
        return self.events / self.seconds if self.seconds else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-serialisable values."""
        return asdict(self) | {
            "rejects": dict(self.rejects),
            "warnings": dict(self.warnings),
            "rejected": self.rejected,
        }

"""What an ingest did: how much went in, how much did not, and why."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class IngestReport:
    """The counts of one ingest.

    `events`, `subjects` and `blobs` are what this source gave; `rejects` counts, by reason, what it gave in vain
    (each one is listed with its file and line in the cohort's `metadata/rejects.parquet`). `rows` counts those of
    tables, 0 for other sources, and `rejected_rows` those of them of which all or a cell was rejected.
    """

    source: str
    events: int
    subjects: int
    blobs: int
    rejects: Mapping[str, int]
    seconds: float
    rows: int = 0
    rejected_rows: int = 0

    @property
    def rejected(self) -> int:
        """How many records or cells were rejected, over all reasons."""
        return sum(self.rejects.values())

    @property
    def events_per_second(self) -> float:
        """Throughput from the source's files to the committed cohort."""
        return self.events / self.seconds if self.seconds else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Give the report as plain JSON types."""
        return asdict(self) | {"rejects": dict(self.rejects), "rejected": self.rejected}

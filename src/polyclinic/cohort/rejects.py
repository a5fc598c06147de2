"""Records that could not be used: where each was, why, and what to do about it; never what it said."""

from collections import Counter
from dataclasses import astuple, dataclass

import polars as pl

#: Columns of `metadata/rejects.parquet`; `records` counts the records that a row stands for.
REJECTS = {
    "source": pl.String(),
    "file": pl.String(),
    "line": pl.Int64(),
    "reason": pl.String(),
    "remedy": pl.String(),
    "records": pl.Int64(),
}
#: Rejects kept as objects before they are put into a table, which is much smaller.
BATCH = 50_000

_PACKED = {name: pl.Categorical() if dtype == pl.String() else dtype for name, dtype in REJECTS.items()}


@dataclass(frozen=True, slots=True)
class Reject:
    """One record left out of the cohort.

    `line` counts from 1 and is None for a file that is not read by lines; `reason` is one of a reader's few
    fixed phrases, so that rejects can be counted by it.
    """

    file: str
    line: int | None
    reason: str
    remedy: str


class Rejects:
    """The rejects of one ingest, kept small."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._recent: Counter[Reject] = Counter()
        self._tables = [pl.DataFrame(schema=_PACKED)]

    def add(self, reject: Reject, records: int = 1) -> None:
        """List a reject that stands for `records` records."""
        self._recent[reject] += records
        if len(self._recent) >= BATCH:
            self._pack()

    def table(self) -> pl.DataFrame:
        """Give the columns `REJECTS`, each reject once, in the order they came."""
        self._pack()
        return once(pl.concat(self._tables).cast(pl.Schema(REJECTS)), pl.col("records").sum())

    def by_reason(self) -> dict[str, int]:
        """Count the records left out by reason, the most common first."""
        return count_by_reason(self.table())

    def _pack(self) -> None:
        rows = [(self._source, *astuple(reject), records) for reject, records in self._recent.items()]
        self._tables.append(pl.DataFrame(rows, schema=_PACKED, orient="row"))
        self._recent.clear()


def once(table: pl.DataFrame, records: pl.Expr) -> pl.DataFrame:
    """Give each reject of `table` once, with `records` to tell how many records it stands for."""
    return table.group_by([name for name in REJECTS if name != "records"], maintain_order=True).agg(records)


def count_by_reason(table: pl.DataFrame) -> dict[str, int]:
    """Count the records of a table of rejects by reason, the most common first."""
    counts = table.group_by("reason").agg(pl.col("records").sum())
    return dict(counts.sort("records", "reason", descending=[True, False]).iter_rows())

"""Rejected records: location, reason and remedy, without patient data."""

from collections import Counter
from dataclasses import astuple, dataclass

import polars as pl

#: Columns of `metadata/rejects.parquet`; `records` is the number of records per row, `origin` the name of the source
#: (null in versions that did not record it).
REJECTS = {
    "source": pl.String(),
    "file": pl.String(),
    "line": pl.Int64(),
    "reason": pl.String(),
    "remedy": pl.String(),
    "origin": pl.String(),
    "records": pl.Int64(),
}
#: Rejects kept as objects before they are packed into a table, which is much smaller.
BATCH = 50_000

_PACKED = {name: pl.Categorical() if dtype == pl.String() else dtype for name, dtype in REJECTS.items()}


@dataclass(frozen=True, slots=True)
class Reject:
    """One record left out of the cohort.

    `line` counts from 1 and is None for a file not read by lines. `reason` is one of a reader's few fixed phrases, so
    rejects can be counted by it.
    """

    file: str
    line: int | None
    reason: str
    remedy: str


class Rejects:
    """The rejects of one ingest, stored compactly."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._recent: Counter[Reject] = Counter()
        self._tables = [pl.DataFrame(schema=_PACKED)]

    def add(self, reject: Reject, records: int = 1) -> None:
        """Add a reject of `records` records."""
        self._recent[reject] += records
        if len(self._recent) >= BATCH:
            self._pack()

    def table(self) -> pl.DataFrame:
        """Return the distinct rejects (columns `REJECTS`) in order of first occurrence."""
        self._pack()
        return distinct(pl.concat(self._tables).cast(pl.Schema(REJECTS)), pl.col("records").sum())

    def by_reason(self) -> dict[str, int]:
        """Return the number of rejected records by reason, the most common first."""
        return count_by_reason(self.table())

    def _pack(self) -> None:
        rows = [(self._source, *astuple(reject), None, records) for reject, records in self._recent.items()]
        self._tables.append(pl.DataFrame(rows, schema=_PACKED, orient="row"))
        self._recent.clear()


def distinct(table: pl.DataFrame, records: pl.Expr) -> pl.DataFrame:
    """Return the distinct rejects of `table`, with `records` as aggregated by the given expression."""
    return table.group_by([name for name in REJECTS if name != "records"], maintain_order=True).agg(records)


def merged(before: pl.DataFrame, added: pl.DataFrame, origin: str) -> pl.DataFrame:
    """Return the rejects of a cohort with those of an ingest of the source `origin`.

    Those that an earlier ingest without a recorded origin had, too, get this one.
    """
    own = added.with_columns(origin=pl.lit(origin, pl.String))
    same = [name for name in REJECTS if name not in ("records", "origin")]
    unknown = before.filter(pl.col("origin").is_null()).join(own, on=same, how="anti", nulls_equal=True)
    known = before.filter(pl.col("origin").is_not_null())
    return distinct(pl.concat([unknown, known, own]), pl.col("records").max())


def count_by_reason(table: pl.DataFrame) -> dict[str, int]:
    """Return the number of records in a table of rejects by reason, the most common first."""
    counts = table.group_by("reason").agg(pl.col("records").sum())
    return dict(counts.sort("records", "reason", descending=[True, False]).iter_rows())

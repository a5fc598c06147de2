"""A record that could not be used: where it was, why, and what to do about it; never what it said."""

from collections import Counter
from dataclasses import astuple, dataclass

import polars as pl

REJECTS = {
    "source": pl.String(),
    "file": pl.String(),
    "line": pl.Int64(),
    "reason": pl.String(),
    "remedy": pl.String(),
    "records": pl.Int64(),
}


@dataclass(frozen=True)
class Reject:
    """One record left out of the cohort.

    `line` counts from 1 and is None for a file that is not read by lines; `reason` is one of a reader's few
    fixed phrases, so that rejects can be counted by it.
    """

    file: str
    line: int | None
    reason: str
    remedy: str


def as_frame(source: str, rejects: Counter[Reject]) -> pl.DataFrame:
    """Give the table of `rejects`, how many `records` each stands for, and the `source` that they came from."""
    rows = [(source, *astuple(reject), records) for reject, records in rejects.items()]
    return pl.DataFrame(rows, schema=REJECTS, orient="row")


def by_reason(rejects: Counter[Reject]) -> dict[str, int]:
    """Count the records left out by reason, the most common first."""
    counts: Counter[str] = Counter()
    for reject, records in rejects.items():
        counts[reject.reason] += records
    return dict(counts.most_common())

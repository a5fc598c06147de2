"""The sources of a cohort: each file or folder that was ingested, by a name, so that it can be replaced or removed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import polars as pl

from polyclinic.cohort.errors import CohortError
from polyclinic.files import sha256

#: Number of the events of versions that did not record sources.
UNRECORDED = 0
UNRECORDED_NAME = "unrecorded"

#: `location` is a hash of reader and path, which distinguishes files of one name without naming folders.
SOURCES: dict[str, pl.DataType] = {
    "number": pl.UInt32(),
    "name": pl.String(),
    "reader": pl.String(),
    "location": pl.String(),
}


@dataclass(frozen=True)
class Source:
    """What is ingested.

    Attributes:
        reader: that reads it, such as `table`.
        path: of its file or folder; None if it has none.
        name: chosen by the user; None: the shortest end of `path` that names no other source, or the reader.
    """

    reader: str
    path: Path | None = None
    name: str | None = None

    @property
    def location(self) -> str | None:
        """A hash of reader and path; None without a path."""
        return None if self.path is None else sha256(f"{self.reader} {self.path.resolve()}".encode())[:32]


@dataclass(frozen=True)
class Registered:
    """A source with its number, and the table of all sources of the cohort with it."""

    number: int
    name: str
    is_new: bool
    table: pl.DataFrame

    @classmethod
    def of(cls, source: Source, known: pl.DataFrame) -> Self:
        """Find a source in a cohort's table, by its name or location, or add it.

        Raises:
            CohortError: the name is reserved.
        """
        name = source.name or _name_at(source.location, known) or _new_name(source, known)
        if not name.strip() or name == UNRECORDED_NAME:
            raise CohortError(f"{name!r} cannot name a source: choose another name")
        same = known.filter(pl.col("name") == name)
        if same.height:
            return cls(int(same["number"][0]), name, is_new=False, table=known)
        number = int(known.select(pl.col("number").max()).item() or UNRECORDED) + 1
        row = pl.DataFrame([(number, name, source.reader, source.location)], schema=SOURCES, orient="row")
        return cls(number, name, is_new=True, table=pl.concat([known, row]))


def _name_at(location: str | None, known: pl.DataFrame) -> str | None:
    same = known.filter(pl.col("location").eq_missing(pl.lit(location, pl.String)))
    return str(same["name"][0]) if location is not None and same.height else None


def _new_name(source: Source, known: pl.DataFrame) -> str:
    if source.path is None:
        return source.reader
    parts = [part for part in source.path.resolve().parts if part != "/"] or [source.reader]
    taken = set(known.get_column("name").to_list())
    names = ["/".join(parts[-length:]) for length in range(1, len(parts) + 1)]
    return next((name for name in names if name not in taken), f"{names[-1]} ({source.reader})")


def with_unrecorded(known: pl.DataFrame, needed: bool) -> pl.DataFrame:
    """Add the source of events without a recorded one, if there are any."""
    row = pl.DataFrame([(UNRECORDED, UNRECORDED_NAME, None, None)], schema=SOURCES, orient="row")
    return pl.concat([row, known]) if needed else known

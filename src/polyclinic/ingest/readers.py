"""What a reader is, and the table of the readers there are."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

import polars as pl

from polyclinic.cohort import Reject
from polyclinic.ingest.errors import IngestError
from polyclinic.progress import Progress


class Sink(Protocol):
    """Where a reader puts what it reads; `CohortWriter` is one."""

    def add(self, frame: pl.DataFrame) -> None:
        """Take events: `source_id` or `subject_id`, `time`, `code`, `numeric_value`, `text_value`, `blob`.

        Subjects are text or int64; other columns but the code may be missing; a null time is a static fact.
        """
        ...

    def add_blob(self, content: bytes, suffix: str) -> str:
        """Keep a picture or a waveform (`suffix` like `.png`) and give the name for the `blob` column."""
        ...

    def reject(self, *rejects: Reject) -> None:
        """Take what could not be used."""
        ...


@runtime_checkable
class CountsRows(Protocol):
    """A sink that also wants to know how many rows a source of tables has."""

    def count_rows(self, rows: int, rejected: int) -> None:
        """Take the number of rows of one file, and that of the rows of which all or a cell was rejected."""
        ...


@dataclass(frozen=True)
class Options:
    """What the caller may say about a source beside its path; None means not said."""

    mapping: Path | None = None  # YAML file that maps the columns of a table
    outcomes: Path | None = None  # file of the outcomes, if it is not beside the records
    images: Path | None = None  # folder of the pictures, if they are not beside the reports


class Reader(Protocol):
    """Turn the source at `path` into events; raise `IngestError` only where nothing at all can be read."""

    def __call__(self, path: Path, sink: Sink, options: Options, progress: Progress) -> None:
        """Read everything readable at `path` into `sink`, and reject the rest there."""
        ...


class Source(NamedTuple):
    """One line of the table of readers; the module is imported when the reader is first used."""

    module: str  # its `read` function is the reader
    reads: str
    options: frozenset[str] = frozenset()

    def load(self) -> Reader:
        """Import the reader."""
        return cast(Reader, import_module(self.module).read)


READERS: Mapping[str, Source] = {
    "table": Source(
        "polyclinic.ingest.table.reader", "CSV, TSV, Parquet or Excel, with a mapping", frozenset({"mapping"})
    ),
    "physionet2012": Source(
        "polyclinic.ingest.physionet2012.reader",
        "records and outcomes of the PhysioNet/CinC Challenge 2012",
        frozenset({"outcomes"}),
    ),
    "covid-cxr": Source(
        "polyclinic.ingest.covid_cxr.reader", "metadata.csv and images of the COVID-19 image data collection"
    ),
    "indiana": Source(
        "polyclinic.ingest.indiana.reader", "OpenI reports (XML), with images if given", frozenset({"images"})
    ),
    "dicom": Source("polyclinic.ingest.dicom.reader", "a folder of DICOM images"),
    "wfdb": Source("polyclinic.ingest.wfdb.reader", "a folder of WFDB waveform records"),
}


def source_named(name: str) -> Source:
    """Look `name` up in `READERS`.

    Raises:
        IngestError: no reader has that name.
    """
    if name not in READERS:
        raise IngestError(f"unknown source {name!r}: choose from {', '.join(sorted(READERS))}")
    return READERS[name]


def options_for(name: str, **said: Any) -> Options:
    """Check that source `name` understands what was said (None: nothing).

    Raises:
        IngestError: no reader has that name, or the reader has no such option.
    """
    given = {key: Path(value) for key, value in said.items() if value is not None}
    understood = source_named(name).options
    refused = sorted(set(given) - understood)
    if refused:
        choices = ", ".join(sorted(understood)) or "none"
        raise IngestError(f"source {name!r} has no option {', '.join(refused)}: its options are: {choices}")
    return Options(**given)

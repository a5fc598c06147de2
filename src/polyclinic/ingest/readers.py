"""The interface of readers, and the table of sources."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

import polars as pl

from polyclinic.cohort import Reject
from polyclinic.ingest.clock import Clock, check_zone
from polyclinic.ingest.errors import IngestError
from polyclinic.progress import Progress


class Sink(Protocol):
    """Receives events, blobs and rejects from a reader; implemented by `CohortWriter`."""

    def add(self, frame: pl.DataFrame) -> None:
        """Add events: `source_id` or `subject_id`, `time`, `code`, `numeric_value`, `text_value`, `blob`.

        Columns other than the subject (text or int64) and the code are optional; a null time means a static fact. More
        columns, `file` and `line`, give where an event was stated, for rejects.
        """
        ...

    def add_blob(self, content: bytes, suffix: str) -> str:
        """Store an image or waveform (`suffix` like `.png`) and return its name for the `blob` column."""
        ...

    def reject(self, *rejects: Reject) -> None:
        """Record rejects."""
        ...


@runtime_checkable
class CountsRows(Protocol):
    """A sink that also counts the rows of tables."""

    def count_rows(self, rows: int, rejected: int) -> None:
        """Add the number of rows of a file, and of its rows that were rejected in whole or in part."""
        ...


@runtime_checkable
class Warns(Protocol):
    """A sink that also receives warnings."""

    def warn(self, warning: str, records: int) -> None:
        """Count the records that were kept, but may not mean what the reader took them for.

        The warning is one of a reader's few fixed phrases, says what to check, and holds no value of the source.
        """
        ...


@dataclass(frozen=True)
class Options:
    """Options of a source in addition to its path; None means not given."""

    mapping: Path | None = None  # YAML file that maps the columns of a table
    outcomes: Path | None = None  # file of the outcomes, if not in the folder of the records
    images: Path | None = None  # folder of the images, if not that of the reports
    clock: Clock = field(default_factory=Clock, compare=False)  # converts times to the cohort's clock


class Reader(Protocol):
    """Reads the source at `path`; raises `IngestError` only if nothing can be read."""

    def __call__(self, path: Path, sink: Sink, options: Options, progress: Progress) -> None:
        """Send everything readable at `path` to `sink`, and reject the rest."""
        ...


class Source(NamedTuple):
    """A row of the table of sources; the module is imported when first used."""

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
    "ptbxl": Source("polyclinic.ingest.ptbxl.reader", "ECGs, reports and statements of PTB-XL"),
}


def source_named(name: str) -> Source:
    """Return the source `name` of `READERS`.

    Raises:
        IngestError: the name is unknown.
    """
    if name not in READERS:
        raise IngestError(f"unknown source {name!r}: choose from {', '.join(sorted(READERS))}")
    return READERS[name]


def options_for(name: str, *, zone: str | None = None, **values: Any) -> Options:
    """Return the options for source `name`, checking that it supports them (None: not given).

    Raises:
        IngestError: the source is unknown or does not support an option, or the zone is unknown.
    """
    given = {key: Path(value) for key, value in values.items() if value is not None}
    supported = source_named(name).options
    unknown = sorted(set(given) - supported)
    if unknown:
        choices = ", ".join(sorted(supported)) or "none"
        raise IngestError(f"source {name!r} has no option {', '.join(unknown)}: its options are: {choices}")
    try:
        return Options(**given, clock=Clock(zone=None if zone is None else check_zone(zone)))
    except ValueError as error:
        raise IngestError(str(error)) from None

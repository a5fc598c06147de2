"""Ingest a source: check the arguments, read, count and commit."""

import dataclasses
import warnings
from collections import Counter
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import polars as pl

from polyclinic.cohort import Cohort, CohortWriter, Commit, Reject
from polyclinic.cohort.foreign.layout import meds_root
from polyclinic.ingest.clock import MixedClocks
from polyclinic.ingest.errors import IngestError, RejectsError
from polyclinic.ingest.patients import CheckedPatients
from polyclinic.ingest.readers import Options, Sink, options_for, source_named
from polyclinic.ingest.report import IngestReport
from polyclinic.ingest.subject_ids import ALIKE, count_alike
from polyclinic.progress import SILENT, Progress

CHANGED = (
    "subject, time and code at which the cohort holds another value: both are kept; if the source was corrected, "
    "ingest it again with --replace, which takes its former values away (of a file at another place, with --as and "
    "the source's name, as polyclinic remove COHORT lists it), or remove the other source"
)
WITHDRAWN = (
    "event that this source contained before and no longer contains: it is kept; if the source was corrected (a time, "
    "a patient, a row that was deleted), ingest it again with --replace"
)
NOTHING_REPLACED = (
    "source that the cohort did not hold before, so that nothing was replaced: if it corrects one of another name, "
    "give that name with --as (polyclinic remove COHORT lists them), and remove this one"
)


class CountingSink:
    """A sink that counts events and rejects, and forwards them."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._subjects: set[Any] = set()
        self._blobs: set[str] = set()
        self.events = 0
        self.rows, self.rejected_rows = 0, 0
        self.rejects: Counter[str] = Counter()
        self.warnings: Counter[str] = Counter()
        self.first_reject: Reject | None = None
        self.name, self.removed = "", 0

    def add(self, frame: pl.DataFrame) -> None:
        """Count the events and their subjects, and forward them."""
        if frame.is_empty():
            return
        subject = "source_id" if "source_id" in frame.columns else "subject_id"
        self._subjects.update(frame.get_column(subject).unique().to_list())
        self.events += frame.height
        self._sink.add(frame)

    def add_blob(self, content: bytes, suffix: str) -> str:
        """Count the blob, and forward it."""
        name = self._sink.add_blob(content, suffix)
        self._blobs.add(name)
        return name

    def reject(self, *rejects: Reject) -> None:
        """Count the rejects by reason, and forward them."""
        self.rejects.update(reject.reason for reject in rejects)
        self.first_reject = self.first_reject or next(iter(rejects), None)
        self._sink.reject(*rejects)

    def count_rows(self, rows: int, rejected: int) -> None:
        """Count the rows of a table, and the rows with a rejected cell or rejected as a whole."""
        self.rows += rows
        self.rejected_rows += rejected

    def warn(self, warning: str, records: int) -> None:
        """Count the records to which a warning applies."""
        if records:
            self.warnings[warning] += records

    def source_ids(self) -> set[str]:
        """Return the subjects that readers named by text."""
        return {subject for subject in self._subjects if isinstance(subject, str)}

    def count_commit(self, commit: Commit, writer: CohortWriter) -> None:
        """Count what the commit replaced, and warn of values that contradict what the cohort holds."""
        self.name, self.removed = writer.source_name, commit.removed
        self.warn(CHANGED, commit.changed)
        self.warn(WITHDRAWN, commit.withdrawn)
        if writer.replace and writer.source_is_new and commit.version > 1:
            self.warn(NOTHING_REPLACED, 1)

    def report(self, source: str, seconds: float) -> IngestReport:
        """Return the counts as a report."""
        return IngestReport(
            source=source,
            events=self.events,
            subjects=len(self._subjects),
            blobs=len(self._blobs),
            rejects=dict(self.rejects.most_common()),
            warnings=dict(self.warnings.most_common()),
            seconds=seconds,
            rows=self.rows,
            rejected_rows=self.rejected_rows,
            name=self.name,
            removed=self.removed,
        )


def ingest(
    source: str,
    path: Path | str,
    into: Path | str,
    *,
    mapping: Path | str | None = None,
    strict: bool = False,
    progress: Progress = SILENT,
    seed: int | None = None,
    zone: str | None = None,
    name: str | None = None,
    replace: bool = False,
    **options: Any,
) -> IngestReport:
    """Read the source at `path` into the cohort at `into`, creating it or merging without duplicates.

    Args:
        source: a name from `READERS`.
        path: the file or folder to read.
        into: the cohort's folder; readers see the change atomically.
        mapping: the YAML file that maps a table's columns (`table` only).
        strict: refuse the whole source when anything in it is rejected.
        progress: shows the progress.
        seed: of the split by subject; None means that of the cohort, or 0 for a new one.
        zone: of times without an offset from UTC, such as `Europe/Berlin`; a table's mapping may name another.
        name: of the source, by which it can be replaced or removed; None means the end of `path`.
        replace: whether what the source contains now takes the place of what it contained before.
        options: other options of the reader, see `Options`.

    Raises:
        IngestError: nothing was readable, the times have another clock than the cohort's, or the cohort is inside the
            source's folder.
        RejectsError: `strict`, and something was rejected. In all cases the cohort is unchanged.
    """
    path, started = Path(path), perf_counter()
    chosen = options_for(source, mapping=mapping, zone=zone, **options)
    _check_paths(source, path, chosen.images, Path(into))
    new_writer = partial(
        CohortWriter, into, source=source, path_read=path, name=name, replace=replace, seed=seed, progress=progress
    )
    try:
        counter = _read(path, new_writer(), chosen, strict, progress)
    except MixedClocks as mixed:  # most times have the other clock than the first
        counter = _read(path, new_writer(), chosen, strict, progress, mixed.clock)
    counter.warn(ALIKE, count_alike(counter.source_ids(), Cohort.open(into).subjects.get_column("source_id")))
    return counter.report(source, perf_counter() - started)


def refuse_meds(path: Path) -> None:
    """Refuse a MEDS data set as the source of a table, since it opens as it is.

    Raises:
        IngestError: `path` is a MEDS data set, its data folder, or one of its shards.
    """
    if (root := meds_root(path)) is not None:
        raise IngestError(
            f"{path} is a MEDS data set, or part of one, and opens as it is: give {root} where a command takes a "
            f"COHORT, for example `polyclinic summary {root}`"
        )


def _check_paths(source: str, path: Path, images: Path | None, into: Path) -> None:
    if not path.exists():
        raise IngestError(f"{path.name} does not exist: give the file or folder of the source")
    if source == "table":
        refuse_meds(path)
    for folder in filter(None, (path, images)):
        _check_outside(folder, into)


def _read(
    path: Path, writer: CohortWriter, options: Options, strict: bool, progress: Progress, clock: str | None = None
) -> CountingSink:
    """Read the source, and commit; times have `clock`, or else that of the cohort.

    Raises:
        MixedClocks: most times have another clock than the first.
    """
    with writer:
        of_times = options.clock.of(clock or writer.clock)
        counter = CountingSink(writer)
        patients = CheckedPatients(counter, writer, of_times, path.name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # decoders' warnings contain values
            read = source_named(writer.source).load()
            read(path, patients, dataclasses.replace(options, clock=of_times), progress)
        of_times.check(path.name)
        patients.finish()
        _check_readable(counter, path.name, strict)
        writer.clock = of_times.found
        counter.count_commit(writer.commit(), writer)
    return counter


def _check_outside(folder: Path, into: Path) -> None:
    if folder.is_dir() and into.resolve().is_relative_to(folder.resolve()):
        raise IngestError(f"{into} is inside the source's folder, and would be read with it: choose a folder outside")


def _check_readable(counter: CountingSink, name: str, strict: bool) -> None:
    reasons = "; ".join(f"{reason}: {count}" for reason, count in counter.rejects.most_common())
    first = f"; the first: {_describe(counter.first_reject, name)}" if counter.first_reject else ""
    if not counter.events:
        raise IngestError(f"nothing readable in {name} ({reasons or 'it holds no records'}){first}")
    if strict and reasons:
        raise RejectsError(f"{name} has rejects ({reasons}): correct them, or leave out --strict{first}")


def _describe(reject: Reject, name: str) -> str:
    """Describe a reject, with its line in the file `name`; other file names may identify patients, and are omitted."""
    line = f"line {reject.line}: " if reject.file == name and reject.line is not None else ""
    return f"{line}{reject.reason}: {reject.remedy}"

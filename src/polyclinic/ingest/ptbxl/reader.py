"""PTB-XL (Wagner et al. 2020, https://physionet.org/content/ptb-xl/): 12-lead ECGs with reports and SCP-ECG statements.

Each row of `ptbxl_database.csv` is a ten-second ECG of the subject `patient_id`. At `recording_date` are the ECG
(`WAVEFORM//ECG//mV`, from `filename_lr`, or `filename_hr` if the former is missing), age, height and weight; sex is
static. The collection encodes ages above 89 as 300; they become 90, their lower bound.

The cardiologist's interpretation is a minute later: the report (`NOTE//ecg_report`), each statement
(`OUTCOME//scp_NORM//%`, with its likelihood, if stated), and `OUTCOME//ecg_NORM`, `_MI`, `_STTC`, `_CD` and `_HYP`: 1
for superclasses stated at any likelihood, 0 for the others, and no event if no statement is diagnostic. Statements are
outcomes, and so never inputs. `OUTCOME//recommended_fold` is static.

Axis, stage of infarction, quality, device, site and staff are not read, because they restate the diagnosis or identify
where and by whom it was made.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from polyclinic.ingest.clock import REMEDIES, Clock
from polyclinic.ingest.errors import IngestError, UnreadableRecord
from polyclinic.ingest.event_buffer import EventBuffer
from polyclinic.ingest.formats.delimited import read_delimited
from polyclinic.ingest.formats.waveform import Waveform
from polyclinic.ingest.formats.wfdb_record import read_record
from polyclinic.ingest.missing import known_cells
from polyclinic.ingest.parallel import in_order
from polyclinic.ingest.paths import UnreadablePath, inside
from polyclinic.ingest.plain_number import plain_number
from polyclinic.ingest.plausible import OLDEST_YEARS
from polyclinic.ingest.ptbxl.statements import FILE, StatementTable, parse_statements
from polyclinic.ingest.readers import Options, Sink
from polyclinic.ingest.row_filter import RowFilter
from polyclinic.ingest.subject_ids import subject_id
from polyclinic.ingest.table.datetimes import read_dates
from polyclinic.ingest.wfdb.reader import by_kind
from polyclinic.progress import Progress

DATABASE = "ptbxl_database.csv"
COLUMNS = ("ecg_id", "patient_id", "recording_date", "scp_codes", "filename_lr")
READ_AFTER = timedelta(minutes=1)
_SEX = {"0": "male", "1": "female"}
_ABOVE_89, _AGE_ABOVE_89 = 300.0, 90.0


class Measured(NamedTuple):
    """Code and plausible range of a numeric column."""

    code: str
    lowest: float
    highest: float


MEASURED: Mapping[str, Measured] = {
    "age": Measured("DEMOGRAPHIC//age//years", 0, OLDEST_YEARS),
    "height": Measured("DEMOGRAPHIC//height//cm", 50, 250),
    "weight": Measured("DEMOGRAPHIC//weight//kg", 2, 350),
}


@dataclass(frozen=True)
class Row:
    """A row of the database with a valid subject and time."""

    line: int
    patient: str
    time: datetime
    cells: Mapping[str, str]

    def cell(self, column: str) -> str:
        """Return a cell without padding; empty if there is no such column."""
        return self.cells.get(column, "")


def read(path: Path, sink: Sink, options: Options, progress: Progress) -> None:
    """Read the collection in the folder `path`, or with the database file `path`.

    Raises:
        IngestError: the database or the table of statements is missing or invalid.
    """
    database = path / DATABASE if path.is_dir() else path
    if not database.is_file():
        raise IngestError(f"no {DATABASE} in {path.name}: give the folder that holds it")
    table = StatementTable.read(database.with_name(FILE), RowFilter(FILE, sink))
    row_filter = RowFilter(database.name, sink)
    rows = list(_rows(database, row_filter, options.clock))
    with EventBuffer(sink) as events:
        _add_static(rows, row_filter, events)
        for row in rows:
            _add_measurements(row, row_filter, events)
            _add_statements(row, table, row_filter, events)
        _add_waveforms(rows, database.parent, row_filter, events, progress)


def _rows(database: Path, row_filter: RowFilter, clock: Clock) -> Iterator[Row]:
    seen: set[str] = set()
    try:
        with database.open("rb") as raw:
            for rows in read_delimited(raw, row_filter, ","):
                if missing := [name for name in COLUMNS if name not in rows.cells.columns]:
                    raise IngestError(f"{database.name} has no column {missing[0]!r}: give PTB-XL's own database")
                moments = clock.convert(*read_dates(rows.cells["recording_date"].str.strip_chars()))
                times = zip(moments.time, moments.problem, strict=True)
                for line, cells, time in zip(rows.line, rows.cells.iter_rows(named=True), times, strict=True):
                    try:
                        yield _row(line, known_cells(cells), time, seen)
                    except UnreadableRecord as error:
                        row_filter.reject_file(error.reason, error.remedy, line)
    except UnreadableRecord as error:
        row_filter.reject_file(error.reason, error.remedy, error.line)


def _row(line: int, cells: Mapping[str, str], time: tuple[datetime | None, str | None], seen: set[str]) -> Row:
    patient, (moment, problem) = subject_id(cells["patient_id"]), time
    if cells["ecg_id"] in seen:
        raise UnreadableRecord("duplicate record", "keep one row of each 'ecg_id'")
    if problem is not None:
        raise UnreadableRecord(problem, f"column 'recording_date': {REMEDIES[problem]}")
    if moment is None or moment > datetime.max - READ_AFTER:
        raise UnreadableRecord(
            "impossible time", "write column 'recording_date' as 1984-11-09 09:17:34, or leave the row out"
        )
    seen.add(cells["ecg_id"])
    return Row(line, patient, moment, cells)


def _add_static(rows: list[Row], row_filter: RowFilter, events: EventBuffer) -> None:
    """Add each patient's distinct values of sex and recommended fold."""
    sexes, folds = dict[tuple[str, str], int](), dict[tuple[str, float], None]()
    for row in rows:
        if row.cell("sex") in _SEX:
            sexes.setdefault((row.patient, _SEX[row.cell("sex")]), row.line)
        elif row.cell("sex"):
            row_filter.reject_file("unknown category", "write column 'sex' as 0 (male) or 1 (female)", row.line)
        if row.cell("strat_fold").isdigit():
            folds[row.patient, float(row.cell("strat_fold"))] = None
    for (patient, sex), line in sexes.items():
        events.add(patient, None, "DEMOGRAPHIC//sex", text=sex, file=row_filter.file, line=line)
    for patient, fold in folds:
        events.add(patient, None, "OUTCOME//recommended_fold", number=fold)


def _add_measurements(row: Row, row_filter: RowFilter, events: EventBuffer) -> None:
    for column, measured in MEASURED.items():
        value = plain_number(row.cell(column))
        if column == "age" and value == _ABOVE_89:
            value = _AGE_ABOVE_89
        if value is None:
            continue
        if measured.lowest <= value <= measured.highest:
            events.add(row.patient, row.time, measured.code, number=value)
        else:
            remedy = f"column {column!r}: write a number from {measured.lowest:g} to {measured.highest:g}"
            row_filter.reject_file("implausible value", remedy, row.line)


def _add_statements(row: Row, table: StatementTable, row_filter: RowFilter, events: EventBuffer) -> None:
    read_at = row.time + READ_AFTER
    if report := row.cell("report"):
        events.add(row.patient, read_at, "NOTE//ecg_report", text=report)
    try:
        stated = parse_statements(row.cell("scp_codes"))
        for code, likelihood in stated.items():
            events.add(row.patient, read_at, f"OUTCOME//scp_{code}//%", number=likelihood)
        for name, holds in (table.superclasses(stated) or {}).items():
            events.add(row.patient, read_at, f"OUTCOME//ecg_{name}", number=float(holds))
    except UnreadableRecord as error:
        row_filter.reject_file(error.reason, error.remedy, row.line)


def _add_waveforms(rows: list[Row], root: Path, row_filter: RowFilter, events: EventBuffer, progress: Progress) -> None:
    with progress.task("Reading ECGs", len(rows)) as advance:
        for row, ecg in zip(rows, in_order(lambda row: _waveform(row, root), rows), strict=True):
            if isinstance(ecg, UnreadableRecord):
                row_filter.reject_file(ecg.reason, f"ECG: {ecg.remedy}", row.line)
            else:
                for code, part in by_kind(ecg):
                    events.add(row.patient, row.time, code, blob=row_filter.sink.add_blob(*part.to_blob()))
            advance(1)


def _waveform(row: Row, root: Path) -> Waveform | UnreadableRecord:
    try:
        return read_record(_header(row, root), root)
    except UnreadableRecord as error:
        return error


def _header(row: Row, root: Path) -> Path:
    """Return the header of the 100 Hz record, or else of the 500 Hz one."""
    try:
        return inside(root, f"{row.cell('filename_lr')}.hea")
    except UnreadablePath:
        if not row.cell("filename_hr"):
            raise
        return inside(root, f"{row.cell('filename_hr')}.hea")

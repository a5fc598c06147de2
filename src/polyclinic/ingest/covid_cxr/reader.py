"""The COVID-19 image data collection (Cohen et al. 2020, arXiv 2006.11988): `metadata.csv` with images and notes.

Each row is one image of a patient. Its time is `NOMINAL_ORIGIN` plus `offset`, in days since the first symptoms
(possibly negative); a missing offset is that of the patient's previous row, or 0. At that time are the image
(`IMAGE//CR//PA`), the clinical note with the diagnosis masked (`NOTE//clinical`, see `diagnosis_mask`), temperature,
oxygen and cell counts. Age and sex are static. The code of `pO2_saturation` has no unit, because the collection mixes
saturations in % with pressures in mmHg.

Outcomes are `OUTCOME//finding` (the label as written, one event per row, because rows of a patient may differ) and
`OUTCOME//survival`, `OUTCOME//went_icu`, … (1 or 0, with `Y` or `N` as text; no event if the cell is empty or unclear).
They follow all inputs: they start a day after the patient's last row, one minute apart in the order of the rows' times.

The provenance columns (`date`, `location`, `folder`, `filename`, `doi`, `url`, `license`) and the credits in
`other_notes` do not become events, because they leak the label: a site published one disease.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from polyclinic.cohort import NOMINAL_ORIGIN
from polyclinic.ingest.covid_cxr.diagnosis_mask import DiagnosisMask
from polyclinic.ingest.errors import IngestError, UnreadableRecord
from polyclinic.ingest.event_buffer import EventBuffer
from polyclinic.ingest.formats.delimited import read_delimited
from polyclinic.ingest.formats.images import png, read_grey
from polyclinic.ingest.missing import known_cells
from polyclinic.ingest.parallel import in_order
from polyclinic.ingest.paths import inside
from polyclinic.ingest.plain_number import plain_number
from polyclinic.ingest.plausible import OLDEST_YEARS
from polyclinic.ingest.readers import Options, Sink
from polyclinic.ingest.row_filter import RowFilter
from polyclinic.ingest.sexes import meaning
from polyclinic.ingest.subject_ids import subject_id
from polyclinic.progress import Progress

METADATA = "metadata.csv"
OUTCOMES = (
    "survival",
    "intubated",
    "intubation_present",
    "went_icu",
    "in_icu",
    "needed_supplemental_O2",
    "extubated",
    "RT_PCR_positive",
)
_YES_NO = {"Y": 1.0, "N": 0.0}
_UNSTATED = {"", "Unclear"}
_SEXES = ("female", "male")
_MODALITY = {"X-ray": "CR", "CT": "CT"}
_OUTCOMES_AFTER, _OUTCOMES_APART = timedelta(days=1), timedelta(minutes=1)
_LONGEST_OFFSET = 36_500  # days


class Measured(NamedTuple):
    """Code and plausible range of a numeric column."""

    code: str
    lowest: float
    highest: float


AGE = Measured("DEMOGRAPHIC//age//years", 0, OLDEST_YEARS)
MEASURED: Mapping[str, Measured] = {
    "temperature": Measured("VITAL//temperature//Cel", 25, 45),
    "pO2_saturation": Measured("VITAL//pO2_saturation", 0, 760),
    "leukocyte_count": Measured("LAB//leukocytes//10^3/uL", 0, 1000),
    "neutrophil_count": Measured("LAB//neutrophils//10^3/uL", 0, 1000),
    "lymphocyte_count": Measured("LAB//lymphocytes//10^3/uL", 0, 1000),
}


@dataclass(frozen=True)
class Row:
    """A row of the metadata with a valid patient and offset."""

    line: int
    patient: str
    day: float | None  # since the first symptoms
    cells: Mapping[str, str]

    def cell(self, column: str) -> str:
        """Return a cell without padding; empty if there is no such column."""
        return self.cells.get(column, "")


def read(path: Path, sink: Sink, options: Options, progress: Progress) -> None:  # noqa: ARG001
    """Read the collection in the folder `path`, or with the metadata file `path`.

    Raises:
        IngestError: the metadata is missing, or lacks the column `patientid`.
    """
    metadata = path / METADATA if path.is_dir() else path
    if not metadata.is_file():
        raise IngestError(f"no {METADATA} in {path.name}: give the folder that holds it")
    row_filter = RowFilter(metadata.name, sink)
    rows = list(_rows(metadata, row_filter))
    mask = DiagnosisMask(row.cell("finding") for row in rows)
    with EventBuffer(sink) as events:
        _add_images(timed_rows_by_patient(rows), metadata.parent, row_filter, events, progress)
        for patient_rows in timed_rows_by_patient(rows).values():
            _add_facts(patient_rows, mask, row_filter, events)
            _add_outcomes(patient_rows, row_filter, events)


def _rows(metadata: Path, row_filter: RowFilter) -> Iterator[Row]:
    try:
        with metadata.open("rb") as raw:
            for rows in read_delimited(raw, row_filter, ","):
                if "patientid" not in rows.cells.columns:
                    raise IngestError(f"{metadata.name} has no column 'patientid': give the collection's own metadata")
                for line, cells in zip(rows.line, rows.cells.iter_rows(named=True), strict=True):
                    yield from _checked_row(line, known_cells(cells), row_filter)
    except UnreadableRecord as error:
        row_filter.reject_file(error.reason, error.remedy, error.line)


def _checked_row(line: int, cells: Mapping[str, str], row_filter: RowFilter) -> Iterator[Row]:
    day = plain_number(cells.get("offset", ""))
    try:
        patient = subject_id(cells["patientid"])
    except UnreadableRecord as error:
        row_filter.reject_file(error.reason, f"column 'patientid': {error.remedy}", line)
        return
    if day is not None and not abs(day) <= _LONGEST_OFFSET:  # NaN stands for text that is not a number
        row_filter.reject_file("impossible date", "write column 'offset' as days since the first symptoms", line)
    else:
        yield Row(line, patient, day, cells)


Timed = tuple[datetime, Row]


def timed_rows_by_patient(rows: Sequence[Row]) -> dict[str, list[Timed]]:
    """Return each patient's rows with their times, sorted by time (stable)."""
    patients: dict[str, list[Timed]] = {}
    for row in rows:
        earlier = patients.setdefault(row.patient, [])
        if row.day is not None:
            time = NOMINAL_ORIGIN + timedelta(days=row.day)
        else:
            time = earlier[-1][0] if earlier else NOMINAL_ORIGIN
        earlier.append((time, row))
    return {patient: sorted(timed, key=lambda pair: pair[0]) for patient, timed in patients.items()}


def _add_images(
    patients: Mapping[str, Sequence[Timed]], root: Path, row_filter: RowFilter, events: EventBuffer, progress: Progress
) -> None:
    timed = [pair for pairs in patients.values() for pair in pairs if image_name(pair[1])]
    with progress.task("Reading images", len(timed)) as advance:
        contents = in_order(lambda pair: _read_image(root, image_name(pair[1])), timed)
        for (time, row), content in zip(timed, contents, strict=True):
            if isinstance(content, UnreadableRecord):
                row_filter.reject_file(content.reason, f"image: {content.remedy}", row.line)
            else:
                events.add(row.patient, time, image_code(row), blob=row_filter.sink.add_blob(content, ".png"))
            advance(1)


def image_name(row: Row) -> str:
    """Return the row's image path relative to the metadata's folder; empty if it has none."""
    if row.cell("image") or not row.cell("filename"):
        return row.cell("image")
    return f"{row.cell('folder') or 'images'}/{row.cell('filename')}"


def image_code(row: Row) -> str:
    """Return the code of the row's image: `IMAGE//CR//PA`, `IMAGE//CR//AP_SUPINE`, `IMAGE//CR//L`."""
    view = "_".join(row.cell("view").upper().split()) or "UNKNOWN"
    return f"IMAGE//{_MODALITY.get(row.cell('modality') or 'X-ray', 'OT')}//{view}"


def _read_image(root: Path, name: str) -> bytes | UnreadableRecord:
    try:
        return png(read_grey(inside(root, name)))
    except UnreadableRecord as error:
        return error


def _add_facts(rows: Sequence[Timed], mask: DiagnosisMask, row_filter: RowFilter, events: EventBuffer) -> None:
    for line, sex in _distinct((row.line, _sex(row, row_filter)) for _, row in rows):
        events.add(rows[0][1].patient, None, "DEMOGRAPHIC//sex", text=sex, file=row_filter.file, line=line)
    for age in dict.fromkeys(age for _, row in rows if (age := _measured(row, "age", AGE, row_filter)) is not None):
        events.add(rows[0][1].patient, None, AGE.code, number=age)
    for time, row in rows:
        for column, measured in MEASURED.items():
            if (value := _measured(row, column, measured, row_filter)) is not None:
                events.add(row.patient, time, measured.code, number=value)
        if note := mask(row.cell("clinical_notes")):
            events.add(row.patient, time, "NOTE//clinical", text=note)


def _distinct(stated: Iterable[tuple[int, str | None]]) -> Iterator[tuple[int, str]]:
    """Yield the first line of each text."""
    seen: set[str] = set()
    for line, text in stated:
        if text is not None and text not in seen:
            seen.add(text)
            yield line, text


def _sex(row: Row, row_filter: RowFilter) -> str | None:
    sex = meaning(row.cell("sex"))
    if sex and sex not in _SEXES:
        row_filter.reject_file("unknown category", "write column 'sex' as F or M", row.line)
    return sex if sex in _SEXES else None


def _measured(row: Row, column: str, measured: Measured, row_filter: RowFilter) -> float | None:
    value = plain_number(row.cell(column))
    if value is None or measured.lowest <= value <= measured.highest:
        return value
    remedy = f"column {column!r}: write a number from {measured.lowest:g} to {measured.highest:g}"
    row_filter.reject_file("implausible value", remedy, row.line)
    return None


def _add_outcomes(rows: Sequence[Timed], row_filter: RowFilter, events: EventBuffer) -> None:
    start = rows[-1][0] + _OUTCOMES_AFTER
    for index, (_, row) in enumerate(rows):
        time = start + index * _OUTCOMES_APART
        if row.cell("finding"):
            events.add(row.patient, time, "OUTCOME//finding", text=row.cell("finding"))
        for column in OUTCOMES:
            answer = row.cell(column)
            if answer in _YES_NO:
                events.add(row.patient, time, f"OUTCOME//{column}", number=_YES_NO[answer], text=answer)
            elif answer not in _UNSTATED:
                row_filter.reject_file(
                    "unknown category", f"write column {column!r} as Y or N, or leave it empty", row.line
                )

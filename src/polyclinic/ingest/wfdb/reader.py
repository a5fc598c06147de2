"""Read WFDB records: waveforms and facts from their headers.

Each record is a subject, named by its path in the folder (`100`, `patient001/s0010_re`), because a folder does not show
which records belong to one patient, and merging patients is worse than splitting one. If the patients are known, use a
table with a `waveform` column.

All ECG leads become one event, `WAVEFORM//ECG//mV`; each other signal is an event, such as `WAVEFORM//ABP//mmHg`. The
time is the record's base date and time; without them the events are static. Of the header's comments only age and sex
are read, because others often state the diagnosis.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from polyclinic.cohort import Reject
from polyclinic.ingest.clock import Clock
from polyclinic.ingest.errors import UnreadableRecord
from polyclinic.ingest.event_buffer import EventBuffer
from polyclinic.ingest.formats.waveform import MILLIVOLTS, Waveform
from polyclinic.ingest.formats.wfdb_record import base_time, header_of, read_record, segments
from polyclinic.ingest.paths import files_under, name_within
from polyclinic.ingest.plausible import OLDEST_YEARS
from polyclinic.ingest.readers import Options, Sink
from polyclinic.progress import Progress

_NOT_ECG = re.compile(
    r"^(resp|imp|pleth|spo2|abp|art|pap|cvp|icp|bp|eeg|eog|emg|co2|flow|fp\d|[cfopt][34z]-)", re.IGNORECASE
)
_AGE = re.compile(r"^\s*age\s*[:=]\s*(.*?)\s*(?:[,;].*|\b(?:sex|gender)\b.*)?$|^\s*(\d{1,3})\s+[MF]\b", re.IGNORECASE)
_YEARS = re.compile(r"(\d{1,3})\s*(?:y|yrs?|years?)?", re.IGNORECASE)
_SEX = re.compile(r"^\s*(?:sex|gender)\s*[:=]\s*([mf])(?:ale|emale)?\b|^\s*\d{1,3}\s+([MF])\b", re.IGNORECASE)
_UNSTATED = ("?", "-", "-1", "n/a", "na", "nan", "none", "null", "unknown", "0")
_BASE_TIME = (r"\d{1,2}(?::\d{2}){0,2}(?:\.\d{1,6})?", r"\d{1,2}/\d{1,2}/\d{4}")


def read(path: Path, sink: Sink, options: Options, progress: Progress) -> None:
    """Read all records under the folder `path`, or the single record `path` (with or without `.hea`)."""
    root, headers = _headers(path, sink)
    with EventBuffer(sink) as events, progress.task("Reading waveforms", len(headers)) as advance:
        for header in headers:
            try:
                _add_record(header, root, sink, events, options.clock)
            except UnreadableRecord as error:
                sink.reject(Reject(name_within(root, header), None, error.reason, error.remedy))
            advance(1)


def _headers(path: Path, sink: Sink) -> tuple[Path, list[Path]]:
    if not path.is_dir():
        return path.parent, [path]
    headers = list(files_under(path, sink, "*.hea"))
    parts = {header.with_name(f"{name}.hea") for header in headers for name in segments(header)}
    return path, [header for header in headers if header not in parts]


def by_kind(waveform: Waveform) -> Iterator[tuple[str, Waveform]]:
    """Yield codes with their signals: all ECG leads together, in mV, and each other signal separately."""
    ecg = [index for index, unit in enumerate(waveform.units) if _is_ecg(waveform.leads[index], unit)]
    if ecg:
        scale = np.array([MILLIVOLTS[waveform.units[index].lower()] for index in ecg], dtype=np.float32)
        chosen = waveform.select(ecg)
        yield (
            "WAVEFORM//ECG//mV",
            Waveform(chosen.signals * scale, chosen.sampling_hz, chosen.leads, ("mV",) * len(ecg)),
        )
    for index in sorted(set(range(len(waveform.leads))) - set(ecg)):
        name = re.sub(r"[^A-Za-z0-9+.-]+", "_", waveform.leads[index])
        yield f"WAVEFORM//{name}//{waveform.units[index]}", waveform.select([index])


def _is_ecg(lead: str, unit: str) -> bool:
    return unit.lower() in MILLIVOLTS and not _NOT_ECG.match(lead)


def _add_record(path: Path, root: Path, sink: Sink, events: EventBuffer, clock: Clock) -> None:
    waveform, header = read_record(path, root), header_of(path)
    subject, start = name_within(root, path).removesuffix(".hea"), _start(path, header)
    time = None if start is None else clock.moment(start)
    for code, part in by_kind(waveform):
        events.add(subject, time, code, blob=sink.add_blob(*part.to_blob()))
    events.add(subject, time, "WFDB//duration//s", number=waveform.duration_s)
    events.add(subject, time, "WFDB//sampling_rate//Hz", number=waveform.sampling_hz)
    events.add(subject, time, "WFDB//leads", number=len(waveform.leads))
    for remedy in _add_person(subject, time, header.comments or [], events):
        sink.reject(Reject(name_within(root, path), None, "implausible value", remedy))


def _start(path: Path, header: Any) -> datetime | None:
    """Return the base time of a record; None if it states no date.

    Raises:
        UnreadableRecord: the record line holds more than a time and a date, of which the library reads the beginning.
    """
    words = base_time(path if path.suffix == ".hea" else path.with_name(f"{path.name}.hea"))
    if len(words) > len(_BASE_TIME) or not all(map(re.fullmatch, _BASE_TIME, words)):
        raise UnreadableRecord("impossible date", "write the record line's base time as HH:MM:SS DD/MM/YYYY")
    return datetime.combine(header.base_date, header.base_time) if header.base_date and header.base_time else None


def _add_person(subject: str, time: datetime | None, comments: list[str], events: EventBuffer) -> Iterator[str]:
    """Add the age and sex of the comments, and yield the remedy of an unusable age."""
    age, sex = _first(_AGE, comments), _first(_SEX, comments)
    years = _YEARS.fullmatch(age or "")
    if years and 0 < int(years[1]) <= OLDEST_YEARS:
        events.add(subject, time, "DEMOGRAPHIC//age//years", number=int(years[1]))
    elif age and age.lower() not in _UNSTATED:
        yield f"state the age as a number of years up to {OLDEST_YEARS}, or leave it out"
    if sex:
        events.add(subject, None, "DEMOGRAPHIC//sex", text={"m": "male", "f": "female"}[sex.lower()])


def _first(pattern: re.Pattern[str], comments: list[str]) -> str | None:
    found = (match for comment in comments if (match := pattern.match(comment)))
    return next((match.group(match.lastindex or 0) for match in found), None)

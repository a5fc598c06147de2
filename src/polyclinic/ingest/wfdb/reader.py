"""WFDB records: waveforms with their facts. Format: PhysioNet, "WFDB header(5) and signal(5)", wfdb.io/spec.

A subject is one record, named by its path in the folder (`100`, `patient001/s0010_re`): folders of PhysioNet hold now
one patient's records, now a thousand patients', and joining two patients is worse than parting one. Where the patients
of the records are known, use a table with a `waveform` column.

Signals become one event per kind: all electrocardiogram leads together as `WAVEFORM//ECG//mV`, every other signal by
itself, as `WAVEFORM//ABP//mmHg`. The time is the record's base date and time; a record without them is a static fact.
Of the header's free comments only age and sex are read, because the rest often states the diagnosis.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import wfdb

from polyclinic.cohort import Reject
from polyclinic.ingest.event_buffer import EventBuffer
from polyclinic.ingest.formats.waveform import Waveform
from polyclinic.ingest.paths import OUTSIDE, UnusablePath, files_under, inside, name_within
from polyclinic.ingest.readers import Options, Sink
from polyclinic.ingest.unusable import Unusable
from polyclinic.progress import Progress

MAX_SAMPLES = 250_000_000  # of all leads together: 1 GB as float32; a day of 12 leads at 200 Hz
_MILLIVOLTS = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "v": 1e3}
_NOT_ECG = re.compile(
    r"^(resp|imp|pleth|spo2|abp|art|pap|cvp|icp|bp|eeg|eog|emg|co2|flow|fp\d|[cfopt][34z]-)", re.IGNORECASE
)
_AGE = re.compile(r"^\s*age\s*[:=]\s*(\d{1,3})\b|^\s*(\d{1,3})\s+[MF]\b", re.IGNORECASE)
_SEX = re.compile(r"^\s*(?:sex|gender)\s*[:=]\s*([mf])(?:ale|emale)?\b|^\s*\d{1,3}\s+([MF])\b", re.IGNORECASE)
_OLDEST = 130
_HEADER_BYTES = 1_000_000  # more than any header of real records


class UnusableRecord(Unusable):
    """A waveform record that cannot be used."""


def read(path: Path, sink: Sink, options: Options, progress: Progress) -> None:  # noqa: ARG001
    """Read every record under the folder `path`, or the one record whose header or stem `path` is."""
    root, headers = _headers(path, sink)
    with EventBuffer(sink) as events, progress.task("Reading waveforms", len(headers)) as advance:
        for header in headers:
            try:
                _add_record(header, root, sink, events)
            except UnusableRecord as error:
                sink.reject(Reject(name_within(root, header), None, error.reason, error.remedy))
            advance(1)


def read_record(path: Path, root: Path | None = None) -> Waveform:
    """Read the record at `path` (its header file, or that name without `.hea`) in physical units.

    Samples of a signal that has several per frame are averaged over the frame; skewed signals are aligned.

    Args:
        path: of the record.
        root: the folder that its signal files may not leave through links; by default the record's own.

    Raises:
        UnusableRecord: no such record, a damaged header, signal files missing or too short, or more than `MAX_SAMPLES`.
    """
    header = _header_of(path)
    _check(header, path.parent, root or path.parent)
    return _signals(path)


def _headers(path: Path, sink: Sink) -> tuple[Path, list[Path]]:
    if not path.is_dir():
        return path.parent, [path]
    headers = list(files_under(path, sink, "*.hea"))
    segments = {header.with_name(f"{name}.hea") for header in headers for name in _segments(header)}
    return path, [header for header in headers if header not in segments]


def _segments(header: Path) -> list[str]:
    """Name the records that the record is made of; none for most, whose record line has no number of segments."""
    with header.open("rb") as file:
        lines = [line.split() for line in file.read(_HEADER_BYTES).splitlines() if line.split() and line[:1] != b"#"]
    if not lines or b"/" not in lines[0][0]:
        return []
    return [line[0].decode("ascii", "replace") for line in lines[1:]]


def _stem(path: Path) -> str:
    """The record's name as the library wants it: absolute, so that it is never taken for an address."""
    return str((path.with_suffix("") if path.suffix == ".hea" else path).absolute())


def _header_of(path: Path) -> Any:
    try:
        return wfdb.rdheader(_stem(path), rd_segments=True)
    except FileNotFoundError:
        raise UnusableRecord("missing file", "put the record's header file (and its segments') in place") from None
    except Exception:  # a damaged header raises nearly everything
        raise UnusableRecord("damaged WFDB header", "fetch the record again, or correct its .hea file") from None


def _check(header: Any, folder: Path, root: Path) -> None:
    """Refuse by the header what must not be read, before a sample is."""
    if not header.n_sig or not header.fs or header.fs <= 0:
        raise UnusableRecord("record without signals", "leave the record out, or correct its .hea file")
    if header.n_sig * (header.sig_len or 0) > MAX_SAMPLES:
        limit = f"{MAX_SAMPLES // 1_000_000} million samples"
        raise UnusableRecord("record too long", f"cut the record into pieces of at most {limit} over all leads")
    segments = [part for part in getattr(header, "segments", None) or [header] if part is not None]
    for name in {name for part in segments for name in part.file_name or () if name != "~"}:
        _check_signal_file(name, folder, root)


def _check_signal_file(name: str, folder: Path, root: Path) -> None:
    try:
        inside(root, (folder / name).relative_to(root).as_posix())
    except UnusablePath as error:
        if error.reason == OUTSIDE:
            raise UnusableRecord(error.reason, error.remedy) from None
        raise UnusableRecord("missing signal file", "put the file that the .hea file names beside it") from None


def _signals(path: Path) -> Waveform:
    try:
        record = wfdb.rdrecord(_stem(path), return_res=32)
    except Exception:  # signal files shorter than the header says, unknown formats
        raise UnusableRecord(
            "unreadable signal file", "fetch the record again: header and signals do not fit"
        ) from None
    if not np.isfinite(record.p_signal).any():
        raise UnusableRecord("record without signals", "leave the record out: no sample in it is valid")
    leads = tuple(name or f"signal {place}" for place, name in enumerate(record.sig_name, 1))
    return Waveform(np.ascontiguousarray(record.p_signal), float(record.fs), leads, tuple(record.units))


def by_kind(waveform: Waveform) -> Iterator[tuple[str, Waveform]]:
    """Part the signals and give each part its code: the electrocardiogram's leads together in mV, every other alone."""
    ecg = [place for place, unit in enumerate(waveform.units) if _is_ecg(waveform.leads[place], unit)]
    if ecg:
        scale = np.array([_MILLIVOLTS[waveform.units[place].lower()] for place in ecg], dtype=np.float32)
        chosen = waveform.select(ecg)
        yield (
            "WAVEFORM//ECG//mV",
            Waveform(chosen.signals * scale, chosen.sampling_hz, chosen.leads, ("mV",) * len(ecg)),
        )
    for place in sorted(set(range(len(waveform.leads))) - set(ecg)):
        name = re.sub(r"[^A-Za-z0-9+.-]+", "_", waveform.leads[place])
        yield f"WAVEFORM//{name}//{waveform.units[place]}", waveform.select([place])


def _is_ecg(lead: str, unit: str) -> bool:
    return unit.lower() in _MILLIVOLTS and not _NOT_ECG.match(lead)


def _add_record(path: Path, root: Path, sink: Sink, events: EventBuffer) -> None:
    waveform, header = read_record(path, root), _header_of(path)
    subject, time = name_within(root, path).removesuffix(".hea"), _start(header)
    for code, part in by_kind(waveform):
        events.add(subject, time, code, blob=sink.add_blob(*part.to_blob()))
    events.add(subject, time, "WFDB//duration//s", number=waveform.duration_s)
    events.add(subject, time, "WFDB//sampling_rate//Hz", number=waveform.sampling_hz)
    events.add(subject, time, "WFDB//leads", number=len(waveform.leads))
    _add_person(subject, time, header.comments or [], events)


def _start(header: Any) -> datetime | None:
    return datetime.combine(header.base_date, header.base_time) if header.base_date and header.base_time else None


def _add_person(subject: str, time: datetime | None, comments: list[str], events: EventBuffer) -> None:
    age, sex = _first(_AGE, comments), _first(_SEX, comments)
    if age and 0 < int(age) <= _OLDEST:
        events.add(subject, time, "DEMOGRAPHIC//age//years", number=int(age))
    if sex:
        events.add(subject, None, "DEMOGRAPHIC//sex", text={"m": "male", "f": "female"}[sex.lower()])


def _first(pattern: re.Pattern[str], comments: list[str]) -> str | None:
    found = (match for comment in comments if (match := pattern.match(comment)))
    return next((match.group(match.lastindex or 0) for match in found), None)

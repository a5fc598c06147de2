"""Read one WFDB record: header, segments and signals. Format: PhysioNet, header(5) and signal(5), wfdb.io/spec."""

from pathlib import Path
from typing import Any

import numpy as np
import wfdb

from polyclinic.ingest.errors import UnreadableRecord
from polyclinic.ingest.formats.waveform import Waveform
from polyclinic.ingest.paths import OUTSIDE, UnreadablePath, inside

MAX_SAMPLES = 250_000_000  # of all leads together: 1 GB as float32; a day of 12 leads at 200 Hz
_HEADER_BYTES = 1_000_000  # larger than the headers of real records


class UnreadableWaveform(UnreadableRecord):
    """A waveform record cannot be used."""


def read_record(path: Path, root: Path | None = None) -> Waveform:
    """Read the record at `path` (its header file, or that name without `.hea`) in physical units.

    Signals with several samples per frame are averaged over the frame; skewed signals are aligned.

    Args:
        path: of the record.
        root: folder that must contain the signal files after resolving links; by default the record's folder.

    Raises:
        UnreadableWaveform: the record is missing, damaged, too short, or has more than `MAX_SAMPLES`.
    """
    header = header_of(path)
    _check(header, path.parent, root or path.parent)
    return _signals(path)


def segments(header: Path) -> list[str]:
    """Return the names of the segments of a record; empty for a record of a single segment."""
    lines = _lines(header)
    if not lines or "/" not in lines[0][0]:
        return []
    return [line[0] for line in lines[1:]]


def base_time(header: Path) -> tuple[str, ...]:
    """Return the words of the record line from the base time on: the time and date, if stated."""
    return tuple(next(iter(_lines(header)), [])[4:])


def _lines(header: Path) -> list[list[str]]:
    """Return the words of each line of a header, without comments."""
    with header.open("rb") as file:
        texts = [line.decode("ascii", "replace") for line in file.read(_HEADER_BYTES).splitlines() if line[:1] != b"#"]
    return [text.split() for text in texts if text.strip()]


def _stem(path: Path) -> str:
    """Return the record's absolute name without suffix, which the library cannot take for a URL."""
    return str((path.with_suffix("") if path.suffix == ".hea" else path).absolute())


def header_of(path: Path) -> Any:
    """Read the header of a record and of its segments.

    Raises:
        UnreadableWaveform: a header is missing or damaged.
    """
    try:
        return wfdb.rdheader(_stem(path), rd_segments=True)
    except FileNotFoundError:
        raise UnreadableWaveform("missing file", "put the record's header file (and its segments') in place") from None
    except Exception:  # a damaged header raises nearly any exception
        raise UnreadableWaveform("damaged WFDB header", "fetch the record again, or correct its .hea file") from None


def _check(header: Any, folder: Path, root: Path) -> None:
    """Check the header before reading samples."""
    if not header.n_sig or not header.fs or header.fs <= 0:
        raise UnreadableWaveform("record without signals", "leave the record out, or correct its .hea file")
    if header.n_sig * (header.sig_len or 0) > MAX_SAMPLES:
        limit = f"{MAX_SAMPLES // 1_000_000} million samples"
        raise UnreadableWaveform("record too long", f"cut the record into pieces of at most {limit} over all leads")
    segments = [part for part in getattr(header, "segments", None) or [header] if part is not None]
    for name in {name for part in segments for name in part.file_name or () if name != "~"}:
        _check_signal_file(name, folder, root)


def _check_signal_file(name: str, folder: Path, root: Path) -> None:
    try:
        inside(root, (folder / name).relative_to(root).as_posix())
    except UnreadablePath as error:
        if error.reason == OUTSIDE:
            raise UnreadableWaveform(error.reason, error.remedy) from None
        raise UnreadableWaveform("missing signal file", "put the file named in the .hea file next to it") from None


def _signals(path: Path) -> Waveform:
    try:
        record = wfdb.rdrecord(_stem(path), return_res=32)
    except Exception:  # signal files shorter than the header says, unknown formats
        raise UnreadableWaveform(
            "unreadable signal file", "fetch the record again: header and signals do not match"
        ) from None
    if not np.isfinite(record.p_signal).any():
        raise UnreadableWaveform("record without signals", "leave the record out: no sample in it is valid")
    leads = tuple(name or f"signal {number}" for number, name in enumerate(record.sig_name, 1))
    return Waveform(np.ascontiguousarray(record.p_signal), float(record.fs), leads, tuple(record.units))

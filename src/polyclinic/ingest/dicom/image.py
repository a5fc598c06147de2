"""One DICOM object to one picture with its facts, or the reason why not."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import pydicom
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from polyclinic.ingest.dicom import header as header_of
from polyclinic.ingest.dicom.header import Fact, Refused
from polyclinic.ingest.dicom.intensity import grey_picture
from polyclinic.ingest.dicom.orientation import canonical, directions, plane
from polyclinic.ingest.errors import UnreadableRecord
from polyclinic.ingest.formats.images import png

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Picture:
    """What one object gives: its picture as PNG and what its header says."""

    instance: str
    patient: str
    time: datetime | None
    code: str
    content: bytes
    sex: str | None
    facts: tuple[Fact, ...]
    refused: tuple[Refused, ...] = ()  # facts left out, while the picture is used


def picture_in(path: Path) -> Picture | UnreadableRecord:
    """Read one object; what cannot be used is given back as the reason."""
    try:
        syntax = _transfer_syntax(path)
        header = pydicom.dcmread(path, stop_before_pixels=True)
        header_of.refuse_unless_picture(header)
        patient, time = header_of.patient_of(header), header_of.taken_at(header)
        _refuse_unless_decodable(syntax)
        pixels = grey_picture(pydicom.dcmread(path))
        return _picture(header, patient, time, png(canonical(pixels, directions(header))))
    except UnreadableRecord as refusal:
        return refusal
    except InvalidDicomError:
        return Refused(
            "not a DICOM file", "leave it out, or export it as DICOM with its preamble and file meta information"
        )
    except Exception:  # the parser raises nearly everything on damaged files
        return Refused("damaged DICOM file", "fetch the file again: it is cut off or damaged")


def _picture(header: Dataset, patient: str, time: datetime | None, content: bytes) -> Picture:
    refused: list[Refused] = []
    age = _or_refused(lambda: header_of.age_years(header, time), refused)
    sex = _or_refused(lambda: header_of.sex_of(header), refused)
    facts = [*header_of.facts(header)]
    if age is not None:
        facts.append(Fact("DEMOGRAPHIC//age//years", number=age))
    instance = header_of.text(header, "SOPInstanceUID") or ""
    return Picture(instance, patient, time, image_code(header), content, sex, tuple(facts), tuple(refused))


def _or_refused(read_fact: Callable[[], _Value], refused: list[Refused]) -> _Value | None:
    try:
        return read_fact()
    except Refused as refusal:
        refused.append(refusal)
        return None


def image_code(header: Dataset) -> str:
    """Give the event's code: modality, and view or plane, as the header says them in plain capitals."""
    modality = _capitals(header_of.text(header, "Modality")) or "OT"
    view = _capitals(header_of.text(header, "ViewPosition")) or plane(header) or "UNKNOWN"
    return f"IMAGE//{modality}//{view}"


def _capitals(stated: str | None) -> str | None:
    """A code string of the standard (16 letters, digits, spaces, `_`) with `_` for the spaces; else None."""
    cleaned = re.sub(r"[ _]+", "_", (stated or "").upper())
    return cleaned if re.fullmatch(r"[A-Z0-9_]{1,16}", cleaned) else None


def _transfer_syntax(path: Path) -> UID:
    """Give the transfer syntax without reading further: a deflated object could inflate without limit."""
    meta = read_file_meta_info(path)
    syntax = UID(str(meta.get("TransferSyntaxUID", "")))
    if syntax == DeflatedExplicitVRLittleEndian:
        raise Refused("unsupported compression", "convert the object to Explicit VR Little Endian")
    return syntax


def _refuse_unless_decodable(syntax: UID) -> None:
    remedy = "decompress the object (for example with gdcmconv --raw or dcmdjpeg), or install pylibjpeg's decoders"
    try:
        available = not syntax.is_encapsulated or get_decoder(syntax).is_available
    except (NotImplementedError, ValueError):
        available = False
    if not available:
        raise Refused("unsupported compression", remedy)

"""Read one DICOM object as an image with header facts, or as the reason for rejecting it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import pydicom
from pydicom import Dataset
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from polyclinic.ingest.dicom import header as header_of
from polyclinic.ingest.dicom.header import Fact, UnreadableDicom
from polyclinic.ingest.dicom.intensity import grey_image
from polyclinic.ingest.dicom.orientation import canonical, directions, plane
from polyclinic.ingest.dicom.stored_pixels import add_missing_syntax, check_decodable
from polyclinic.ingest.errors import UnreadableRecord
from polyclinic.ingest.formats.dicom_signature import HEAD_BYTES, looks_like_dicom
from polyclinic.ingest.formats.images import png

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class DicomImage:
    """The image of one object as PNG, and its header facts."""

    instance: str
    patient: str
    time: datetime | None  # as written, with its offset from UTC if it has one
    code: str
    content: bytes
    sex: str | None
    facts: tuple[Fact, ...]
    rejected: tuple[UnreadableDicom, ...] = ()  # invalid header values; the image is still used


def read_image(path: Path) -> DicomImage | UnreadableRecord:
    """Read one object; return the reason if it cannot be used."""
    try:
        syntax = _transfer_syntax(path)
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        header_of.check_is_image(header)
        patient, time = header_of.patient_id_of(header), header_of.taken_at(header)
        check_decodable(syntax)
        dataset = pydicom.dcmread(path, force=True)
        add_missing_syntax(dataset)
        pixels = grey_image(dataset)
        return _dicom_image(header, patient, time, png(canonical(pixels, directions(header))))
    except UnreadableRecord as error:
        return error
    except Exception:  # the parser raises nearly any exception on damaged files
        return UnreadableDicom("damaged DICOM file", "fetch the file again: it is cut off or damaged")


def _dicom_image(header: Dataset, patient: str, time: datetime | None, content: bytes) -> DicomImage:
    rejected: list[UnreadableDicom] = []
    age = _or_reject(lambda: header_of.age_years(header, time), rejected)
    sex = _or_reject(lambda: header_of.sex_of(header), rejected)
    facts = [*header_of.facts(header)]
    if age is not None:
        facts.append(Fact("DEMOGRAPHIC//age//years", number=age))
    instance = header_of.text(header, "SOPInstanceUID") or ""
    return DicomImage(instance, patient, time, image_code(header), content, sex, tuple(facts), tuple(rejected))


def _or_reject(read_fact: Callable[[], _Value], rejected: list[UnreadableDicom]) -> _Value | None:
    try:
        return read_fact()
    except UnreadableDicom as error:
        rejected.append(error)
        return None


def image_code(header: Dataset) -> str:
    """Return the event's code: modality, and view or plane, in capitals."""
    modality = _capitals(header_of.text(header, "Modality")) or "OT"
    view = _capitals(header_of.text(header, "ViewPosition")) or plane(header) or "UNKNOWN"
    return f"IMAGE//{modality}//{view}"


def _capitals(stated: str | None) -> str | None:
    """Return a DICOM code string (up to 16 letters, digits, spaces, `_`) with `_` for spaces; None if invalid."""
    cleaned = re.sub(r"[ _]+", "_", (stated or "").upper())
    return cleaned if re.fullmatch(r"[A-Z0-9_]{1,16}", cleaned) else None


def _transfer_syntax(path: Path) -> UID:
    """Return the transfer syntax, empty if not stated.

    Nothing further is read, because a deflated object could inflate without limit.
    """
    with path.open("rb") as file:
        if not looks_like_dicom(file.read(HEAD_BYTES)):
            raise UnreadableDicom("not a DICOM file", "leave it out, or export it as DICOM")
        file.seek(0)
        read_preamble(file, force=True)
        meta = _read_file_meta_info(file)
    syntax = UID(str(meta.get("TransferSyntaxUID", "")))
    if syntax == DeflatedExplicitVRLittleEndian:
        raise UnreadableDicom("unsupported compression", "convert the object to Explicit VR Little Endian")
    return syntax

"""Read a DICOM header: facts about the image, time, age, sex and patient id, and checks before decoding.

Keywords and rules follow DICOM PS3.3 (information objects) and PS3.6 (data elements).
"""

import math
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any, NamedTuple

from pydicom import Dataset
from pydicom.multival import MultiValue

from polyclinic.ingest.dicom.dates import date_and_time, date_of, date_time, utc_offset
from polyclinic.ingest.errors import UnreadableRecord
from polyclinic.ingest.formats.images import check_size
from polyclinic.ingest.missing import known
from polyclinic.ingest.plausible import DAYS_PER_YEAR, OLDEST_YEARS, PLACEHOLDERS
from polyclinic.ingest.subject_ids import subject_id

#: Header values kept as text: about the image and its acquisition, never people or places.
TEXT_FACTS = {
    "Modality": "DICOM//modality",
    "Manufacturer": "DICOM//manufacturer",
    "ManufacturerModelName": "DICOM//model",
    "BodyPartExamined": "DICOM//body_part",
    "ViewPosition": "DICOM//view",
    "Laterality": "DICOM//laterality",
    "ImageLaterality": "DICOM//laterality",
    "PatientPosition": "DICOM//patient_position",
    "PhotometricInterpretation": "DICOM//photometric_interpretation",
}
#: Header values kept as numbers; of several values (row and column spacing) the first.
NUMBER_FACTS = {
    "PixelSpacing": "DICOM//pixel_spacing//mm",
    "ImagerPixelSpacing": "DICOM//imager_pixel_spacing//mm",
    "SliceThickness": "DICOM//slice_thickness//mm",
    "KVP": "DICOM//tube_voltage//kV",
    "XRayTubeCurrent": "DICOM//tube_current//mA",
    "ExposureTime": "DICOM//exposure_time//ms",
    "Exposure": "DICOM//exposure//mAs",
    "DistanceSourceToDetector": "DICOM//source_to_detector//mm",
    "BitsStored": "DICOM//bits_stored//bits",
}
SEX = {"M": "male", "F": "female", "O": "other"}
_LONGEST_TEXT = 64  # of a DICOM long string (LO)

#: Elements with the time of acquisition, the best first: one element, or a date and a time.
_MOMENTS = (
    ("AcquisitionDateTime", None),
    ("AcquisitionDate", "AcquisitionTime"),
    ("ContentDate", "ContentTime"),
    ("StudyDate", "StudyTime"),
)
_FIRST_RADIOGRAPH, _LAST_YEAR = 1895, 2300  # de-identified collections shift dates far ahead (MIMIC: to 2200)
_YEARS_PER_UNIT = {"Y": 1.0, "M": 1 / 12, "W": 7 / DAYS_PER_YEAR, "D": 1 / DAYS_PER_YEAR, "": 1.0}

#: SOP classes with pixels that are not patient images: segmentations, parametric maps and the like, dose.
_NOT_IMAGES = ("1.2.840.10008.5.1.4.1.1.66", "1.2.840.10008.5.1.4.1.1.30", "1.2.840.10008.5.1.4.1.1.481.2")


class UnreadableDicom(UnreadableRecord):
    """A DICOM object, or a value in it, cannot be used."""


class Fact(NamedTuple):
    """One header value as an event: a number or a text."""

    code: str
    number: float | None = None
    text: str | None = None


def values(header: Dataset, keyword: str) -> list[Any]:
    """Return the values of a header's element; empty if it is missing, empty or damaged."""
    try:
        found = header.get(keyword)
    except Exception:  # values are converted lazily, and damaged ones raise nearly any exception
        return []
    if isinstance(found, MultiValue):
        return list(found)
    return [] if found is None or found == "" else [found]


def text(header: Dataset, keyword: str) -> str | None:
    """Return a header value (the first of several) as text without padding, or None."""
    found = values(header, keyword)
    return known(str(found[0]).strip(" \0")) or None if found else None


def number(header: Dataset, keyword: str) -> float | None:
    """Return a header value (the first of several) as a finite number, or None."""
    found = values(header, keyword)
    with suppress(TypeError, ValueError, IndexError, OverflowError):
        if math.isfinite(value := float(found[0])):
            return value
    return None


def check_is_image(header: Dataset) -> None:
    """Check by the header that the object is a single image, before its pixels are read.

    Raises:
        UnreadableDicom: not an image (report, segmentation, dose…), or several frames.
        UnreadableImage: too many pixels, or none.
    """
    rows, columns = number(header, "Rows"), number(header, "Columns")
    if (text(header, "SOPClassUID") or "").startswith(_NOT_IMAGES) or rows is None or columns is None:
        raise UnreadableDicom(
            "not an image", "leave it out: reports, segmentations, plans and dose are not read as images"
        )
    check_size(int(columns), int(rows))
    if (number(header, "NumberOfFrames") or 1) > 1:
        raise UnreadableDicom(
            "several frames", "export each frame as an object of its own: volumes and loops are not read yet"
        )


def patient_id_of(header: Dataset) -> str:
    """Return the patient id.

    Raises:
        UnreadableDicom: PatientID is missing, or has lost its form.
    """
    patient = text(header, "PatientID")
    if patient is None:
        raise UnreadableDicom(
            "missing PatientID", "give the object the pseudonym of its patient in PatientID (0010,0020)"
        )
    try:
        return subject_id(patient)
    except UnreadableRecord as error:
        raise UnreadableDicom(error.reason, error.remedy) from None


def taken_at(header: Dataset) -> datetime | None:
    """Return the time of acquisition as written, with its offset from UTC if it has one; None without any date.

    A date without a time means midnight. The offset is that of the time itself, or TimezoneOffsetFromUTC.

    Raises:
        UnreadableDicom: the date, time or offset is invalid, or before the discovery of X-rays.
    """
    for date_keyword, time_keyword in _MOMENTS:
        if (date := _only_text(header, date_keyword)) is not None:
            time = _only_text(header, time_keyword) if time_keyword else None
            moment = date_and_time(date, time) if time_keyword else date_time(date)
            if moment is None or not _FIRST_RADIOGRAPH <= moment.year <= _LAST_YEAR:
                written = f"write {date_keyword} as YYYYMMDD and {time_keyword} as HHMMSS"
                if not time_keyword:
                    written = f"write {date_keyword} as YYYYMMDDHHMMSS"
                raise UnreadableDicom("impossible date", f"{written}, or remove it")
            return moment if moment.tzinfo else moment.replace(tzinfo=_offset_of(header))
    return None


def _only_text(header: Dataset, keyword: str) -> str | None:
    """Return the text of an element; that of several values is none of a date or a time."""
    found = values(header, keyword)
    return "\\".join(map(str, found)).strip(" \0") or None


def _offset_of(header: Dataset) -> timezone | None:
    stated = _only_text(header, "TimezoneOffsetFromUTC")
    if stated is None:
        return None
    if (offset := utc_offset(stated)) is None:
        raise UnreadableDicom("impossible date", "write TimezoneOffsetFromUTC as +0100, or remove it")
    return offset


def age_years(header: Dataset, at: datetime | None) -> float | None:
    """Return the age in years, from PatientAge (`045Y`, `018M`; a bare number is years) or the date of birth.

    Raises:
        UnreadableDicom: the age is invalid or implausible.
    """
    stated, born = text(header, "PatientAge"), _only_text(header, "PatientBirthDate")
    if stated is not None:
        age = _stated_years(stated)
    elif born is not None and at is not None:
        age = _years_between(born, at)
    else:
        return None
    if age is None or not 0 <= age <= OLDEST_YEARS:
        raise UnreadableDicom(
            "impossible age", "correct PatientAge (like 045Y or 018M) or PatientBirthDate, or remove it"
        )
    return age


def _stated_years(stated: str) -> float | None:
    match = re.fullmatch(r"(\d{1,3})([DWMY]?)", stated.upper())
    return int(match[1]) * _YEARS_PER_UNIT[match[2]] if match else None


def _years_between(born: str, at: datetime) -> float | None:
    date = date_of(born)
    return (at.date() - date).days / DAYS_PER_YEAR if date and date not in PLACEHOLDERS else None


def sex_of(header: Dataset) -> str | None:
    """Return `female`, `male` or `other`, or None if not stated.

    Raises:
        UnreadableDicom: PatientSex holds something else.
    """
    stated = text(header, "PatientSex")
    if stated is None:
        return None
    if stated.upper() not in SEX:
        raise UnreadableDicom("unknown sex", f"state PatientSex as one of {', '.join(SEX)}, or leave it empty")
    return SEX[stated.upper()]


def facts(header: Dataset) -> Iterator[Fact]:
    """Yield the header's values of `TEXT_FACTS` and `NUMBER_FACTS`."""
    for keyword, code in TEXT_FACTS.items():
        if (stated := text(header, keyword)) is not None:
            yield Fact(code, text=stated[:_LONGEST_TEXT])
    for keyword, code in NUMBER_FACTS.items():
        if (measured := number(header, keyword)) is not None:
            yield Fact(code, number=measured)

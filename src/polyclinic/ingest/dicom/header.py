"""What a DICOM header says of a picture, without who the patient is: facts, time, age, sex, and reasons to refuse.

Keywords and rules are those of DICOM PS3.3 (information objects) and PS3.6 (data elements).
"""

import math
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import DA, DT, TM

from polyclinic.ingest.errors import UnreadableRecord
from polyclinic.ingest.formats.images import check_size

#: Header values kept as text facts: what the picture is and how it was made, never by whom, where or of whom.
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
#: Header values kept as numbers; of several (row and column spacing) the first.
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

#: The moments at which a picture may have been taken, the best first: one element, or a date and its time.
_MOMENTS = (
    ("AcquisitionDateTime", None),
    ("AcquisitionDate", "AcquisitionTime"),
    ("ContentDate", "ContentTime"),
    ("StudyDate", "StudyTime"),
)
_FIRST_RADIOGRAPH, _LAST_YEAR = 1895, 2300  # de-identified collections shift dates far ahead (MIMIC: to 2200)
_YEARS_PER_UNIT = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25, "": 1.0}
_OLDEST_YEARS = 130

#: Objects with pixels that are not a picture of the patient: segmentations, parametric maps and the like, dose.
_NOT_PICTURES = ("1.2.840.10008.5.1.4.1.1.66", "1.2.840.10008.5.1.4.1.1.30", "1.2.840.10008.5.1.4.1.1.481.2")


class Refused(UnreadableRecord):
    """A DICOM object, or a value in it, that cannot be used."""


class Fact(NamedTuple):
    """One header value as an event: a number or a text."""

    code: str
    number: float | None = None
    text: str | None = None


def values(header: Dataset, keyword: str) -> list[Any]:
    """Give the values of a header's element; none where it is missing, empty or damaged."""
    try:
        found = header.get(keyword)
    except Exception:  # values are converted when asked for, and damaged ones raise nearly everything
        return []
    if isinstance(found, MultiValue):
        return list(found)
    return [] if found is None or found == "" else [found]


def text(header: Dataset, keyword: str) -> str | None:
    """Give a header value (of several the first) as text without its padding; None where there is none."""
    found = values(header, keyword)
    return str(found[0]).strip(" \0") or None if found else None


def number(header: Dataset, keyword: str) -> float | None:
    """Give a header value (of several the first) as a finite number; None where there is none."""
    found = values(header, keyword)
    with suppress(TypeError, ValueError, IndexError, OverflowError):
        if math.isfinite(value := float(found[0])):
            return value
    return None


def refuse_unless_picture(header: Dataset) -> None:
    """Refuse by the header what is not one picture, before its pixels are read.

    Raises:
        Refused: not a picture (report, segmentation, dose…), or several frames.
        UnusablePicture: too many pixels, or none.
    """
    rows, columns = number(header, "Rows"), number(header, "Columns")
    if (text(header, "SOPClassUID") or "").startswith(_NOT_PICTURES) or rows is None or columns is None:
        raise Refused("not a picture", "leave it out: reports, segmentations, plans and dose are not read as pictures")
    check_size(int(columns), int(rows))
    if (number(header, "NumberOfFrames") or 1) > 1:
        raise Refused("several frames", "export each frame as an object of its own: volumes and loops are not read yet")


def patient_of(header: Dataset) -> str:
    """Give the source's name of the patient.

    Raises:
        Refused: the object names none.
    """
    patient = text(header, "PatientID")
    if patient is None:
        raise Refused("missing PatientID", "give the object the pseudonym of its patient in PatientID (0010,0020)")
    return patient


def taken_at(header: Dataset) -> datetime | None:
    """Give the local time at which the picture was taken; None where the object states no date.

    A date without a time counts from its midnight. An offset from UTC is left out: all times of a cohort are local.

    Raises:
        Refused: a date or time is stated that does not exist, or before X-rays were known.
    """
    for date_keyword, time_keyword in _MOMENTS:
        if (date := text(header, date_keyword)) is not None:
            time = text(header, time_keyword) if time_keyword else None
            moment = _moment(date, time)
            if moment is None or not _FIRST_RADIOGRAPH <= moment.year <= _LAST_YEAR:
                raise Refused("impossible date", "correct or remove AcquisitionDateTime, ContentDate or StudyDate")
            return moment
    return None


def _moment(date: str, time: str | None) -> datetime | None:
    try:
        day = DT(date).replace(tzinfo=None) if len(date) >= len("YYYYMMDD") else None
        hour = TM(time.replace(":", "")) if time else None
    except (TypeError, ValueError, OverflowError):
        return None
    if day is None:
        return None
    start = datetime(day.year, day.month, day.day, day.hour, day.minute, day.second, day.microsecond)
    return datetime.combine(start, hour.replace(tzinfo=None)) if hour else start


def age_years(header: Dataset, at: datetime | None) -> float | None:
    """Give the patient's age, from PatientAge (`045Y`, `018M`; a bare number is years) or the date of birth.

    Raises:
        Refused: the age is not one a person can have.
    """
    stated, born = text(header, "PatientAge"), text(header, "PatientBirthDate")
    if stated is not None:
        age = _stated_years(stated)
    elif born is not None and at is not None:
        age = _years_between(born, at)
    else:
        return None
    if age is None or not 0 <= age <= _OLDEST_YEARS:
        raise Refused("impossible age", "correct PatientAge (like 045Y or 018M) or PatientBirthDate, or remove it")
    return age


def _stated_years(stated: str) -> float | None:
    match = re.fullmatch(r"(\d{1,3})([DWMY]?)", stated.upper())
    return int(match[1]) * _YEARS_PER_UNIT[match[2]] if match else None


def _years_between(born: str, at: datetime) -> float | None:
    try:
        date = DA(born)
    except (TypeError, ValueError):
        return None
    return (at.date() - date).days / 365.25 if date else None


def sex_of(header: Dataset) -> str | None:
    """Give `female`, `male` or `other`; None where it is not stated.

    Raises:
        Refused: PatientSex holds something else.
    """
    stated = text(header, "PatientSex")
    if stated is None:
        return None
    if stated.upper() not in SEX:
        raise Refused("unknown sex", f"state PatientSex as one of {', '.join(SEX)}, or leave it empty")
    return SEX[stated.upper()]


def facts(header: Dataset) -> Iterator[Fact]:
    """Give the header's facts of `TEXT_FACTS` and `NUMBER_FACTS` that are stated."""
    for keyword, code in TEXT_FACTS.items():
        if (stated := text(header, keyword)) is not None:
            yield Fact(code, text=stated[:_LONGEST_TEXT])
    for keyword, code in NUMBER_FACTS.items():
        if (measured := number(header, keyword)) is not None:
            yield Fact(code, number=measured)

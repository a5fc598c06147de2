"""DICOM objects: pictures in canonical orientation and intensity, with the facts of their headers.

Every object that holds one picture becomes one event, `IMAGE//<Modality>//<view>`, whose blob is a grey PNG of 8 bits
(0 = black; see `dicom_pixels` for the intensity, `dicom_orientation` for how it lies). The view is ViewPosition; for a
slice the plane (`IMAGE//CT//AXIAL`); else `UNKNOWN`. At the same time stand its facts as `DICOM//…` and the patient's
age; sex is static. An object without any date is static altogether. The subject is PatientID.

The slices of a CT or MR series are pictures one by one, because volumes are not read yet; objects of several frames are
rejected for the same reason. Reports, segmentations and other objects that are not pictures are rejected.

The header is read first, and the pixels only of what the header does not refuse; objects are decoded in threads, a few
at a time, and come out in the order of their names. Nothing that names the patient is read, but the birth date where
the age is missing. In a folder, files that neither are called DICOM (`.dcm`, or no suffix) nor are it are passed over.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom import config

from polyclinic.cohort import Reject
from polyclinic.files import sha256
from polyclinic.ingest.dicom.image import Picture, picture_in
from polyclinic.ingest.errors import UnreadableRecord
from polyclinic.ingest.event_buffer import EventBuffer
from polyclinic.ingest.parallel import in_order
from polyclinic.ingest.paths import files_under, name_within
from polyclinic.ingest.readers import Options, Sink
from polyclinic.progress import Progress

_SUFFIXES = {"", ".dcm", ".dicom", ".dic", ".ima"}
_MAGIC = slice(128, 132)


def read(path: Path, sink: Sink, options: Options, progress: Progress) -> None:  # noqa: ARG001
    """Read every DICOM object under the folder `path`, or the one object in the file `path`."""
    root = path if path.is_dir() else path.parent
    files = [file for file in files_under(path, sink) if _claims_dicom(file)] if path.is_dir() else [path]
    intake = _Intake(sink)
    with _quiet(), intake.events, progress.task("Reading DICOM", len(files)) as advance:
        for file, result in zip(files, in_order(picture_in, files), strict=True):
            intake.take(name_within(root, file), result)
            advance(1)


class _Intake:
    """Hands pictures to the sink: one picture for each instance, one sex for each patient."""

    def __init__(self, sink: Sink) -> None:
        self.events = EventBuffer(sink)
        self._sink = sink
        self._instances: dict[str, str] = {}
        self._sexes: dict[str, str] = {}

    def take(self, name: str, result: Picture | UnreadableRecord) -> None:
        if not isinstance(result, Picture):
            self._sink.reject(Reject(name, None, result.reason, result.remedy))
            return
        content = sha256(result.content)
        if result.instance and self._instances.setdefault(result.instance, content) != content:
            self._sink.reject(Reject(name, None, "duplicate instance", "give different pictures a SOPInstanceUID each"))
            return
        for refusal in result.refused:
            self._sink.reject(Reject(name, None, refusal.reason, refusal.remedy))
        self._add(name, result)

    def _add(self, name: str, picture: Picture) -> None:
        blob = self._sink.add_blob(picture.content, ".png")
        self.events.add(picture.patient, picture.time, picture.code, blob=blob)
        for fact in picture.facts:
            self.events.add(picture.patient, picture.time, fact.code, number=fact.number, text=fact.text)
        if picture.sex is None:
            return
        known = self._sexes.setdefault(picture.patient, picture.sex)
        if known == picture.sex:
            self.events.add(picture.patient, None, "DEMOGRAPHIC//sex", text=known)
        else:
            self._sink.reject(Reject(name, None, "conflicting sex", "give one patient one PatientSex in all objects"))


def _claims_dicom(file: Path) -> bool:
    """Say whether a file of a folder is to be read: by its name, or else by its content."""
    if file.name.startswith(".") or file.name.upper() == "DICOMDIR":
        return False
    if file.suffix.lower() in _SUFFIXES or file.suffix[1:].isdigit():  # a name that is a UID
        return True
    try:
        with file.open("rb") as opened:
            return opened.read(_MAGIC.stop)[_MAGIC] == b"DICM"
    except OSError:  # what cannot be opened gets its reject when it is read
        return True


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the parser from warning and logging: its messages hold values of the patient."""
    logger, mode = logging.getLogger("pydicom"), config.settings.reading_validation_mode
    level = logger.level
    config.settings.reading_validation_mode = config.IGNORE
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        config.settings.reading_validation_mode = mode
        logger.setLevel(level)

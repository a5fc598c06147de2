"""Read DICOM objects: images in canonical orientation and intensity, with header facts.

Each object with one image becomes one event, `IMAGE//<Modality>//<view>`, whose blob is an 8-bit grey PNG (0 = black;
see `intensity` and `orientation`). The view is ViewPosition; for a slice the plane (`IMAGE//CT//AXIAL`); else
`UNKNOWN`. Header facts (`DICOM//…`) and the patient's age have the same time; sex is static. All events of an object
without a date are static. The subject is PatientID.

Slices of a CT or MR series are separate images, because volumes are not read yet; objects with several frames are
rejected for the same reason. Reports, segmentations and other objects that are not images are rejected.

Pixels are read only if the header passes its checks. Objects are decoded in threads and processed in order of name.
Nothing that identifies the patient is read, except the birth date if the age is missing. In a folder, files that have
neither a DICOM name (`.dcm`, or no suffix) nor DICOM content are skipped.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pydicom import config

from polyclinic.cohort import Reject
from polyclinic.files import sha256
from polyclinic.ingest.clock import Clock
from polyclinic.ingest.dicom.image import DicomImage, read_image
from polyclinic.ingest.errors import UnreadableRecord
from polyclinic.ingest.event_buffer import EventBuffer
from polyclinic.ingest.parallel import in_order
from polyclinic.ingest.paths import files_under, name_within
from polyclinic.ingest.readers import Options, Sink
from polyclinic.progress import Progress

_SUFFIXES = {"", ".dcm", ".dicom", ".dic", ".ima"}
_MAGIC = slice(128, 132)


def read(path: Path, sink: Sink, options: Options, progress: Progress) -> None:
    """Read every DICOM object under the folder `path`, or the one object in the file `path`."""
    root = path if path.is_dir() else path.parent
    files = [file for file in files_under(path, sink) if _may_be_dicom(file)] if path.is_dir() else [path]
    collector = _DicomCollector(sink, options.clock)
    with _quiet(), collector.events, progress.task("Reading DICOM", len(files)) as advance:
        for file, result in zip(files, in_order(read_image, files), strict=True):
            collector.add(name_within(root, file), result)
            advance(1)


class _DicomCollector:
    """Sends images to the sink, checking that an instance has one image."""

    def __init__(self, sink: Sink, clock: Clock) -> None:
        self.events = EventBuffer(sink)
        self._clock = clock
        self._sink = sink
        self._instances: dict[str, str] = {}

    def add(self, name: str, result: DicomImage | UnreadableRecord) -> None:
        if not isinstance(result, DicomImage):
            self._sink.reject(Reject(name, None, result.reason, result.remedy))
            return
        content = sha256(result.content)
        if result.instance and self._instances.setdefault(result.instance, content) != content:
            self._sink.reject(Reject(name, None, "duplicate instance", "give different images a SOPInstanceUID each"))
            return
        try:
            time = None if result.time is None else self._clock.moment(result.time)
        except UnreadableRecord as error:
            self._sink.reject(Reject(name, None, error.reason, error.remedy))
            return
        for fault in result.rejected:
            self._sink.reject(Reject(name, None, fault.reason, fault.remedy))
        self._add_image(name, result, time)

    def _add_image(self, name: str, image: DicomImage, time: datetime | None) -> None:
        blob = self._sink.add_blob(image.content, ".png")
        self.events.add(image.patient, time, image.code, blob=blob)
        for fact in image.facts:
            self.events.add(image.patient, time, fact.code, number=fact.number, text=fact.text)
        if image.sex is not None:
            self.events.add(image.patient, None, "DEMOGRAPHIC//sex", text=image.sex, file=name)


def _may_be_dicom(file: Path) -> bool:
    """Return whether to read a file of a folder, by its name or else its content."""
    if file.name.startswith(".") or file.name.upper() == "DICOMDIR":
        return False
    if file.suffix.lower() in _SUFFIXES or file.suffix[1:].isdigit():  # a name that is a UID
        return True
    try:
        with file.open("rb") as opened:
            return opened.read(_MAGIC.stop)[_MAGIC] == b"DICM"
    except OSError:  # rejected when it is read
        return True


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the parser's warnings and logging, which contain patient data."""
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

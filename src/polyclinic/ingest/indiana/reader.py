"""The Indiana University chest X-ray collection (OpenI; Demner-Fushman et al. 2016): XML reports, optional images.

Each report is a subject, named by its `uId` (`CXR1`). Its dates are those of publication, so times count from
`NOMINAL_ORIGIN`, in the order in which the facts become known:

- at hour 0: `NOTE//indication`, `NOTE//comparison`, and the images (`IMAGE//CR//UNKNOWN`, because the collection does
  not state the view);
- at hour 1: `NOTE//findings` and `NOTE//impression`;
- at hour 2: the terms indexed from these notes, `FINDING//mesh` (major terms, one event each, as `Cardiomegaly/mild`)
  and `FINDING//mesh_automatic`;
- at hour 3: `OUTCOME//normal`, 1 if the major term is `normal`, 0 if there are others. It is missing if the report was
  not indexed, or only its technical quality was.

Predict `normal` from the inputs at hour 0; the findings state the answer.

The XML parser refuses entities and external references. The publisher replaced names and dates by `XXXX`.
"""

import tarfile
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from xml.etree.ElementTree import Element  # only the type: defusedxml parses

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from polyclinic.cohort import NOMINAL_ORIGIN, Reject
from polyclinic.ingest.errors import IngestError, UnreadableRecord
from polyclinic.ingest.event_buffer import EventBuffer
from polyclinic.ingest.formats.images import UnreadableImage, png, read_grey
from polyclinic.ingest.missing import known
from polyclinic.ingest.parallel import in_order
from polyclinic.ingest.paths import files_under, name_within
from polyclinic.ingest.readers import Options, Sink
from polyclinic.ingest.subject_ids import subject_id
from polyclinic.progress import Progress

_READ, _INDEXED, _LABELLED = (NOMINAL_ORIGIN + timedelta(hours=hours) for hours in (1, 2, 3))
SECTIONS = {  # label of a section → code and time
    "INDICATION": ("NOTE//indication", NOMINAL_ORIGIN),
    "COMPARISON": ("NOTE//comparison", NOMINAL_ORIGIN),
    "FINDINGS": ("NOTE//findings", _READ),
    "IMPRESSION": ("NOTE//impression", _READ),
}
_NORMAL = "normal"
_NO_FINDINGS = {"no indexing", "technical quality of image unsatisfactory"}  # terms without clinical content
_IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg"}
_MAX_BYTES = 10_000_000  # of one report; real ones have 10,000


class Report(NamedTuple):
    """The content of one XML file."""

    file: str
    subject: str
    sections: tuple[tuple[str, str], ...]  # label, text
    major: tuple[str, ...]
    automatic: tuple[str, ...]
    images: tuple[str, ...]  # ids

    @property
    def normal(self) -> bool | None:
        """Whether the radiograph was indexed as normal; None if unknown."""
        if [term.lower() for term in self.major] == [_NORMAL]:
            return True
        findings = [term for term in self.major if term.lower() not in {_NORMAL, *_NO_FINDINGS}]
        return False if findings else None


def read(path: Path, sink: Sink, options: Options, progress: Progress) -> None:
    """Read the reports in the folder or tar archive `path`, with images from the folder `options.images`.

    By default, images are taken from the folder of the reports, and reports without their images are used as they are,
    because the collection is often stored without images.
    """
    folder = options.images or (path if path.is_dir() else None)
    images = _find_images(folder, sink) if folder else {}
    seen: set[str] = set()
    with EventBuffer(sink) as events, progress.task("Reading reports") as advance:
        reports = []
        for name, content in _files(path, sink):
            try:
                report = parse(name, content)
                _check_not_repeated(report, seen)
            except UnreadableRecord as error:
                sink.reject(Reject(name, None, error.reason, error.remedy))
            else:
                _add_text(report, events)
                reports.append(report)
            advance(1)
        _add_images(reports, images, options.images is not None, sink, events)


def parse(file: str, content: bytes) -> Report:
    """Read one report.

    Raises:
        UnreadableRecord: broken XML, entities, another kind of document, no id, or neither text nor images.
    """
    root = _root(content)
    identity = root.find("uId")
    subject = known(identity.get("id")) if identity is not None else ""
    if not subject:
        raise UnreadableRecord(
            "no subject", "give the report its <uId id=…>, or leave the file out if it is not an OpenI report"
        )
    sections = tuple(
        (label, text)
        for part in root.iter("AbstractText")
        if (label := (part.get("Label") or "").strip().upper()) in SECTIONS and (text := _text(part))
    )
    images = tuple(part.get("id", "").strip() for part in root.findall("parentImage"))
    if not sections and not images:
        raise UnreadableRecord("empty report", "leave the report out: it has neither text nor images")
    return Report(file, subject_id(subject), sections, _terms(root, "major"), _terms(root, "automatic"), images)


def _root(content: bytes) -> Element:
    try:
        root: Element = fromstring(content)
    except DefusedXmlException:
        raise UnreadableRecord("forbidden XML", "remove the document's entities and external references") from None
    except (ParseError, ValueError, LookupError, RecursionError):  # LookupError: an encoding that does not exist
        raise UnreadableRecord("broken XML", "fetch the report again: it is cut off or damaged") from None
    return root


def _text(part: Element) -> str:
    return known(" ".join("".join(part.itertext()).split()))


def _terms(root: Element, kind: str) -> tuple[str, ...]:
    terms = (_text(term) for term in root.iterfind(f"MeSH/{kind}"))
    return tuple(dict.fromkeys(term for term in terms if term))


def _check_not_repeated(report: Report, seen: set[str]) -> None:
    if report.subject in seen:
        raise UnreadableRecord("duplicate subject", "keep one report of each uId")
    seen.add(report.subject)


def _files(path: Path, sink: Sink) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        for file in files_under(path, sink, "*.xml"):
            if file.stat().st_size > _MAX_BYTES:
                sink.reject(_too_large(name_within(path, file)))
            else:
                yield name_within(path, file), file.read_bytes()
    elif path.suffix.lower() == ".xml":
        yield path.name, path.read_bytes()
    else:
        yield from _members(path, sink)


def _members(path: Path, sink: Sink) -> Iterator[tuple[str, bytes]]:
    """Yield the reports of an archive, read as a stream; members after a damaged position are lost."""
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                if not member.isfile() or PurePosixPath(member.name).suffix.lower() != ".xml":
                    continue
                if member.size > _MAX_BYTES:
                    sink.reject(_too_large(member.name))
                elif (file := archive.extractfile(member)) is not None:
                    yield member.name, file.read()
    except (tarfile.TarError, EOFError, OSError):
        sink.reject(
            Reject(path.name, None, "damaged archive", "fetch the archive again: it is cut off or not a tar file")
        )


def _too_large(name: str) -> Reject:
    return Reject(name, None, "file too large", f"leave it out: no report has {_MAX_BYTES // 1_000_000} MB")


def _find_images(folder: Path, sink: Sink) -> dict[str, Path]:
    """Return the images in `folder`, by id (the name without suffix).

    Raises:
        IngestError: the folder does not exist.
    """
    if not folder.is_dir():
        raise IngestError(f"{folder.name} is no folder: give the folder of the images with --images")
    files = files_under(folder, sink)
    return {file.stem: file for file in files if file.suffix.lower() in _IMAGE_SUFFIXES}


def _add_text(report: Report, events: EventBuffer) -> None:
    for label, text in report.sections:
        code, time = SECTIONS[label]
        events.add(report.subject, time, code, text=text)
    for code, terms in (("FINDING//mesh", report.major), ("FINDING//mesh_automatic", report.automatic)):
        for term in terms:
            if term.lower() not in {_NORMAL, *_NO_FINDINGS}:
                events.add(report.subject, _INDEXED, code, text=term)
    if report.normal is not None:
        events.add(report.subject, _LABELLED, "OUTCOME//normal", number=float(report.normal))


def _add_images(
    reports: Sequence[Report], images: dict[str, Path], required: bool, sink: Sink, events: EventBuffer
) -> None:
    named = [(report, identity) for report in reports for identity in report.images]
    found = [(report, images[identity]) for report, identity in named if identity in images]
    if required:
        remedy = "add the image, named by its id, to the folder of the images"
        missing = [report for report, identity in named if identity not in images]
        sink.reject(*(Reject(report.file, None, "missing file", remedy) for report in missing))
    for (report, _), content in zip(found, in_order(lambda pair: _read_image(pair[1]), found), strict=True):
        if isinstance(content, UnreadableImage):
            sink.reject(Reject(report.file, None, content.reason, f"image: {content.remedy}"))
        else:
            events.add(report.subject, NOMINAL_ORIGIN, "IMAGE//CR//UNKNOWN", blob=sink.add_blob(content, ".png"))


def _read_image(path: Path) -> bytes | UnreadableImage:
    try:
        return png(read_grey(path))
    except UnreadableImage as error:
        return error

"""Find the challenge's records and outcomes, in archives or folders."""

import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from polyclinic.ingest.errors import IngestError
from polyclinic.ingest.paths import files_under, name_within
from polyclinic.ingest.readers import Sink
from polyclinic.ingest.row_filter import RowFilter
from polyclinic.progress import Progress

HEADER = b"Time,Parameter,Value"
_ARCHIVE = re.compile(r"\.(tar|tar\.gz|tgz|tar\.xz|tar\.bz2)$", re.IGNORECASE)
_OUTCOMES = re.compile(r"^outcomes.*\.(txt|csv)$", re.IGNORECASE)
_SET = re.compile(r"^set-([a-z])\b", re.IGNORECASE)
_RECORD_BYTES = 10_000_000  # a stay of 48 hours has about 7,000
_MARK = b"\xef\xbb\xbf"


class Record(NamedTuple):
    """The file of one ICU stay."""

    name: str
    content: bytes


class Sources(NamedTuple):
    """The files of a source."""

    records: list[Path]
    archives: list[Path]
    outcomes: list[Path]


def find(path: Path, outcomes: Path | None, sink: Sink) -> Sources:
    """Find the records and outcomes in the folder or archive `path`.

    Raises:
        IngestError: `outcomes` is not a file.
    """
    files = list(files_under(path, sink)) if path.is_dir() else [path]
    archives = [file for file in files if _ARCHIVE.search(file.name)]
    found = [file for file in files if _OUTCOMES.match(file.name)]
    records = [file for file in files if file.suffix == ".txt" and file not in found]
    if outcomes is not None:
        if not outcomes.is_file():
            raise IngestError(f"{outcomes.name} is no file: give the outcomes, such as Outcomes-a.txt, with --outcomes")
        found = [outcomes]
    elif not path.is_dir():
        found = [*found, *_outcomes_beside(path)]
    return Sources(records, archives, found)


def _outcomes_beside(archive: Path) -> list[Path]:
    """Return the outcomes of an archive `set-a.tar.gz`: the file `Outcomes-a.txt` in its folder, if any."""
    match = _SET.match(archive.name)
    file = archive.with_name(f"Outcomes-{match[1]}.txt") if match else None
    return [file] if file and file.is_file() else []


def records(sources: Sources, root: Path, sink: Sink, progress: Progress) -> Iterator[Record]:
    """Yield the records; other files are rejected."""
    for archive in sources.archives:
        yield from _archived(archive, RowFilter(name_within(root, archive), sink), progress)
    with progress.task("Reading records", len(sources.records)) as advance:
        for file in sources.records:
            try:
                with file.open("rb") as opened:
                    yield from _checked(name_within(root, file), opened, sink)
            except OSError:
                RowFilter(name_within(root, file), sink).reject_file("unreadable file", "check the file's permissions")
            advance(1)


def _archived(archive: Path, row_filter: RowFilter, progress: Progress) -> Iterator[Record]:
    with archive.open("rb") as stored, progress.task(f"Reading {archive.name}", archive.stat().st_size) as advance:
        done = 0
        try:
            with tarfile.open(fileobj=stored, mode="r:*") as members:
                for member in members:
                    yield from _member(members, member, row_filter.sink)
                    advance(stored.tell() - done)
                    done = stored.tell()
        except (tarfile.TarError, EOFError, OSError, zlib.error):
            row_filter.reject_file("truncated file", "fetch the archive again: it is cut off or damaged")


def _member(members: tarfile.TarFile, member: tarfile.TarInfo, sink: Sink) -> Iterator[Record]:
    name = Path(member.name).name
    if member.isdir() or not name.endswith(".txt") or _OUTCOMES.match(name):
        return
    file = members.extractfile(member) if member.isreg() else None
    yield from _checked(name, file, sink)


def _checked(name: str, file: IO[bytes] | None, sink: Sink) -> Iterator[Record]:
    content = file.read(_RECORD_BYTES + 1).removeprefix(_MARK).replace(b"\r\n", b"\n") if file else None
    if content is not None and not content.strip():
        RowFilter(name, sink).reject_file("empty file", "fetch the record again")
    elif content is None or len(content) > _RECORD_BYTES or not content.startswith(HEADER):
        remedy = f"leave the file out: a record begins with the line {HEADER.decode()}"
        RowFilter(name, sink).reject_file("not a record of the challenge", remedy, 1)
    else:
        yield Record(name, content)

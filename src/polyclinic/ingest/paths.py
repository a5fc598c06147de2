"""Paths named by a source, restricted to the source's folder."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from polyclinic.cohort import Reject
from polyclinic.ingest.errors import UnreadableRecord
from polyclinic.ingest.readers import Sink

OUTSIDE = "path outside the source"
MISSING = "missing file"
_REMEDY_OUTSIDE = (
    "put the file in the source's folder, and name it relative to that folder without '..' or links out of it"
)


class UnreadablePath(UnreadableRecord):
    """A path is not allowed, or is not a file."""


def inside(root: Path, name: str) -> Path:
    """Return the existing file `name` in the source's folder `root`.

    Raises:
        UnreadablePath: the name is absolute, contains `..`, leaves `root` through a link, or is not a file.
    """
    relative = PurePosixPath(name.strip().replace("\\", "/"))
    if "\0" in name or relative.is_absolute() or ".." in relative.parts or ":" in name.split("/", 1)[0][:2]:
        raise UnreadablePath(OUTSIDE, _REMEDY_OUTSIDE)
    path = root / relative
    if not stays_inside(root, path):
        raise UnreadablePath(OUTSIDE, _REMEDY_OUTSIDE)
    try:
        found = path.is_file()
    except OSError:  # a name longer than the file system allows
        found = False
    if not found:
        raise UnreadablePath(MISSING, "add the file to the source's folder, or correct its name")
    return path


def stays_inside(root: Path, path: Path) -> bool:
    """Return whether `path`, with links resolved, is in the folder `root`."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # a loop of links, a name too long
        return False


def files_under(root: Path, sink: Sink, pattern: str = "*") -> Iterator[Path]:
    """Yield the files under the folder `root`, sorted; files outside it through links are rejected."""
    for path in sorted(root.rglob(pattern)):
        if path.is_symlink() and not stays_inside(root, path):
            sink.reject(Reject(name_within(root, path), None, OUTSIDE, _REMEDY_OUTSIDE))
        elif path.is_file():
            yield path


def name_within(root: Path, path: Path) -> str:
    """Return the name of `path` in rejects: relative to the source's folder, without the folder's own path."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) and path != root else path.name

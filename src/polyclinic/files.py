"""Atomic file writes: a reader sees the old file or the new one. Failures of the file system in words."""

import errno
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: The temporary name that `replacing` gives a file, with the file's own name as its group.
_TEMPORARY = re.compile(r"\.(.+)\.[a-z0-9_]{8}\.tmp", re.DOTALL)
_CHOOSE = "choose another folder, or ask its owner for permission to write"
_FAILURES = {
    errno.ENOENT: "{path} does not exist: check the path",
    errno.ENOSPC: "no space is left for {path}: free some, or choose a folder on another disk",
    errno.EDQUOT: "no space is left for {path}: free some, or choose a folder on another disk",
    errno.EISDIR: "{path} is a folder: name a file",
    errno.ENOTDIR: "{path} lies in a file, not in a folder: check the path",
    errno.ENAMETOOLONG: "the name of a file is too long: choose a shorter one",
    errno.EROFS: "the folder {folder} is on a read-only disk: " + _CHOOSE,
}


class OutputError(ValueError):
    """An output cannot be written where it was asked for; the message says which folder or file, and what to do."""


def in_words(error: OSError) -> str:
    """Describe a failure of the file system: which file or folder, and what to do; no temporary names, no numbers."""
    if not isinstance(error.filename, str | Path):
        return error.strerror or str(error) or type(error).__name__
    path = without_temporary_name(Path(error.filename))
    if error.errno in (errno.EACCES, errno.EPERM):
        return _denied(path)
    if error.errno in _FAILURES:
        return _FAILURES[error.errno].format(path=path, folder=path.parent)
    return f"{path}: {error.strerror or type(error).__name__}"


def without_temporary_name(path: Path) -> Path:
    """Return the path of the file that a temporary one of `replacing` was to become."""
    found = _TEMPORARY.fullmatch(path.name)
    return path.with_name(found[1]) if found else path


def _denied(path: Path) -> str:
    if path.exists() and not os.access(path, os.R_OK):
        return f"{path} cannot be read: ask its owner for permission"
    if path.is_dir():
        return f"the folder {path} cannot be written: {_CHOOSE}"
    existing = nearest_existing(path.parent)
    if not os.access(existing, os.W_OK | os.X_OK):
        return f"the folder {existing} cannot be written: {_CHOOSE}"
    return f"{path} cannot be opened: ask its owner for permission"


def nearest_existing(path: Path) -> Path:
    """Return `path`, or the nearest folder above it that exists."""
    existing = next((place for place in (path, *path.parents) if os.path.lexists(place)), path)
    return existing.absolute() if existing == Path() else existing


def check_folder(folder: Path) -> None:
    """Check that files can be written into `folder`, which need not exist yet; nothing is left behind.

    Raises:
        OutputError: it is a file or lies in one, or cannot be written.
    """
    existing = nearest_existing(folder)
    if not existing.is_dir():
        raise OutputError(f"{existing} is a file, not a folder: name another folder")
    try:
        with tempfile.TemporaryFile(dir=existing):
            return
    except OSError as error:
        reason = "is on a read-only disk" if error.errno == errno.EROFS else "cannot be written"
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise OutputError(in_words(OSError(error.errno, error.strerror, str(existing)))) from error
        raise OutputError(f"the folder {existing} {reason}: {_CHOOSE}") from error


def check_file(path: Path, starts: Sequence[bytes] = ()) -> None:
    """Check that a file can be written to `path`; nothing is left behind.

    Args:
        path: of the file; an existing one would be replaced.
        starts: beginnings, in lower case, of a file that may be replaced; none: any file, or an empty one.

    Raises:
        OutputError: it is a folder, a device or a file of another kind, or its folder cannot be written.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder: name a file")
    if path.exists() and not path.is_file():
        raise OutputError(f"{path} is not a regular file: name another")
    if starts and path.exists() and not _starts_with(path, starts):
        raise OutputError(f"{path} exists and is a file of another kind: name another, or remove it")
    check_folder(path.parent)


def _starts_with(path: Path, starts: Sequence[bytes]) -> bool:
    with path.open("rb") as file:
        beginning = file.read(512).lstrip().lower()
    return not beginning or beginning.startswith(tuple(starts))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`, renamed to `path` on success and removed on failure.

    The data is synced to disk before the rename, so a crash leaves the old file or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` atomically, as indented JSON with sorted keys and no NaN."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")


def sha256(content: bytes) -> str:
    """Return the SHA-256 of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()

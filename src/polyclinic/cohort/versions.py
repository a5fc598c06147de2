"""Versions of a cohort on disk: written beside the current one and put in its place in one step.

```
cohort/
  current -> versions/3     replaced atomically; a reader follows it once and keeps what it found
  data -> current/data      so that the folder is a MEDS data set for any tool
  metadata -> current/metadata
  versions/2  versions/3    the one before stays for readers that opened it
  blobs/                    shared by all versions, named by the hash of their content
```
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polyclinic.cohort.errors import CohortError

LAYOUT = 1
PATIENCE_S = 600.0


def current(root: Path) -> Path | None:
    """Give the folder of the version that readers see now; None before the first commit."""
    try:
        target = (root / "current").readlink()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CohortError(f"{root / 'current'} is not a link to a version: restore it or ingest anew") from error
    return root / target


def begin(root: Path) -> Path:
    """Make the empty folder of the next version, without what a killed writer left of it; call it under `locked`."""
    before = current(root)
    number = int(before.name) + 1 if before else 1
    version = root / "versions" / str(number)
    shutil.rmtree(version, ignore_errors=True)
    (version / "data").mkdir(parents=True)
    (version / "metadata").mkdir()
    return version


def publish(root: Path, version: Path) -> None:
    """Make `version` the current one, once all of it is on the disk; then remove those older than its predecessor."""
    for folder in (version / "data", version / "metadata"):
        for file in folder.iterdir():
            _sync(file)
        _sync(folder)
    _sync(version)
    _sync(version.parent)
    _link(root / "data", Path("current/data"))
    _link(root / "metadata", Path("current/metadata"))
    _link(root / "current", Path("versions") / version.name)
    _sync(root)
    keep = {version.name, str(int(version.name) - 1)}
    for folder in (root / "versions").iterdir():
        if folder.name not in keep:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def locked(path: Path, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Hold the lock file `path`; it falls open by itself when its holder dies.

    Raises:
        CohortError: another process held it for longer than `patience_s` seconds.
    """
    with path.open("a") as handle:
        deadline = time.monotonic() + patience_s
        while not _try_lock(handle.fileno()):
            if time.monotonic() > deadline:
                raise CohortError(f"another process is still writing to {path.parent}: wait for it to end, then repeat")
            time.sleep(0.02)
        yield


@contextmanager
def staging(root: Path) -> Iterator[Path]:
    """Give a folder of one's own for work in progress, removed at the end; those of killed writers go at the start."""
    base = root / ".staging"
    base.mkdir(parents=True, exist_ok=True)
    with locked(base / "lock"):
        for folder in base.iterdir():
            if folder.is_dir() and _abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)
        own = Path(tempfile.mkdtemp(dir=base))
        handle = (own / "lock").open("a")
        _try_lock(handle.fileno())
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)
        handle.close()


def _abandoned(folder: Path) -> bool:
    try:
        with (folder / "lock").open("a") as handle:
            return _try_lock(handle.fileno())
    except OSError:
        return True


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _link(path: Path, target: Path) -> None:
    """Point the symbolic link `path` at `target` in one step."""
    if path.is_symlink() and path.readlink() == target:
        return
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(path)


def _sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

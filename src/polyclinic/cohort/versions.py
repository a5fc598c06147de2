"""Versions of a cohort on disk: each is written beside the current one and takes its place in one step.

```
cohort/
  current -> versions/3          replaced atomically; a reader follows it once and keeps what it found
  data -> current/data           so that the folder is a MEDS data set for any tool
  metadata -> current/metadata
  versions/2  versions/3         the one before stays for readers that have opened it
  blobs/                         shared by all versions, named by the hash of their content
  labels/                        written by tasks
```
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from polyclinic.cohort.errors import CohortError

#: Number of this layout; a newer one is refused.
LAYOUT = 1

#: How long a writer waits for another to finish its commit.
PATIENCE_S = 600.0

_LINKS = {"data": Path("current/data"), "metadata": Path("current/metadata")}


def current(root: Path) -> Path | None:
    """Give the folder of the version that readers see now; None before the first commit."""
    try:
        return root / (root / "current").readlink()
    except OSError:
        return None


def prepare(root: Path) -> None:
    """Make the folder of a cohort, unless it is there.

    Raises:
        CohortError: there is something else at `root`.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise CohortError(f"{root} is a file: choose a folder for the cohort") from error
    for name in ("current", *_LINKS):
        if (root / name).exists() and not (root / name).is_symlink():
            raise CohortError(f"{root} holds {name!r} of something else: choose another folder for the cohort")


def begin(root: Path) -> Path:
    """Make the empty folder of the next version, without what a killed writer left of it; call it under `locked`."""
    before = current(root)
    version = root / "versions" / str(int(before.name) + 1 if before else 1)
    shutil.rmtree(version, ignore_errors=True)
    (version / "data").mkdir(parents=True)
    (version / "metadata").mkdir()
    return version


def publish(root: Path, version: Path) -> None:
    """Make `version` the current one, once all of it is on the disk; then remove those older than its predecessor."""
    folders = [version / "data", version / "metadata"]
    sync(*(file for folder in folders for file in folder.iterdir()), *folders, version, version.parent)
    for name, target in _LINKS.items():
        _link(root / name, target)
    _link(root / "current", Path("versions") / version.name)
    sync(root)
    kept = {version.name, str(int(version.name) - 1)}
    for folder in (root / "versions").iterdir():
        if folder.name not in kept:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def locked(path: Path, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Hold the lock file `path`; it falls open by itself when its holder dies.

    Raises:
        CohortError: another writer held it for longer than `patience_s` seconds.
    """
    with path.open("a") as file:
        deadline = time.monotonic() + patience_s
        while not _try_lock(file.fileno()):
            if time.monotonic() > deadline:
                raise CohortError(f"another process is still writing to {path.parent}: repeat when it has ended")
            time.sleep(0.02)
        yield


@contextmanager
def staging(root: Path) -> Iterator[Path]:
    """Give a folder of one's own for work in progress, removed at the end; those of killed writers go at the start."""
    base = root / ".staging"
    base.mkdir(exist_ok=True)
    with locked(base / "lock"):
        for folder in base.iterdir():
            if folder.is_dir() and not _in_use(folder):
                shutil.rmtree(folder, ignore_errors=True)
        own = Path(tempfile.mkdtemp(dir=base))
        file = (own / "lock").open("a")
        _try_lock(file.fileno())
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)
        file.close()


def _in_use(folder: Path) -> bool:
    """Tell whether the writer that made a staging folder still runs."""
    try:
        with (folder / "lock").open("r+") as file:
            return not _try_lock(file.fileno())
    except FileNotFoundError:  # killed before it had one, or just being removed
        return False


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _link(path: Path, target: Path) -> None:
    """Point the symbolic link `path` at `target` in one step."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(path)


def sync(*paths: Path) -> None:
    """Wait until files and folders are on the disk, many at once, which disks do far faster than one by one."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(_sync, paths))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

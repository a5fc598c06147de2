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
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TextIO

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


def prepare(root: Path) -> list[Path]:
    """Make the folder of a cohort, unless it is there; give the folders that were made, the innermost first.

    Raises:
        CohortError: there is something else at `root`.
    """
    made = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise CohortError(f"{root} is a file: choose a folder for the cohort") from error
    for name in ("current", *_LINKS):
        if (root / name).exists() and not (root / name).is_symlink():
            raise CohortError(f"{root} holds {name!r} of something else: choose another folder for the cohort")
    return made


@contextmanager
def begun(root: Path) -> Iterator[Path]:
    """Give the empty folder of the next version, which an error in the block removes; use it under `locked`."""
    version = begin(root)
    try:
        yield version
    except Exception:
        shutil.rmtree(version, ignore_errors=True)
        raise


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
    """Hold the lock file `path`; it falls open by itself when its holder dies. The holder may remove it.

    Raises:
        CohortError: another writer held it for longer than `patience_s` seconds.
    """
    with ExitStack() as held:
        deadline = time.monotonic() + patience_s
        file = held.enter_context(path.open("a"))
        while not _try_lock(file.fileno()) or not _is_at(path, file.fileno()):
            if time.monotonic() > deadline:
                raise CohortError(f"another process is still writing to {path.parent}: repeat when it has ended")
            time.sleep(0.02)
            held.close()  # what was waited for may have been removed
            file = held.enter_context(path.open("a"))
        yield


@contextmanager
def staging(root: Path, made: Sequence[Path] = ()) -> Iterator[Path]:
    """Give a folder of one's own for work in progress, removed at the end; those of killed writers go at the start.

    Args:
        root: of the cohort.
        made: the folders that were made for the cohort, the innermost first: they go, too, if it comes to nothing.
    """
    base = root / ".staging"
    own, lock = _own(base)
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)
        lock.close()
        with suppress(OSError, CohortError), locked(base / "lock"):  # it may be gone, with the work of another
            if not any(folder.is_dir() for folder in base.iterdir()):
                shutil.rmtree(base, ignore_errors=True)
                _remove_unless_committed(root, made)


def _own(base: Path) -> tuple[Path, TextIO]:
    """Make a folder in `base`, and hold the lock that says that it is in use."""
    while True:
        base.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError), locked(base / "lock"):  # another writer removed the base as it ended
            for folder in base.iterdir():
                if folder.is_dir() and not _in_use(folder):
                    shutil.rmtree(folder, ignore_errors=True)
            own = Path(tempfile.mkdtemp(dir=base))
            lock = (own / "lock").open("a")
            _try_lock(lock.fileno())
            return own, lock


def _remove_unless_committed(root: Path, made: Sequence[Path]) -> None:
    """Remove what was made for a first version that never came; a folder that holds anything else stays."""
    if not made or current(root) is not None:
        return
    (root / ".lock").unlink(missing_ok=True)
    for folder in (root / "versions", *made):
        if folder.exists():
            folder.rmdir()


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


def _is_at(path: Path, descriptor: int) -> bool:
    """Tell whether an open file is still the one that `path` names."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


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

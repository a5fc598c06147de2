"""Versions of a cohort on disk: each is written separately and made current atomically.

```
cohort/
  current -> versions/3          replaced atomically; readers resolve it once
  data -> current/data           so that the folder is a MEDS data set
  metadata -> current/metadata
  versions/2  versions/3         the previous one is kept for readers that opened it
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

#: Version of this layout; newer ones are refused.
LAYOUT = 1

#: How long a writer waits for another writer's commit.
LOCK_TIMEOUT_S = 600.0

#: Folder of a version with the sources of its events; see `provenance`.
PROVENANCE = "provenance"

_LINKS = {"data": Path("current/data"), "metadata": Path("current/metadata")}


def current(root: Path) -> Path | None:
    """Return the folder of the current version; None before the first commit."""
    try:
        return root / (root / "current").readlink()
    except OSError:
        return None


def prepare(root: Path) -> list[Path]:
    """Create the folder of a cohort if needed, and return the folders created, the innermost first.

    Raises:
        CohortError: `root` is a file, or a folder of something else.
    """
    created = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise CohortError(f"{root} is a file: choose a folder for the cohort") from error
    for name in ("current", *_LINKS):
        if (root / name).exists() and not (root / name).is_symlink():
            raise CohortError(
                f"{root} holds {name!r} of something else, perhaps a MEDS data set of another tool, which opens as it "
                "is: choose another folder for the cohort"
            )
    return created


@contextmanager
def new_version(root: Path) -> Iterator[Path]:
    """Yield the empty folder of the next version, removed if the block fails; requires the lock."""
    version = make_version_folder(root)
    try:
        yield version
    except Exception:
        shutil.rmtree(version, ignore_errors=True)
        raise


def make_version_folder(root: Path) -> Path:
    """Create the empty folder of the next version, removing leftovers of a killed writer; requires the lock."""
    before = current(root)
    version = root / "versions" / str(int(before.name) + 1 if before else 1)
    shutil.rmtree(version, ignore_errors=True)
    (version / "data").mkdir(parents=True)
    (version / "metadata").mkdir()
    (version / PROVENANCE).mkdir()
    return version


def publish(root: Path, version: Path, keep_previous: bool = True) -> None:
    """Sync `version` to disk, make it current, and remove versions older than its predecessor, or all others."""
    folders = [version / name for name in ("data", "metadata", PROVENANCE)]
    sync(*(file for folder in folders for file in folder.iterdir()), *folders, version, version.parent)
    for name, target in _LINKS.items():
        _link(root / name, target)
    _link(root / "current", Path("versions") / version.name)
    sync(root)
    kept = {version.name, str(int(version.name) - 1)} if keep_previous else {version.name}
    for folder in (root / "versions").iterdir():
        if folder.name not in kept:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def locked(path: Path, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
    """Hold the lock file `path`, which is released when its holder dies. The holder may remove the file.

    Raises:
        CohortError: another writer held it for more than `timeout_s` seconds.
    """
    with ExitStack() as held:
        deadline = time.monotonic() + timeout_s
        file = held.enter_context(path.open("a"))
        while not _try_lock(file.fileno()) or not _is_at(path, file.fileno()):
            if time.monotonic() > deadline:
                raise CohortError(f"another process is still writing to {path.parent}: repeat when it has ended")
            time.sleep(0.02)
            held.close()  # the file may have been removed meanwhile
            file = held.enter_context(path.open("a"))
        yield


@contextmanager
def staging(root: Path, created: Sequence[Path] = ()) -> Iterator[Path]:
    """Yield a private staging folder, removed at the end; those of killed writers are removed at the start.

    Args:
        root: of the cohort.
        created: folders created for the cohort, the innermost first; removed if nothing is ever committed.
    """
    base = root / ".staging"
    own, lock = _make_own_folder(base)
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)
        lock.close()
        with suppress(OSError, CohortError), locked(base / "lock"):  # another writer may have removed it
            if not any(folder.is_dir() for folder in base.iterdir()):
                shutil.rmtree(base, ignore_errors=True)
                _remove_unless_committed(root, created)


def _make_own_folder(base: Path) -> tuple[Path, TextIO]:
    """Create a folder in `base`, and hold the lock that marks it as in use."""
    while True:
        base.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError), locked(base / "lock"):  # another writer removed the base
            for folder in base.iterdir():
                if folder.is_dir() and not _in_use(folder):
                    shutil.rmtree(folder, ignore_errors=True)
            own = Path(tempfile.mkdtemp(dir=base))
            lock = (own / "lock").open("a")
            _try_lock(lock.fileno())
            return own, lock


def _remove_unless_committed(root: Path, created: Sequence[Path]) -> None:
    """Remove the folders created for a cohort that has no version; folders that hold anything else stay."""
    if not created or current(root) is not None:
        return
    (root / ".lock").unlink(missing_ok=True)
    for folder in (root / "versions", *created):
        if folder.exists():
            folder.rmdir()


def _in_use(folder: Path) -> bool:
    """Return whether the writer of a staging folder is still running."""
    try:
        with (folder / "lock").open("r+") as file:
            return not _try_lock(file.fileno())
    except FileNotFoundError:  # its writer was killed before locking, or it is being removed
        return False


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    """Return whether an open file is still the one at `path`."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _link(path: Path, target: Path) -> None:
    """Point the symbolic link `path` at `target` atomically."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(path)


def sync(*paths: Path) -> None:
    """Sync files and folders to disk in parallel, which is much faster than one by one."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(_sync, paths))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

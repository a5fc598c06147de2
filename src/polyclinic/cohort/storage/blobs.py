"""Images and waveforms, each stored in a file named by the hash of its content."""

import re
from collections.abc import Iterable
from pathlib import Path

from polyclinic.cohort.errors import CohortError
from polyclinic.cohort.storage.versions import sync
from polyclinic.files import sha256

NAME = re.compile(r"[0-9a-f]{64}(\.[a-z0-9]{1,8}){1,2}")


class BlobStore:
    """The folder `blobs/`, which stores equal content once.

    A writer passes `staged`, a folder on the same file system that holds added blobs until they are published.
    Published blobs are removed by `remove_unless` only, under the cohort's lock, under which a writer checks its own.
    """

    def __init__(self, folder: Path, staged: Path | None = None) -> None:
        self.folder = folder
        self._staged = staged or folder
        self._added: set[str] = set()

    def add(self, content: bytes, suffix: str) -> str:
        """Stage `content` unless it is stored, and return its name: its SHA-256, a dot, and `suffix`.

        Raises:
            CohortError: the suffix has characters other than letters and digits.
        """
        name = f"{sha256(content)}.{suffix.lstrip('.').lower()}"
        if not NAME.fullmatch(name):
            raise CohortError("the suffix of a blob has letters and digits only, such as png")
        if name not in self._added and not _holds(self.folder / name, content):
            (self._staged / name).write_bytes(content)
            self._added.add(name)
        return name

    def check(self, names: Iterable[str]) -> None:
        """Check that blobs of these names are published or staged.

        Raises:
            CohortError: a blob is missing.
        """
        for name in set(names) - self._added:
            self.path(name)

    def sync(self) -> None:
        """Sync all added blobs to disk."""
        sync(*(self._staged / name for name in self._added))

    def publish(self) -> int:
        """Move the staged blobs to the folder, and return the number of new files."""
        new = sum(not (self.folder / name).exists() for name in self._added)
        if self._added:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name in self._added:
                (self._staged / name).replace(self.folder / name)
            sync(self.folder)
        self._added.clear()
        return new

    def remove_unless(self, used: Iterable[str]) -> int:
        """Remove the published blobs that are not named, and return how many; requires the lock."""
        unused = {path.name for path in self.folder.glob("*")} - set(used) if self.folder.is_dir() else set()
        for name in unused:
            if NAME.fullmatch(name):
                (self.folder / name).unlink(missing_ok=True)
        return sum(1 for name in unused if NAME.fullmatch(name))

    def path(self, name: str) -> Path:
        """Return the path of a blob.

        Raises:
            CohortError: `name` is not a valid blob name, or there is no such blob.
        """
        if not NAME.fullmatch(name):
            raise CohortError(
                "not the name of a blob (64 hexadecimal digits and a suffix): use the name that add_blob returned"
            )
        path = self.folder / name
        if path.is_symlink() or not path.is_file():
            raise CohortError(f"no blob {name} in {self.folder}: ingest its source again")
        return path


def _holds(path: Path, content: bytes) -> bool:
    """Return whether `path` is a file with this content; a damaged one is replaced."""
    return path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content

"""Pictures and waveforms, each a file named by the hash of its content."""

import re
from collections.abc import Iterable
from pathlib import Path

from polyclinic.cohort.errors import CohortError
from polyclinic.cohort.storage.versions import sync
from polyclinic.files import sha256

NAME = re.compile(r"[0-9a-f]{64}(\.[a-z0-9]{1,8}){1,2}")


class BlobStore:
    """The folder `blobs/`: the same content is kept once, whoever writes it.

    `staged`, on the same file system, holds what was added until it is published; only a writer needs it. Nothing
    that was published is ever removed, so that another writer may count on it.
    """

    def __init__(self, folder: Path, staged: Path | None = None) -> None:
        self.folder = folder
        self._staged = staged or folder
        self._added: set[str] = set()

    def add(self, content: bytes, suffix: str) -> str:
        """Stage `content` unless it is there, and give its name: its SHA-256, a dot, and `suffix`.

        Raises:
            CohortError: the suffix has other characters than letters and digits.
        """
        name = f"{sha256(content)}.{suffix.lstrip('.').lower()}"
        if not NAME.fullmatch(name):
            raise CohortError("the suffix of a blob has letters and digits only, such as png")
        if name not in self._added and not _holds(self.folder / name, len(content)):
            (self._staged / name).write_bytes(content)
            self._added.add(name)
        return name

    def check(self, names: Iterable[str]) -> None:
        """Make sure that there are blobs of these names, published or staged.

        Raises:
            CohortError: there is one that is not.
        """
        for name in set(names) - self._added:
            self.path(name)

    def sync(self) -> None:
        """Wait until all that was added is on the disk."""
        sync(*(self._staged / name for name in self._added))

    def publish(self) -> int:
        """Move what was staged to where readers look for it; give how many files were not there before."""
        new = sum(not (self.folder / name).exists() for name in self._added)
        if self._added:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name in self._added:
                (self._staged / name).replace(self.folder / name)
            sync(self.folder)
        self._added.clear()
        return new

    def path(self, name: str) -> Path:
        """Give the file of a blob.

        Raises:
            CohortError: `name` is not that of a blob, or there is no such blob.
        """
        if not NAME.fullmatch(name):
            raise CohortError("not the name of a blob, which add_blob gives: 64 hexadecimal digits and a suffix")
        path = self.folder / name
        if path.is_symlink() or not path.is_file():
            raise CohortError(f"no blob {name} in {self.folder}: ingest its source again")
        return path


def _holds(path: Path, size: int) -> bool:
    """Say whether there is a file of `size` bytes: one that was torn is written again."""
    return path.is_file() and path.stat().st_size == size

"""Pictures and waveforms, each a file named by the hash of its content."""

import re
from collections.abc import Iterable
from pathlib import Path

from polyclinic.cohort.errors import CohortError
from polyclinic.cohort.versions import sync
from polyclinic.files import sha256

NAME = re.compile(r"[0-9a-f]{64}(\.[a-z0-9]{1,8}){1,2}")


class BlobStore:
    """The folder `blobs/`: the same content is kept once, whoever writes it.

    `temporary`, on the same file system, holds what is half written; only a writer needs it.
    """

    def __init__(self, folder: Path, temporary: Path | None = None) -> None:
        self.folder = folder
        self._temporary = temporary or folder
        self._written: list[Path] = []

    @property
    def written(self) -> int:
        """How many files were not there before."""
        return len(self._written)

    def add(self, content: bytes, suffix: str) -> str:
        """Write `content` unless it is there, and give its name: its SHA-256, a dot, and `suffix`.

        Raises:
            CohortError: the suffix has other characters than letters and digits.
        """
        name = f"{sha256(content)}.{suffix.lstrip('.').lower()}"
        if not NAME.fullmatch(name):
            raise CohortError("the suffix of a blob has letters and digits only, such as png")
        path = self.folder / name
        if not (path.exists() and path.stat().st_size == len(content)):
            self.folder.mkdir(parents=True, exist_ok=True)
            half = self._temporary / f"{name}.half"
            half.write_bytes(content)
            half.replace(path)
            self._written.append(path)
        return name

    def check(self, names: Iterable[str]) -> None:
        """Make sure that there are blobs of these names.

        Raises:
            CohortError: there is one that is not.
        """
        for name in names:
            self.path(name)

    def sync(self) -> None:
        """Wait until all that was written is on the disk."""
        if self._written:
            sync(*self._written)
            sync(self.folder)

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

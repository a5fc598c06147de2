"""Pictures and waveforms, each a file named by the hash of its content."""

import os
import re
from pathlib import Path

from polyclinic.cohort.errors import CohortError
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
        """Write `content` unless it is there, and give its name: its SHA-256, a dot, and `suffix`."""
        name = f"{sha256(content)}.{suffix.lstrip('.').lower()}"
        if not NAME.fullmatch(name):
            raise CohortError(f"suffix {suffix!r} of a blob: use letters and digits, such as png")
        path = self.folder / name
        if not (path.exists() and path.stat().st_size == len(content)):
            self._put(path, content)
            self._written.append(path)
        return name

    def sync(self) -> None:
        """Wait until all that was written is on the disk."""
        folders = {self.folder} if self._written else set()
        for path in [*self._written, *folders]:
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)

    def path(self, name: str) -> Path:
        """Give the file of a blob.

        Raises:
            CohortError: `name` is not that of a blob, or there is no such blob.
        """
        path = self.folder / name
        if not NAME.fullmatch(name):
            raise CohortError("not the name of a blob: it is 64 hexadecimal digits and a suffix")
        if path.is_symlink() or not path.is_file():
            raise CohortError(f"no blob {name} in {self.folder}: ingest its source again")
        return path

    def _put(self, path: Path, content: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        half = self._temporary / f"{path.name}.half"
        half.write_bytes(content)
        half.replace(path)

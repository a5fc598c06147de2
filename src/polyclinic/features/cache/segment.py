"""One segment of a shelf: two append-only files, `<name>.data` with the arrays and `<name>.keys` with their keys.

A row is written to `.data` first and to `.keys` last, so that a row with a key is complete. A killed writer leaves at
most bytes without a key, which the next writer truncates. Each key has a checksum of its row, to detect later damage.
A segment has one writer at a time, which holds the operating system's lock on `.keys`; the lock of a killed process
is released.
"""

import os
import sys
import uuid
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

KEY_BYTES = 16
_KEY = np.dtype([("key", f"V{KEY_BYTES}"), ("checksum", "<u4")])
_ERASED = bytes(_KEY.itemsize)
_FULL = 1 << 30  # bytes of data after which a new segment is started


class Segment:
    """A reader of a segment: rows are memory-mapped, and each is verified on first use."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.path = path  # of `.keys`
        self.rows: np.ndarray = np.empty((0, *shape), dtype)  # [row, *shape], a read-only view of the file
        self._checksums = np.empty(0, np.uint32)
        self._checked = np.empty(0, bool)

    def grow(self) -> list[tuple[bytes, int]]:
        """Load the rows added since the last call, and return their keys and row numbers."""
        known = len(self.rows)
        shape, dtype = self.rows.shape[1:], self.rows.dtype
        try:
            keys = np.fromfile(self.path, _KEY, offset=known * _KEY.itemsize)
            stored = data_path(self.path).stat().st_size // _row_bytes(shape, dtype)
            keys = keys[: max(stored - known, 0)]
            if len(keys):
                mapped = np.memmap(data_path(self.path), dtype, "r", shape=(known + len(keys), *shape))
                self.rows = mapped.view(np.ndarray)
        except FileNotFoundError:  # the cache was cleared meanwhile
            return []
        self._checksums = np.concatenate([self._checksums, keys["checksum"]])
        self._checked = np.concatenate([self._checked, np.zeros(len(keys), bool)])
        names = (key.tobytes() for key in keys["key"])
        return [(name, row) for row, name in enumerate(names, known) if name != _ERASED[:KEY_BYTES]]

    def is_intact(self, key: bytes, row: int) -> bool:
        """Return whether a row matches its checksum; an intact row is checked only once."""
        if not self._checked[row]:
            self._checked[row] = _checksum(key, self.rows[row]) == self._checksums[row]
        return bool(self._checked[row])

    def erase(self, row: int) -> None:
        """Erase the key of a damaged row for later readers; do nothing without write permission."""
        try:
            with self.path.open("r+b") as keys:
                keys.seek(row * _KEY.itemsize)
                keys.write(_ERASED)
        except OSError:
            return


def append(folder: Path, rows: Sequence[tuple[bytes, np.ndarray]]) -> None:
    """Append rows, all of one shape and dtype, to a segment of `folder` that has no other writer."""
    keys = np.array([(key, _checksum(key, row)) for key, row in rows], _KEY)
    with _own_segment(folder) as (key_file, data_file):
        complete = os.fstat(key_file.fileno()).st_size // _KEY.itemsize
        key_file.truncate(complete * _KEY.itemsize)
        data_file.truncate(complete * rows[0][1].nbytes)
        for _, row in rows:
            data_file.write(row.tobytes())
        data_file.flush()
        key_file.write(keys.tobytes())
        key_file.flush()


def key_files(folder: Path) -> list[Path]:
    """Return the `.keys` file of every segment."""
    return sorted(folder.glob("*.keys"))


def data_path(keys: Path) -> Path:
    """Return the `.data` file of a `.keys` file."""
    return keys.with_suffix(".data")


def entries(keys: Path) -> int:
    """Count the rows of a segment."""
    return keys.stat().st_size // _KEY.itemsize


@contextmanager
def _own_segment(folder: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open and lock the files of a segment without another writer, until the end of the block."""
    for keys in _candidates(folder):
        with keys.open("ab") as key_file:
            if _locked(key_file) and os.fstat(key_file.fileno()).st_nlink:  # without a link it was just deleted
                with data_path(keys).open("ab") as data_file:
                    yield key_file, data_file
                return


def _candidates(folder: Path) -> Iterator[Path]:
    """Yield segments with free space, then new ones."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for keys in key_files(folder):
        data = data_path(keys)
        if data.exists() and data.stat().st_size < _FULL:
            yield keys
    while True:
        yield folder / f"{uuid.uuid4().hex}.keys"


def _locked(file: BinaryIO) -> bool:
    if sys.platform == "win32":  # no such lock: every write starts a new segment
        return os.fstat(file.fileno()).st_size == 0
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _checksum(key: bytes, row: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(row).view(np.uint8).reshape(-1).data, zlib.crc32(key))


def _row_bytes(shape: Iterable[int], dtype: np.dtype) -> int:
    return int(np.prod([*shape], dtype=np.int64)) * dtype.itemsize

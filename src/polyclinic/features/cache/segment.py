"""One segment of a shelf: two files that only grow, `<name>.data` with arrays and `<name>.keys` saying whose they are.

A row is written to `.data` first and to `.keys` last, so that a row that has a key is whole. A writer that was killed
leaves at most bytes without a key, which the next writer cuts off. Each key carries a checksum of its row, for damage
that came later. A segment has one writer at a time, who holds the operating system's lock on `.keys`: a lock that a
killed process loses by itself.
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
_FULL = 1 << 30  # bytes of data, after which a new segment is begun


class Segment:
    """A segment as a reader sees it: rows memory-mapped, each checked once when it is first asked for."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.path = path  # of `.keys`
        self.rows: np.ndarray = np.empty((0, *shape), dtype)  # [row, *shape], a read-only view of the file
        self._checksums = np.empty(0, np.uint32)
        self._checked = np.empty(0, bool)

    def grow(self) -> list[tuple[bytes, int]]:
        """See what was added since the last call, and give each new row's key."""
        known = len(self.rows)
        shape, dtype = self.rows.shape[1:], self.rows.dtype
        try:
            keys = np.fromfile(self.path, _KEY, offset=known * _KEY.itemsize)
            stored = data_path(self.path).stat().st_size // _row_bytes(shape, dtype)
            keys = keys[: max(stored - known, 0)]
            if len(keys):
                mapped = np.memmap(data_path(self.path), dtype, "r", shape=(known + len(keys), *shape))
                self.rows = mapped.view(np.ndarray)
        except FileNotFoundError:  # cleared meanwhile
            return []
        self._checksums = np.concatenate([self._checksums, keys["checksum"]])
        self._checked = np.concatenate([self._checked, np.zeros(len(keys), bool)])
        names = (key.tobytes() for key in keys["key"])
        return [(name, row) for row, name in enumerate(names, known) if name != _ERASED[:KEY_BYTES]]

    def sound(self, key: bytes, row: int) -> bool:
        """Check a row against its checksum; what was found sound is not read again."""
        if not self._checked[row]:
            self._checked[row] = _checksum(key, self.rows[row]) == self._checksums[row]
        return bool(self._checked[row])

    def erase(self, row: int) -> None:
        """Take the key from a damaged row, so that no later reader meets it; without right to write, do nothing."""
        try:
            with self.path.open("r+b") as keys:
                keys.seek(row * _KEY.itemsize)
                keys.write(_ERASED)
        except OSError:
            return


def append(folder: Path, rows: Sequence[tuple[bytes, np.ndarray]]) -> None:
    """Add rows, all of one shape and type, to a segment of `folder` that nobody else is writing."""
    keys = np.array([(key, _checksum(key, row)) for key, row in rows], _KEY)
    with _own_segment(folder) as (key_file, data_file):
        whole = os.fstat(key_file.fileno()).st_size // _KEY.itemsize
        key_file.truncate(whole * _KEY.itemsize)
        data_file.truncate(whole * rows[0][1].nbytes)
        for _, row in rows:
            data_file.write(row.tobytes())
        data_file.flush()
        key_file.write(keys.tobytes())
        key_file.flush()


def key_files(folder: Path) -> list[Path]:
    """Give the `.keys` of every segment."""
    return sorted(folder.glob("*.keys"))


def data_path(keys: Path) -> Path:
    """Give the `.data` that belongs to a `.keys`."""
    return keys.with_suffix(".data")


def entries(keys: Path) -> int:
    """Count the rows of a segment."""
    return keys.stat().st_size // _KEY.itemsize


@contextmanager
def _own_segment(folder: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open the keys and data of a segment that no other process or thread is writing, until the end of the block."""
    for keys in _candidates(folder):
        with keys.open("ab") as key_file:
            if _locked(key_file) and os.fstat(key_file.fileno()).st_nlink:  # without a link it was just cleared
                with data_path(keys).open("ab") as data_file:
                    yield key_file, data_file
                return


def _candidates(folder: Path) -> Iterator[Path]:
    """Give segments with room, then new ones without end."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for keys in key_files(folder):
        data = data_path(keys)
        if data.exists() and data.stat().st_size < _FULL:
            yield keys
    while True:
        yield folder / f"{uuid.uuid4().hex}.keys"


def _locked(file: BinaryIO) -> bool:
    if sys.platform == "win32":  # no such lock: every write begins a segment of its own
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

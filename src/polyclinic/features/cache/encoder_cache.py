"""Disk cache of the outputs of frozen encoders, computed once per content for all studies.

`<folder>/<encoding>/` is the shelf of one encoding: a backbone with result weights, a preparation of its input, and the
shape of its output. It holds one array per content hash. Any number of processes may read and write concurrently and
be killed at any time; a damaged entry is detected by its checksum, erased, and computed again. The content is derived
from patient data: the folder is readable by its owner only.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from polyclinic.compute.devices import CPU
from polyclinic.compute.resources import Resources
from polyclinic.compute.workers import Job, completed
from polyclinic.features.cache.segment import KEY_BYTES, Segment, append, data_path, entries, key_files
from polyclinic.progress import SILENT, Progress

Item = TypeVar("Item")
Encode = Callable[[Mapping[str, Item]], Mapping[str, np.ndarray | str]]

WORKER_BYTES = 600 << 20
"""Bytes of a process that encodes: its libraries, a network, and an image of the largest size."""
MISSING = -1
_ROW_BITS = 40  # of a position; the rest is the segment's number
_ROW = (1 << _ROW_BITS) - 1


class MissingEntryError(LookupError):
    """Requested entries are not in the cache."""


@dataclass(frozen=True)
class Encoding:
    """The encoding that produced the arrays of one shelf."""

    encoder: str  # name of the backbone, or of another encoder
    fingerprint: str  # of its weights
    preparation: str  # version of the preparation of the input
    shape: tuple[int, ...]  # of one array
    dtype: str = "float16"
    device: str = CPU  # kind of device that computed them, since kinds round differently

    @property
    def name(self) -> str:
        """Name of the shelf's folder."""
        sizes = "x".join(str(size) for size in self.shape)
        device = "" if self.device == CPU else self.device
        parts = (self.encoder, self.fingerprint[:16], self.preparation, sizes, self.dtype, device)
        return "-".join(part for part in parts if part)


@dataclass(frozen=True)
class ShelfSize:
    """Size of one shelf."""

    name: str
    entries: int
    bytes: int


class Encoded(NamedTuple):
    """What `Shelf.encode_pending` did."""

    number: int  # of items that were encoded
    failed: dict[str, str]  # why others cannot be, by key


class EncoderCache:
    """The folder of all shelves: `folder`, or `$POLYCLINIC_CACHE`, or `~/.cache/polyclinic`."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path(os.environ.get("POLYCLINIC_CACHE") or Path.home() / ".cache" / "polyclinic")
        self._shelves: dict[Encoding, Shelf] = {}

    @property
    def fingerprints(self) -> Path:
        """The file that caches the fingerprints of weights."""
        return self.folder / "fingerprints.json"

    def shelf(self, encoding: Encoding) -> Shelf:
        """Return the shelf of an encoding."""
        if encoding not in self._shelves:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._shelves[encoding] = Shelf(self.folder / encoding.name, encoding)
        return self._shelves[encoding]

    def sizes(self) -> list[ShelfSize]:
        """Return the size of every shelf."""
        return [_size(folder) for folder in self._folders()]

    def clear(self, name: str | None = None) -> int:
        """Delete one shelf by name, or all, and return the bytes freed; open readers keep their data."""
        freed = 0
        for folder in self._folders():
            if name in (None, folder.name):
                freed += _size(folder).bytes
                shutil.rmtree(folder, ignore_errors=True)
        self._shelves = {encoding: shelf for encoding, shelf in self._shelves.items() if shelf.folder.exists()}
        return freed

    def _folders(self) -> list[Path]:
        return sorted({keys.parent for keys in self.folder.glob("*/*.keys")})


class Shelf:
    """The arrays of one encoding, by content hash (hexadecimal SHA-256)."""

    def __init__(self, folder: Path, encoding: Encoding) -> None:
        self.folder = folder
        self.encoding = encoding
        self._dtype = np.dtype(encoding.dtype)
        self._segments: list[Segment] = []
        self._positions: dict[bytes, int] = {}
        self._lock = threading.RLock()

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Return the keys without an intact entry, without duplicates, in order."""
        unique = list(dict.fromkeys(keys))
        return [key for key, position in zip(unique, self.positions(unique), strict=True) if position == MISSING]

    def positions(self, keys: Sequence[str]) -> np.ndarray:
        """Return the position of each key's array, int64 `[key]`, for `at`; `MISSING` if there is no intact entry."""
        names = [bytes.fromhex(key)[:KEY_BYTES] for key in keys]
        with self._lock:
            if any(name not in self._positions for name in names):
                self._grow()
            return np.array([self._intact_position(name) for name in names], dtype=np.int64)

    def at(self, positions: np.ndarray) -> np.ndarray:
        """Copy the arrays at `positions`, `[*positions, *shape]`; zeros where `MISSING`."""
        numbers = np.where(positions == MISSING, MISSING, positions >> _ROW_BITS)
        rows = positions & _ROW
        used = np.unique(numbers)
        if len(used) == 1 and used[0] != MISSING:
            return np.asarray(self._segments[used[0]].rows[rows])
        result = np.zeros((*positions.shape, *self.encoding.shape), self._dtype)
        for number in used[used != MISSING]:
            in_segment = numbers == number
            result[in_segment] = self._segments[number].rows[rows[in_segment]]
        return result

    def read(self, keys: Sequence[str]) -> np.ndarray:
        """Return the arrays of keys, `[key, *shape]`; raises as `existing_positions` does."""
        return self.at(self.existing_positions(keys))

    def existing_positions(self, keys: Sequence[str]) -> np.ndarray:
        """Return the positions of keys.

        Raises:
            MissingEntryError: some are missing.
        """
        positions = self.positions(keys)
        if (positions == MISSING).any():
            raise MissingEntryError(
                f"{(positions == MISSING).sum()} of {len(keys)} entries of {self.encoding.name} are not in the cache, "
                "or were cleared while in use: encode them again"
            )
        return positions

    def write(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Store arrays by key.

        Raises:
            ValueError: an array has the wrong shape, or a number that is not finite.
        """
        rows = [(bytes.fromhex(key)[:KEY_BYTES], self._checked(array)) for key, array in arrays.items()]
        if rows:
            append(self.folder, rows)

    def encode_pending(
        self,
        items: Mapping[str, Item],
        encode: Encode[Item],
        *,
        batch: int = 32,
        progress: Progress = SILENT,
        resources: Resources | None = None,
    ) -> Encoded:
        """Encode the items that have no entry, and store each batch when it is done.

        `encode` returns the arrays of the items passed to it, a text instead of the array of an item that cannot be
        encoded, and may omit some. Worker processes have a copy of it, so it must be picklable. Items that another
        process has encoded meanwhile are skipped. After Ctrl-C the completed batches are kept.
        """
        pending, encoded = self.missing(items), Encoded(0, {})
        if not pending:
            return encoded
        starts = range(0, len(pending), batch)
        jobs = [Job("batch", {key: items[key] for key in pending[start : start + batch]}) for start in starts]
        running = completed(
            _encode_missing,
            (self, encode),
            jobs,
            resources or Resources(),
            each_bytes=WORKER_BYTES,
            progress=progress,
        )
        with progress.task(f"Encoding ({self.encoding.encoder})", total=len(pending)) as advance, closing(running):
            for done in running:
                arrays = {key: found for key, found in done.result.items() if not isinstance(found, str)}
                self.write(arrays)
                failed = {key: found for key, found in done.result.items() if isinstance(found, str)}
                encoded = Encoded(encoded.number + len(arrays), encoded.failed | failed)
                advance(len(jobs[done.place].item))
        return encoded

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs to open the shelf at the same positions."""
        segments = [(segment.path, len(segment.rows)) for segment in self._segments]
        return {"folder": self.folder, "encoding": self.encoding, "segments": segments}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open the shelf; raises MissingEntryError if it was cleared meanwhile."""
        self.__init__(state["folder"], state["encoding"])  # type: ignore[misc]
        for path, rows in state["segments"]:
            self._open(path)
            if len(self._segments[-1].rows) < rows:
                raise MissingEntryError(f"{self.encoding.name} was cleared while in use: encode it again")

    def _grow(self) -> None:
        for number in range(len(self._segments)):
            self._read_on(number)
        known = {segment.path for segment in self._segments}
        for path in key_files(self.folder):
            if path not in known:
                self._open(path)

    def _open(self, path: Path) -> None:
        self._segments.append(Segment(path, self.encoding.shape, self._dtype))
        self._read_on(len(self._segments) - 1)

    def _read_on(self, number: int) -> None:
        for name, row in self._segments[number].grow():
            self._positions[name] = number << _ROW_BITS | row

    def _intact_position(self, name: bytes) -> int:
        position = self._positions.get(name, MISSING)
        if position == MISSING:
            return MISSING
        segment, row = self._segments[position >> _ROW_BITS], position & _ROW
        if segment.is_intact(name, row):
            return position
        segment.erase(row)
        del self._positions[name]
        return MISSING

    def _checked(self, array: np.ndarray) -> np.ndarray:
        if array.shape != self.encoding.shape:
            raise ValueError(f"{self.encoding.name} stores arrays of shape {self.encoding.shape}, not {array.shape}")
        row = array.astype(self._dtype)
        if not np.isfinite(row).all():
            raise ValueError(
                f"{self.encoding.encoder} returned a number that is not finite: check its weights and input"
            )
        return row


class Gathered:
    """A read-only array whose rows are read lazily from the cache's memory-mapped files.

    `[rows]` copies rows along the first axis, `np.asarray` copies everything.
    """

    def __init__(
        self, shelf: Shelf, positions: np.ndarray, decode: Callable[[np.ndarray], np.ndarray] | None = None
    ) -> None:
        self._shelf = shelf
        self._positions = positions
        self._decode = decode or _as_stored
        example = self._decode(np.zeros((*(1 for _ in positions.shape), *shelf.encoding.shape), shelf.encoding.dtype))
        self.shape: tuple[int, ...] = (*positions.shape, *example.shape[positions.ndim :])
        self.dtype = example.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes held in memory."""
        return self._positions.nbytes

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Copy rows selected by a number, slice or array; further indices apply to the copy."""
        first, rest = (rows[0], rows[1:]) if isinstance(rows, tuple) else (rows, ())
        chosen = np.asarray(self._decode(self._shelf.at(self._positions[first])))
        if not rest:
            return chosen
        single = isinstance(first, int | np.integer)
        return np.asarray(chosen[rest] if single else chosen[(slice(None), *rest)])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Copy everything."""
        return np.asarray(self[:], dtype=dtype)


def _as_stored(stored: np.ndarray) -> np.ndarray:
    return stored


def _encode_missing(
    shelf_and_encode: tuple[Shelf, Encode[Item]],
    items: Mapping[str, Item],
    progress: Progress,  # noqa: ARG001
) -> Mapping[str, np.ndarray | str]:
    """Encode the items that have no entry by now."""
    shelf, encode = shelf_and_encode
    keys = shelf.missing(items)
    return encode({key: items[key] for key in keys}) if keys else {}


def _size(folder: Path) -> ShelfSize:
    files = key_files(folder)
    stored = sum(path.stat().st_size for keys in files for path in (keys, data_path(keys)) if path.exists())
    return ShelfSize(folder.name, sum(entries(keys) for keys in files), stored)

"""What frozen encoders gave, computed once per content and kept for all studies.

`<folder>/<encoding>/` is the shelf of one encoding: a backbone with certain weights, a way of preparing its input,
the shape of its output. On it lies an array for each content hash. Any number of processes may read and write at once
and be killed at any moment; a damaged entry is found by its checksum, forgotten, and computed again. What is kept is
derived from patients' data: the folder is readable by its owner alone.
"""

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from polyclinic.features.cache.segment import KEY_BYTES, Segment, append, data_path, entries, key_files
from polyclinic.progress import SILENT, Progress

Item = TypeVar("Item")

MISSING = -1
_ROW_BITS = 40  # of a place; the rest is the segment's number
_ROW = (1 << _ROW_BITS) - 1


class MissingEntryError(LookupError):
    """Entries were asked for that are not in the cache."""


@dataclass(frozen=True)
class Encoding:
    """What the arrays of one shelf are."""

    encoder: str  # name of the backbone, or of what else made the arrays
    fingerprint: str  # of its weights
    preparation: str  # version of all that happens to an item before the backbone sees it
    shape: tuple[int, ...]  # of one array
    dtype: str = "float16"

    @property
    def name(self) -> str:
        """Name of the shelf's folder."""
        sizes = "x".join(str(size) for size in self.shape)
        return "-".join(
            part for part in (self.encoder, self.fingerprint[:16], self.preparation, sizes, self.dtype) if part
        )


@dataclass(frozen=True)
class ShelfSize:
    """How much one shelf holds."""

    name: str
    entries: int
    bytes: int


class EncoderCache:
    """The folder of all shelves: `folder`, or `$POLYCLINIC_CACHE`, or `~/.cache/polyclinic`."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path(os.environ.get("POLYCLINIC_CACHE") or Path.home() / ".cache" / "polyclinic")
        self._shelves: dict[Encoding, Shelf] = {}

    @property
    def fingerprints(self) -> Path:
        """The file that remembers the fingerprints of weights between processes."""
        return self.folder / "fingerprints.json"

    def shelf(self, encoding: Encoding) -> "Shelf":
        """Give the shelf of an encoding."""
        if encoding not in self._shelves:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._shelves[encoding] = Shelf(self.folder / encoding.name, encoding)
        return self._shelves[encoding]

    def sizes(self) -> list[ShelfSize]:
        """Give what every shelf holds."""
        return [_size(folder) for folder in self._folders()]

    def clear(self, name: str | None = None) -> int:
        """Delete one shelf by name, or all, and give the bytes freed; who reads them now keeps what he has open."""
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
        self._places: dict[bytes, int] = {}
        self._lock = threading.RLock()

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Give the keys that have no sound entry, each once, in their order."""
        wanted = list(dict.fromkeys(keys))
        return [key for key, place in zip(wanted, self.places(wanted), strict=True) if place == MISSING]

    def places(self, keys: Sequence[str]) -> np.ndarray:
        """Give where each key's array lies, int64 `[key]`, for `at`; `MISSING` where there is none that is sound."""
        names = [bytes.fromhex(key)[:KEY_BYTES] for key in keys]
        with self._lock:
            if any(name not in self._places for name in names):
                self._grow()
            return np.array([self._sound_place(name) for name in names], dtype=np.int64)

    def at(self, places: np.ndarray) -> np.ndarray:
        """Copy the arrays at some places, `[*places, *shape]`; zeros where a place is `MISSING`."""
        numbers = np.where(places == MISSING, MISSING, places >> _ROW_BITS)
        rows = places & _ROW
        used = np.unique(numbers)
        if len(used) == 1 and used[0] != MISSING:
            return np.asarray(self._segments[used[0]].rows[rows])
        given = np.zeros((*places.shape, *self.encoding.shape), self._dtype)
        for number in used[used != MISSING]:
            here = numbers == number
            given[here] = self._segments[number].rows[rows[here]]
        return given

    def read(self, keys: Sequence[str]) -> np.ndarray:
        """Give the arrays of keys, `[key, *shape]`; raises as `found` does."""
        return self.at(self.found(keys))

    def found(self, keys: Sequence[str]) -> np.ndarray:
        """Give the places of keys that must all be here.

        Raises:
            MissingEntryError: some are not.
        """
        places = self.places(keys)
        if (places == MISSING).any():
            raise MissingEntryError(
                f"{(places == MISSING).sum()} of {len(keys)} entries of {self.encoding.name} are not in the cache, or "
                "were cleared while in use: encode them again"
            )
        return places

    def write(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep arrays by their keys.

        Raises:
            ValueError: an array has another shape, or holds a number that is not finite.
        """
        rows = [(bytes.fromhex(key)[:KEY_BYTES], self._checked(array)) for key, array in arrays.items()]
        if rows:
            append(self.folder, rows)

    def encode_pending(
        self,
        items: Mapping[str, Item],
        encode: Callable[[Mapping[str, Item]], Mapping[str, np.ndarray]],
        *,
        batch: int = 32,
        progress: Progress = SILENT,
    ) -> int:
        """Encode the items whose keys have no entry, keep each batch as soon as it is done, and give how many.

        `encode` gives the arrays of the items that it is given; one that it leaves out stays without an entry. What
        another process has encoded meanwhile is not encoded again. After Ctrl-C the batches done are kept.
        """
        pending, encoded = self.missing(items), 0
        if not pending:
            return 0
        with progress.task(f"Encoding ({self.encoding.encoder})", total=len(pending)) as advance:
            for start in range(0, len(pending), batch):
                keys = self.missing(pending[start : start + batch])
                arrays = encode({key: items[key] for key in keys}) if keys else {}
                self.write(arrays)
                encoded += len(arrays)
                advance(len(pending[start : start + batch]))
        return encoded

    def _grow(self) -> None:
        known = {segment.path for segment in self._segments}
        shape = self.encoding.shape
        self._segments += [Segment(path, shape, self._dtype) for path in key_files(self.folder) if path not in known]
        for number, segment in enumerate(self._segments):
            for name, row in segment.grow():
                self._places[name] = number << _ROW_BITS | row

    def _sound_place(self, name: bytes) -> int:
        place = self._places.get(name, MISSING)
        if place == MISSING:
            return MISSING
        segment, row = self._segments[place >> _ROW_BITS], place & _ROW
        if segment.sound(name, row):
            return place
        segment.erase(row)
        del self._places[name]
        return MISSING

    def _checked(self, array: np.ndarray) -> np.ndarray:
        if array.shape != self.encoding.shape:
            raise ValueError(f"{self.encoding.name} keeps arrays of shape {self.encoding.shape}, not {array.shape}")
        row = array.astype(self._dtype)
        if not np.isfinite(row).all():
            raise ValueError(f"{self.encoding.encoder} gave a number that is not finite: check its weights and input")
        return row


class Gathered:
    """Arrays that stay in the cache's memory-mapped files until their rows are asked for.

    Looks like a read-only numpy array: `[rows]` copies what is asked for along the first axis, `np.asarray` all of it.
    """

    def __init__(
        self, shelf: Shelf, places: np.ndarray, decode: Callable[[np.ndarray], np.ndarray] = lambda stored: stored
    ) -> None:
        self._shelf = shelf
        self._places = places
        self._decode = decode
        one = decode(np.zeros((*(1 for _ in places.shape), *shelf.encoding.shape), shelf.encoding.dtype))
        self.shape: tuple[int, ...] = (*places.shape, *one.shape[places.ndim :])
        self.dtype = one.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that it holds in memory itself."""
        return self._places.nbytes

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Copy some rows: a number, a slice, or an array of numbers or Booleans; further indices apply to the copy."""
        first, rest = (rows[0], rows[1:]) if isinstance(rows, tuple) else (rows, ())
        chosen = np.asarray(self._decode(self._shelf.at(self._places[first])))
        if not rest:
            return chosen
        one = isinstance(first, int | np.integer)
        return np.asarray(chosen[rest] if one else chosen[(slice(None), *rest)])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Copy everything."""
        return np.asarray(self[:], dtype=dtype)


def _size(folder: Path) -> ShelfSize:
    files = key_files(folder)
    stored = sum(path.stat().st_size for keys in files for path in (keys, data_path(keys)) if path.exists())
    return ShelfSize(folder.name, sum(entries(keys) for keys in files), stored)

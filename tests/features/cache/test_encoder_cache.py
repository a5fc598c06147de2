"""The encoder cache: persistence, concurrent writers, kill -9, and recovery from damage."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from polyclinic.features.cache import segment as cache_segment
from polyclinic.features.cache.encoder_cache import MISSING, EncoderCache, Encoding, Gathered, MissingEntryError

SHAPE = (3, 4)
ENCODING = Encoding("net", "ab" * 32, "v1", SHAPE)


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def array(number: int) -> np.ndarray:
    return (np.arange(12).reshape(SHAPE) + number).astype(np.float16)


def arrays(numbers) -> dict[str, np.ndarray]:
    return {key(number): array(number) for number in numbers}


@pytest.fixture
def shelf(tmp_path):
    return EncoderCache(tmp_path).shelf(ENCODING)


def reopened(shelf):
    """The same shelf opened by another process."""
    return EncoderCache(shelf.folder.parent).shelf(ENCODING)


def test_written_arrays_are_read_back(shelf):
    shelf.write(arrays(range(5)))
    for each in (shelf, reopened(shelf)):
        read = each.read([key(3), key(0), key(3)])
        assert read.dtype == np.float16
        np.testing.assert_array_equal(read, [array(3), array(0), array(3)])
        assert each.missing([key(7), key(1), key(7)]) == [key(7)]


def test_missing_entries_raise_in_read_and_are_zeros_in_at(shelf):
    shelf.write(arrays([1]))
    with pytest.raises(MissingEntryError, match="1 of 2 entries of net-"):
        shelf.read([key(1), key(2)])
    positions = shelf.positions([key(1), key(2)])
    assert positions[1] == MISSING
    np.testing.assert_array_equal(shelf.at(positions), [array(1), np.zeros(SHAPE)])


def test_reader_sees_later_writes_of_another(shelf):
    shelf.write(arrays([1]))
    reader = reopened(shelf)
    held = reader.at(reader.positions([key(1)]))
    shelf.write(arrays(range(2, 400)))
    np.testing.assert_array_equal(reader.read([key(399), key(1)]), [array(399), array(1)])
    np.testing.assert_array_equal(held, [array(1)])


def test_encodings_do_not_mix(tmp_path):
    cache = EncoderCache(tmp_path)
    others = [
        Encoding("other", "ab" * 32, "v1", SHAPE),
        Encoding("net", "cd" * 32, "v1", SHAPE),
        Encoding("net", "ab" * 32, "v2", SHAPE),
        Encoding("net", "ab" * 32, "v1", (4, 3)),
        Encoding("net", "ab" * 32, "v1", SHAPE, "uint16"),
    ]
    cache.shelf(ENCODING).write(arrays([1]))
    assert all(cache.shelf(other).missing([key(1)]) for other in others)


@pytest.mark.parametrize("wrong", [np.zeros((4, 3)), np.full(SHAPE, np.nan), np.full(SHAPE, 1e6)])
def test_invalid_arrays_raise(shelf, wrong):
    with np.errstate(over="ignore"), pytest.raises(ValueError, match=r"stores arrays of shape|not finite"):
        shelf.write({key(1): wrong})
    assert shelf.missing([key(1)])


def test_default_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("POLYCLINIC_CACHE", str(tmp_path / "mine"))
    assert EncoderCache().folder == tmp_path / "mine"
    monkeypatch.delenv("POLYCLINIC_CACHE")
    assert EncoderCache().folder == Path.home() / ".cache" / "polyclinic"


def test_folder_is_readable_by_the_owner_only(tmp_path):
    cache = EncoderCache(tmp_path / "cache")
    cache.shelf(ENCODING).write(arrays([1]))
    assert cache.folder.stat().st_mode & 0o077 == 0


def test_sizes_and_clear(tmp_path):
    cache = EncoderCache(tmp_path)
    other = Encoding("other", "cd" * 32, "v1", (2,))
    cache.shelf(ENCODING).write(arrays(range(10)))
    cache.shelf(other).write({key(1): np.ones(2)})
    first, second = cache.sizes()
    assert (first.name, first.entries) == (ENCODING.name, 10)
    assert (second.name, second.entries) == (other.name, 1)
    assert first.bytes == 10 * (24 + 20)

    reader = reopened(cache.shelf(ENCODING))
    reader.positions([key(1)])
    assert cache.clear(ENCODING.name) == first.bytes
    assert [size.name for size in cache.sizes()] == [other.name]
    assert cache.shelf(ENCODING).missing([key(1)])
    np.testing.assert_array_equal(reader.read([key(1)]), [array(1)])  # an open reader keeps its data
    cache.shelf(ENCODING).write(arrays([1]))
    assert cache.clear() > 0
    assert cache.sizes() == []


def test_full_segments_are_not_extended(shelf, monkeypatch):
    monkeypatch.setattr(cache_segment, "_FULL", 10 * 24)
    for start in range(0, 40, 5):
        shelf.write(arrays(range(start, start + 5)))
    assert len(list(shelf.folder.glob("*.keys"))) == 4
    positions = shelf.positions([key(number) for number in range(40)])
    np.testing.assert_array_equal(shelf.at(positions), [array(number) for number in range(40)])


class TestDamage:
    """Damaged entries are detected by checksum, erased and computed again."""

    @pytest.fixture
    def data(self, shelf):
        shelf.write(arrays(range(4)))
        (path,) = shelf.folder.glob("*.data")
        return path

    @pytest.mark.parametrize("byte", [0, 23])
    def test_changed_byte(self, shelf, data, byte):
        content = bytearray(data.read_bytes())
        content[2 * 24 + byte] ^= 0x10
        data.write_bytes(content)
        assert reopened(shelf).missing([key(number) for number in range(4)]) == [key(2)]
        reopened(shelf).write(arrays([2]))
        healed = reopened(shelf)
        np.testing.assert_array_equal(healed.read([key(2), key(3)]), [array(2), array(3)])
        assert healed.missing([key(2)]) == []

    def test_changed_key(self, shelf, data):
        keys = data.with_suffix(".keys")
        content = bytearray(keys.read_bytes())
        content[20] ^= 1  # the first byte of the second key
        keys.write_bytes(content)
        assert reopened(shelf).missing([key(number) for number in range(4)]) == [key(1)]

    def test_lost_data(self, shelf, data):
        os.truncate(data, 2 * 24 + 5)
        late = reopened(shelf)
        assert late.missing([key(number) for number in range(4)]) == [key(2), key(3)]
        late.write(arrays([2, 3, 4]))
        np.testing.assert_array_equal(
            reopened(shelf).read([key(number) for number in range(5)]), [array(number) for number in range(5)]
        )

    def test_truncated_write(self, shelf, data):
        with data.open("ab") as file:
            file.write(b"half an array")
        with data.with_suffix(".keys").open("ab") as file:
            file.write(b"half a key")
        late = reopened(shelf)
        late.write(arrays([9]))
        assert len(list(shelf.folder.glob("*.keys"))) == 1
        numbers = [0, 1, 2, 3, 9]
        np.testing.assert_array_equal(
            reopened(shelf).read([key(number) for number in numbers]), [array(number) for number in numbers]
        )


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.features.cache.test_encoder_cache import ENCODING, arrays
from polyclinic.features.cache.encoder_cache import EncoderCache
shelf = EncoderCache(Path({folder!r})).shelf(ENCODING)
first, last, forever = map(int, sys.argv[1:])
while True:
    for start in range(first, last, 7):
        shelf.write(arrays(range(start, min(start + 7, last))))
        print(start, flush=True)
    if not forever:
        break
"""


def writer(shelf, first: int, last: int, forever: bool = False) -> subprocess.Popen:
    code = WRITER.format(root=str(Path(__file__).parents[3]), folder=str(shelf.folder.parent))
    command = [sys.executable, "-c", code, str(first), str(last), str(int(forever))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_concurrent_writers(shelf):
    """Three processes write overlapping items; nothing is lost, and there are at most as many segments as writers."""
    writers = [writer(shelf, first, first + 600) for first in (0, 300, 600)]
    while any(process.poll() is None for process in writers):
        present = [name for name in map(key, range(0, 1200, 50)) if not shelf.missing([name])]
        shelf.read(present)  # read during the writes
    assert [process.communicate() and process.returncode for process in writers] == [0, 0, 0]
    assert len(list(shelf.folder.glob("*.keys"))) <= 3
    numbers = range(1200)
    np.testing.assert_array_equal(reopened(shelf).read(list(map(key, numbers))), [array(n) for n in numbers])


@pytest.mark.slow
def test_kill_9(shelf):
    """A writer is killed at many times; acknowledged entries persist, and the next writer continues."""
    acknowledged: set[int] = set()
    for moment in range(6):
        process = writer(shelf, moment * 10_000, moment * 10_000 + 5_000, forever=True)
        acknowledged.add(int(process.stdout.readline()))
        time.sleep(0.003 * moment)
        process.send_signal(signal.SIGKILL)
        acknowledged.update(int(line) for line in process.communicate()[0].split() if line)
        assert process.returncode == -signal.SIGKILL
    survivor = reopened(shelf)
    numbers = sorted(number for start in acknowledged for number in range(start, start + 7) if number % 10_000 < 5_000)
    np.testing.assert_array_equal(survivor.read(list(map(key, numbers))), [array(n) for n in numbers])
    survivor.write(arrays([-1]))
    np.testing.assert_array_equal(reopened(shelf).read([key(-1)]), [array(-1)])
    assert len(list(shelf.folder.glob("*.keys"))) == 1  # the lock was released, and the segment extended


class TestEncodePending:
    """Only missing entries are computed."""

    @pytest.fixture
    def calls(self):
        return []

    @pytest.fixture
    def encode(self, calls):
        def encode(items):
            calls.append(list(items.values()))
            return {name: array(number) for name, number in items.items()}

        return encode

    def test_encodes_each_item_once_in_batches_with_progress(self, shelf, encode, calls):
        steps = []

        class Bar:
            def task(self, description, total=None):
                steps.append((description, total))
                return self

            def __enter__(self):
                return steps.append

            def __exit__(self, *_):
                return None

        shelf.write(arrays([3]))
        items = {key(number): number for number in range(8)}
        assert shelf.encode_pending(items, encode, batch=3, progress=Bar()).number == 7
        assert calls == [[0, 1, 2], [4, 5, 6], [7]]
        assert steps == [("Encoding (net)", 7), 3, 3, 1]
        assert shelf.encode_pending(items, encode, progress=Bar()).number == 0
        assert len(calls) == 3
        assert len(steps) == 4

    def test_items_omitted_by_the_encoder_stay_missing(self, shelf):
        assert shelf.encode_pending({key(1): 1, key(2): 2}, lambda items: arrays([2])).number == 1
        assert shelf.missing([key(1), key(2)]) == [key(1)]

    def test_ctrl_c_keeps_completed_batches(self, shelf, encode):
        def interrupted(items):
            if 4 in items.values():
                raise KeyboardInterrupt
            return encode(items)

        items = {key(number): number for number in range(8)}
        with pytest.raises(KeyboardInterrupt):
            shelf.encode_pending(items, interrupted, batch=2)
        assert reopened(shelf).missing(items) == [key(number) for number in range(4, 8)]

    def test_items_encoded_meanwhile_by_another_process_are_skipped(self, shelf, encode, calls):
        def encode_while_another_does(items):
            reopened(shelf).write(arrays([2, 3]))
            return encode(items)

        shelf.encode_pending({key(number): number for number in range(6)}, encode_while_another_does, batch=2)
        assert calls == [[0, 1], [4, 5]]


class TestGathered:
    """Behaves as the array that it represents."""

    @pytest.fixture
    def both(self, shelf):
        shelf.write(arrays(range(6)))
        positions = shelf.positions([key(number) for number in (0, 1, 2, 3, 99, 5)]).reshape(3, 2)
        whole = np.stack([array(n) if n != 99 else np.zeros(SHAPE, np.float16) for n in (0, 1, 2, 3, 99, 5)])
        return Gathered(shelf, positions), whole.reshape(3, 2, *SHAPE)

    def test_shape(self, both):
        gathered, whole = both
        assert (gathered.shape, gathered.dtype, gathered.ndim) == (whole.shape, whole.dtype, whole.ndim)
        assert len(gathered) == len(whole)
        assert gathered.nbytes == 3 * 2 * 8  # the positions only

    @pytest.mark.parametrize(
        "rows",
        [
            1,
            np.int64(2),
            slice(None),
            slice(1, 3),
            np.array([2, 0, 0]),
            [1, 2],
            np.array([True, False, True]),
            np.array([], dtype=np.int64),
            (0, 1),
            (slice(None), 1),
            (np.array([0, 2]), 0, 2),
        ],
    )
    def test_rows(self, both, rows):
        gathered, whole = both
        np.testing.assert_array_equal(gathered[rows], whole[rows])
        assert gathered[rows].shape == whole[rows].shape

    def test_asarray_copies_everything(self, both):
        gathered, whole = both
        np.testing.assert_array_equal(np.asarray(gathered), whole)
        assert np.asarray(gathered, dtype=np.float64).dtype == np.float64

    def test_decoding(self, both, shelf):
        gathered, whole = both
        doubled = Gathered(shelf, gathered._positions, lambda stored: 2.0 * stored.astype(np.float32)[..., None])
        assert (doubled.shape, doubled.dtype) == ((3, 2, *SHAPE, 1), np.float32)
        np.testing.assert_array_equal(doubled[1], 2 * whole[1][..., None])

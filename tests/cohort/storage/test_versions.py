"""Versions: readers see the old or the new cohort, with concurrent and killed writers."""

import fcntl
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest

from polyclinic.cohort import Cohort, CohortError, CohortWriter
from polyclinic.cohort.storage import shards, versions
from tests.cohort import ingest_until_killed as ingest


def whole_batches(path: Path) -> int:
    """Return the number of batches in a cohort, after checking that each is complete and counted once."""
    if versions.current(path) is None:
        return 0
    cohort = Cohort.open(path)
    events = cohort.events().collect()
    labs = events.filter(pl.col("code") == "LAB//batch").group_by("numeric_value").len().sort("numeric_value")
    n = labs.height
    assert labs.rows() == [(float(number), ingest.SUBJECTS + 1) for number in range(n)]
    images = events.drop_nulls("blob").get_column("blob").to_list()
    assert sorted(cohort.blob(name).read_bytes() for name in images) == [ingest.image(i) for i in range(n)]
    assert cohort.summary().events == events.height
    assert cohort.subjects.height == cohort.splits.height == ingest.SUBJECTS + n
    return n


def kill_while_ingesting(path: Path, start: int, seconds: float) -> int:
    """Ingest batches from `start`, kill the process after `seconds`, and return the number reported as committed."""
    command = [sys.executable, ingest.__file__, str(path), str(start)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        time.sleep(seconds)
        process.kill()
        reported = [int(line) for line in process.stdout.read().split("\n")[:-1]]
    return max(reported, default=start - 1) + 1


@pytest.mark.slow
def test_writer_killed_at_any_time(tmp_path: Path) -> None:
    rng = random.Random(0)
    done = 0
    for _ in range(8):
        # The last batch is ingested again each time, and must be stored once.
        start = max(done - 1, 0)
        reported = kill_while_ingesting(tmp_path, start, rng.uniform(0.02, 0.4))
        done = whole_batches(tmp_path)
        assert max(reported, start) <= done <= reported + 1
    for number in range(done + 1):
        ingest.add(tmp_path, number)
    assert whole_batches(tmp_path) == done + 1
    assert not (tmp_path / ".staging").exists()
    assert len(list((tmp_path / "versions").iterdir())) == 2


STEPS: list[tuple[object, str]] = [
    (versions, "make_version_folder"),
    (shards, "write"),
    (versions, "publish"),
    (versions, "_link"),
    (versions, "sync"),
]


class PowerCutError(BaseException):
    """Simulates a power cut: a BaseException, so that handlers of Exception do not clean up."""


@pytest.mark.parametrize(("module", "step"), STEPS)
@pytest.mark.parametrize("after", [False, True])
def test_power_cut_at_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: object, step: str, after: bool
) -> None:
    ingest.add(tmp_path, 0)
    calls, limit = 0, 1
    real: Callable[..., object] = getattr(module, step)

    def interrupt(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls == limit and not after:
            raise PowerCutError
        result = real(*arguments)
        if calls == limit:
            raise PowerCutError
        return result

    while True:
        calls = 0
        with monkeypatch.context() as patched:
            patched.setattr(module, step, interrupt)
            try:
                ingest.add(tmp_path, 1)
            except PowerCutError:
                assert whole_batches(tmp_path) in (1, 2)
            else:
                break
        limit += 1
    assert limit > 1
    assert whole_batches(tmp_path) == 2


@pytest.mark.slow
def test_concurrent_writers_lose_no_events(tmp_path: Path) -> None:
    """Four writers commit to one cohort while a reader opens it repeatedly."""
    counts: list[int] = []
    ended = threading.Event()

    def write(writer: int) -> None:
        for turn in range(3):
            with CohortWriter(tmp_path, source="test") as added:
                subjects = pl.int_range(100, eager=True).alias("subject_id")
                added.add(subjects.to_frame().with_columns(code=pl.lit(f"LAB//{writer}//{turn}")))

    def read() -> None:
        while not ended.is_set():
            if versions.current(tmp_path):
                cohort = Cohort.open(tmp_path)
                counts.append(cohort.summary().events)

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    reader.start()
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    ended.set()
    reader.join()
    assert counts == sorted(counts)
    assert all(events % 100 == 0 for events in counts)
    assert Cohort.open(tmp_path).summary().events == 1200
    assert Cohort.open(tmp_path).version.name == "12"


def test_lock_times_out(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(CohortError, match="still writing"), versions.locked(tmp_path / "lock", timeout_s=0.05):
            raise AssertionError("not reached")


def test_a_lock_file_removed_by_its_holder_stays_exclusive(tmp_path: Path) -> None:
    lock, inside = tmp_path / "lock", []

    def hold() -> None:
        for _ in range(50):
            with versions.locked(lock):
                inside.append(threading.get_ident())
                assert len(inside) == 1
                inside.clear()
                lock.unlink()

    with ThreadPoolExecutor(4) as pool:
        for held in [pool.submit(hold) for _ in range(4)]:
            held.result()
    assert not lock.exists()


@pytest.mark.slow
def test_failing_writers_leave_nothing_among_concurrent_writers(tmp_path: Path) -> None:
    """Every second writer fails: the events of the others are complete, and nothing else remains."""

    def write(number: int) -> None:
        with suppress(RuntimeError), CohortWriter(tmp_path / "new" / "cohort", source="test") as writer:
            name = writer.add_blob(b"image %d" % number, "png")
            writer.add(pl.DataFrame({"subject_id": [number], "code": ["IMAGE//CR//PA"], "blob": [name]}))
            if number % 2:
                raise RuntimeError

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    cohort = Cohort.open(tmp_path / "new" / "cohort")
    assert cohort.subjects.get_column("subject_id").to_list() == list(range(0, 40, 2))
    assert sorted(cohort.blob(name).read_bytes() for name in cohort.events().collect()["blob"]) == sorted(
        b"image %d" % number for number in range(0, 40, 2)
    )
    assert len(list((cohort.path / "blobs").iterdir())) == 20
    assert not (cohort.path / ".staging").exists()


def test_unchanged_shards_are_not_rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "TARGET_BYTES", 10 * shards.EVENT_BYTES)
    with CohortWriter(tmp_path, source="test") as writer:
        writer.add(pl.DataFrame({"subject_id": range(100), "code": ["LAB//x"] * 100}))
    before = {file.stat().st_ino for file in (tmp_path / "data").iterdir()}
    with CohortWriter(tmp_path, source="test") as writer:
        writer.add(pl.DataFrame({"subject_id": [55], "code": ["LAB//y"]}))
    after = {file.stat().st_ino for file in (tmp_path / "data").iterdir()}
    assert len(before) == len(after) == 10
    assert len(before & after) == 9
    assert Cohort.open(tmp_path).summary().events == 101

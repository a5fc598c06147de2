"""Jobs in worker processes: results, progress, errors, interruption."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
from joblib.externals.loky import get_reusable_executor

from polyclinic.compute import workers
from polyclinic.compute.resources import Resources, usable_cores
from polyclinic.compute.threads import ENVIRONMENT, one_thread
from polyclinic.compute.workers import Job, WorkerError, completed
from polyclinic.progress import Silent


@pytest.fixture(autouse=True)
def _always(monkeypatch):
    monkeypatch.setattr(workers, "WORTH_S", 0.0)


def scaled(shared, item, progress):
    with progress.task(f"job {item}", total=2) as advance:
        advance(1)
        progress.message(f"within {item}")
        advance(1)
    return shared["values"] * item, os.getpid()


def described(shared, item, progress):
    return isinstance(shared["values"], np.memmap), shared["values"].flags.writeable


def threads(shared, item, progress):
    import torch  # here alone, since every worker imports this module

    return torch.get_num_threads(), os.environ["LOKY_MAX_CPU_COUNT"]


def failing(shared, item, progress):
    raise ValueError(f"item {item} is wrong")


def dying(shared, item, progress):
    if item == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def waiting(shared, item, progress):
    Path(shared, str(os.getpid())).touch()
    time.sleep(60)


def jobs(*items):
    return [Job("any", item) for item in items]


SHARED = {"values": np.arange(100_000.0)}


def results(work, shared, items, count):
    found = sorted(completed(work, shared, jobs(*items), Resources(jobs=count)), key=lambda done: done.place)
    return [done.result for done in found], {done.here for done in found}


@pytest.mark.parametrize("count", [1, 2])
def test_results_are_those_of_the_jobs(count):
    found, here = results(scaled, SHARED, [3, 4, 5], count)
    assert here == {count == 1}
    for item, (values, process) in zip([3, 4, 5], found, strict=True):
        np.testing.assert_array_equal(values, SHARED["values"] * item)
        assert (process == os.getpid()) == (count == 1)


def test_workers_share_arrays_by_a_file_that_they_cannot_change():
    found, _ = results(described, SHARED, [1, 2], 2)
    assert found == [(True, False)] * 2


@pytest.mark.parametrize("count", [1, 2])
def test_a_job_has_one_thread_wherever_it_runs(count):
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        found, _ = results(threads, None, [1, 2], count)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert found == [(1, "1")] * 2


@pytest.mark.slow
def test_torch_has_one_thread_if_a_job_imports_it_first():
    code = """
        import sys
        from polyclinic.compute.threads import one_thread
        assert "torch" not in sys.modules
        with one_thread():
            import torch
            print(torch.get_num_threads())
    """
    environment = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=environment, check=True, capture_output=True, text=True
    )
    assert found.stdout.strip() == "1"


def test_other_threads_are_as_before_after_an_error(monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "5")
    with pytest.raises(ZeroDivisionError), one_thread():
        raise ZeroDivisionError
    assert os.environ["LOKY_MAX_CPU_COUNT"] == "5"
    monkeypatch.delenv("LOKY_MAX_CPU_COUNT")
    with one_thread():
        assert usable_cores() == 1
    assert "LOKY_MAX_CPU_COUNT" not in os.environ


class Recorded(Silent):
    def __init__(self):
        self.totals, self.done, self.open, self.texts = Counter(), Counter(), set(), []

    @contextmanager
    def task(self, description, total=None):
        self.totals[description] += total
        self.open.add(description)
        yield lambda steps: self.done.update({description: steps})
        self.open.discard(description)

    def message(self, text):
        self.texts.append(text)


@pytest.mark.parametrize("count", [1, 2])
def test_progress_of_workers_is_reported(count):
    progress = Recorded()
    list(completed(scaled, SHARED, jobs(1, 2, 3), Resources(jobs=count), progress=progress))
    assert progress.totals == progress.done == {"job 1": 2, "job 2": 2, "job 3": 2}
    assert sorted(progress.texts) == ["within 1", "within 2", "within 3"]
    assert not progress.open


@pytest.mark.parametrize("count", [1, 2])
def test_an_error_is_raised_as_it_is(count):
    with pytest.raises(ValueError, match="is wrong"):
        results(failing, None, [1, 2], count)


@pytest.mark.slow
def test_a_worker_that_the_system_stops_is_an_error_that_says_what_to_do():
    with pytest.raises(WorkerError, match="for lack of memory: give fewer --jobs"):
        results(dying, None, [0, 1, 2], 2)
    assert results(scaled, SHARED, [2, 3], 2)[1] == {False}, "later jobs get new workers"


@pytest.fixture
def interruptible():
    """Raise `KeyboardInterrupt` on SIGINT, which processes in the background ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
def test_leaving_early_stops_the_workers(tmp_path, interruptible):
    left = completed(waiting, tmp_path, jobs(1, 2, 3), Resources(jobs=2), progress=StopsOnPoll(tmp_path))
    with pytest.raises(KeyboardInterrupt), closing(left):
        next(left)
    started = [int(path.name) for path in tmp_path.iterdir()]
    assert started
    assert not any(psutil.pid_exists(process) for process in started)


def test_what_a_killed_process_left_is_removed(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for process in (ended.pid, os.getpid()):
        folder = tmp_path / f"workers-{process}-abc"
        folder.mkdir()
        (folder / "shared").touch()
    list(completed(described, SHARED, jobs(1, 2), Resources(jobs=2), folder=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [f"workers-{os.getpid()}-abc"]


class StopsOnPoll(Silent):
    """Interrupts the process once workers are at work, as Ctrl-C does."""

    def __init__(self, folder):
        import threading

        self.folder = folder
        threading.Thread(target=self.interrupt, daemon=True).start()

    def interrupt(self):
        while not list(self.folder.iterdir()):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)


BALLAST = []


def growing(shared, item, progress):
    BALLAST.append(np.ones(50_000_000))
    time.sleep(1.1)
    return os.getpid()


@pytest.mark.slow
def test_a_worker_that_grows_is_not_replaced():
    found, _ = results(growing, None, range(4), 2)
    assert len(set(found)) <= 2
    get_reusable_executor().shutdown(kill_workers=True)


KILLED = """
import sys
from pathlib import Path
from polyclinic.compute import workers
from polyclinic.compute.resources import Resources
from polyclinic.compute.workers import Job, completed
from tests.compute.test_workers import waiting
workers.WORTH_S = 0.0
list(completed(waiting, sys.argv[1], [Job("any", 1), Job("any", 2)], Resources(jobs=2)))
"""


@pytest.mark.slow
def test_workers_end_with_the_process_that_started_them(tmp_path):
    """A script without a guard for its main module can start workers, and leaves none when it is killed."""
    parent = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], cwd=Path(__file__).parents[2])
    deadline = time.monotonic() + 120
    while len(list(tmp_path.iterdir())) < 2:
        assert parent.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    started = [int(path.name) for path in tmp_path.iterdir()]
    while any(psutil.pid_exists(process) for process in started):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_workers_start_only_where_they_are_worth_it(monkeypatch):
    monkeypatch.setattr(workers, "WORTH_S", 10.0)
    assert results(scaled, SHARED, [1, 2, 3], 2)[1] == {True}
    expected = completed(scaled, SHARED, jobs(1, 2, 3), Resources(jobs=2), expected_s={"any": 20.0})
    assert {done.here for done in expected} == {False}
    monkeypatch.setattr(workers, "WORTH_S", 0.02)
    found = list(completed(slow, None, jobs(1, 2, 3), Resources(jobs=2)))
    assert [done.here for done in sorted(found, key=lambda done: done.place)] == [True, False, False]


def slow(shared, item, progress):
    time.sleep(0.1)
    return item

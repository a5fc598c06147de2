"""Tasks side by side in processes of one thread each.

The processes are loky's (joblib): they are started anew, not forked, so that they work beside the threads of torch and
on every system, and do not import the caller's script. They stay for the next tasks, and end when they have had none
for a while, or when the process that started them ends, however it does.

A process takes seconds to start. So tasks begin in this process, and workers are started once the work that is left is
worth it. Each task computes in one thread wherever it runs, so its result does not depend on the number of workers.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Generic, NamedTuple, TypeVar

import psutil

from polyclinic.compute.allocation import keep_freed_memory
from polyclinic.compute.memory import MIB, free_bytes
from polyclinic.compute.relay import Relay, WrittenProgress
from polyclinic.compute.resources import Resources
from polyclinic.compute.stages import Spent, clock, since
from polyclinic.compute.threads import ENVIRONMENT, one_thread
from polyclinic.progress import SILENT, Progress

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Shared, Item, Progress], Result]

WORTH_S = 10.0
"""Seconds that workers must save to be started: a process needs about 5 s of processor time to start."""
IDLE_S = 300
"""Seconds without work after which a worker ends."""
POLL_S = 0.2
WATCH_S = 1.0
_SHARED = "shared"
_PREFIX = "workers-"


class WorkerError(RuntimeError):
    """A worker process, or a node of a cluster, ended before its task."""


class Job(NamedTuple, Generic[Item]):
    """One task; those of one kind take about equally long."""

    kind: str
    item: Item


@dataclass(frozen=True)
class Done(Generic[Result]):
    """The result of a job."""

    place: int  # of the job
    result: Result
    spent: Spent
    here: bool  # whether it ran in this process


def completed(
    work: Work[Shared, Item, Result],
    shared: Shared,
    jobs: Sequence[Job[Item]],
    resources: Resources,
    *,
    folder: Path | None = None,
    expected_s: Mapping[str, float] | None = None,
    each_bytes: int | None = None,
    progress: Progress = SILENT,
) -> Generator[Done[Result], None, None]:
    """Run `work` on the shared object and each item, and yield the results as they come.

    Close the iterator if it is left before its end: then workers are stopped.

    Args:
        work: A function of a module. It may report progress, and must not change what it is given.
        shared: Written to a file once, from which all workers map its arrays into memory.
        jobs: Begun in this order.
        resources: The number of processes.
        folder: Where the file is written, until the end; created if it does not exist. By default a temporary folder.
            Files that a killed process left in it are removed.
        expected_s: Seconds of a job, by kind; where it is not given, estimated from the jobs that are done.
        each_bytes: Memory of a worker; only as many are started as there is memory for, with a message. By default
            memory is not checked here.
        progress: Receives the progress of all jobs.

    Raises:
        WorkerError: the system stopped a worker.
    """
    known, most = _Durations(dict(expected_s or {})), resources.jobs
    for place, job in enumerate(jobs):
        workers = min(most, len(jobs) - place)
        if workers > 1 and known.of(jobs[place:]) * (1 - 1 / workers) >= WORTH_S:
            most = _affordable(workers, each_bytes, progress)
            if most > 1:
                yield from _side_by_side(work, shared, jobs, place, most, folder, progress)
                return
        result, spent = timed(work, shared, job.item, progress)
        known.add(job.kind, spent.wall_s)
        yield Done(place, result, spent, here=True)


def _affordable(workers: int, each_bytes: int | None, progress: Progress) -> int:
    """Return the number of workers for which there is memory, and tell what they need."""
    if each_bytes is None:
        return workers
    free = free_bytes()
    most = max(1, min(workers, free // each_bytes))
    fewer = f" of {workers}, for want of memory" if most < workers else ""
    needed = most * each_bytes // MIB
    progress.message(f"memory: {needed} MiB needed for {most} processes{fewer}, {free // MIB} MiB free")
    return most


class _Durations:
    """Seconds of jobs by kind, as measured; before, as expected."""

    def __init__(self, expected_s: dict[str, float]) -> None:
        self._expected_s = expected_s
        self._measured: dict[str, list[float]] = {}

    def add(self, kind: str, seconds: float) -> None:
        self._measured.setdefault(kind, []).append(seconds)

    def of(self, jobs: Sequence[Job[Any]]) -> float:
        return sum(self._one(job.kind) for job in jobs)

    def _one(self, kind: str) -> float:
        if kind in self._measured:
            return sum(self._measured[kind]) / len(self._measured[kind])
        return self._expected_s.get(kind, 0.0)


def _side_by_side(
    work: Work[Shared, Item, Result],
    shared: Shared,
    jobs: Sequence[Job[Item]],
    first: int,
    workers: int,
    folder: Path | None,
    progress: Progress,
) -> Generator[Done[Result], None, None]:
    import joblib  # takes a tenth of a second, also where no worker is started
    from joblib.externals.loky import get_reusable_executor

    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_left(folder)
    prefix = f"{_PREFIX}{os.getpid()}-"
    with TemporaryDirectory(prefix=prefix, dir=folder, ignore_cleanup_errors=True) as temporary:
        files, relay, finished = Path(temporary), Relay(Path(temporary), progress), False
        joblib.dump(shared, files / _SHARED)
        executor = get_reusable_executor(
            max_workers=workers, timeout=IDLE_S, initializer=_start, initargs=(os.getpid(),), env=ENVIRONMENT
        )
        try:
            places: dict[Future[tuple[Result, Spent]], int] = {
                executor.submit(_run, work, files, jobs[place].item, place): place for place in range(first, len(jobs))
            }
            for future in _as_completed(places, relay):
                result, spent = future.result()
                yield Done(places[future], result, spent, here=False)
            finished = True
        except BrokenExecutor as error:
            raise WorkerError(
                f"the system stopped one of {workers} worker processes, most likely for lack of memory: "
                "give fewer --jobs, or free memory; what is finished is kept"
            ) from error
        finally:
            if not finished:
                executor.shutdown(wait=True, kill_workers=True)
            relay.close()


def _remove_left(folder: Path) -> None:
    """Remove what processes that were killed have left."""
    for left in folder.glob(f"{_PREFIX}*-*"):
        process = left.name.removeprefix(_PREFIX).partition("-")[0]
        if process.isdecimal() and not psutil.pid_exists(int(process)):
            shutil.rmtree(left, ignore_errors=True)


def _as_completed(pending: Mapping[Future[Any], int], relay: Relay) -> Iterator[Future[Any]]:
    left = set(pending)
    while left:
        done, left = wait(left, timeout=POLL_S, return_when=FIRST_COMPLETED)
        relay.forward()
        yield from sorted(done, key=pending.__getitem__)


def _start(parent: int) -> None:
    """Prepare a worker: Ctrl-C is left to the parent, whose end is the worker's."""
    from joblib.externals.loky import process_executor

    # loky replaces a worker that has grown by 300 MB, counting libraries and the file that all map into memory.
    process_executor._MAX_MEMORY_LEAK_SIZE = math.inf
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(psutil.Process(parent),), daemon=True).start()


def _end_with(parent: psutil.Process) -> None:
    with suppress(psutil.Error):
        while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
            time.sleep(WATCH_S)
    os._exit(1)


def _run(work: Work[Any, Item, Result], files: Path, item: Item, place: int) -> tuple[Result, Spent]:
    """Run a job in a worker."""
    return timed(work, _load(files / _SHARED), item, WrittenProgress(files / str(place)))


@lru_cache(maxsize=1)
def _load(path: Path) -> Any:
    import joblib

    return joblib.load(path, mmap_mode="r")


def timed(work: Work[Shared, Item, Result], shared: Shared, item: Item, progress: Progress) -> tuple[Result, Spent]:
    """Run `work` in one thread, and return its result and the seconds it took."""
    begun = clock()
    keep_freed_memory()
    with one_thread():
        result = work(shared, item, progress)
    return result, since(begun)

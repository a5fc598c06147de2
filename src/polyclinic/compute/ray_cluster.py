"""Tasks side by side on the nodes of a Ray cluster, one thread and one processor core each.

Nodes need no files of this machine: what tasks share is put once into Ray's object store, owned by this process. A task
whose node is lost is run again on another. Results are those of `workers.completed`, to the bit.
"""

from __future__ import annotations

import os
import pickle
import socket
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from polyclinic.compute import ray_node
from polyclinic.compute.memory import MIB
from polyclinic.compute.ray_job import run_job
from polyclinic.compute.relay import Reporter
from polyclinic.compute.resources import RAY, Resources
from polyclinic.compute.threads import ENVIRONMENT
from polyclinic.compute.workers import POLL_S, Done, Item, Job, Result, Shared, Work, WorkerError
from polyclinic.progress import SILENT, Progress

ADDRESS = "RAY_ADDRESS"
OWN = "local"
"""Ray's name for an instance of this process."""
CHECKED = ("polyclinic", "torch", "numpy", "scipy", "scikit-learn", "lightgbm", "lightning")
"""Packages whose versions must be equal everywhere, for results to be."""
RETRIES = 5
"""How often a task is run again whose node, process or input was lost."""
CHECK_S = 60.0
REACHED_S = 10.0


class ClusterError(RuntimeError):
    """There is no Ray, no cluster at the address, or none that can run the tasks."""


def check_installed() -> None:
    """Raise `ClusterError` where Ray is not installed."""
    if find_spec("ray") is None:
        raise ClusterError("Ray is not installed: pip install 'polyclinic[ray]'")


@contextmanager
def connected(resources: Resources) -> Iterator[None]:
    """Connect to the cluster within the block, if the resources name one; a connection that there is already is used.

    The cluster is that at `resources.ray_address`, or of the variable RAY_ADDRESS: HOST:PORT, or `auto` for the one of
    which this machine is a node. Otherwise an instance with `resources.jobs` cores is started here, and ends with the
    block.

    Raises:
        ClusterError: there is none, or a node has other versions of the packages in `CHECKED`.
    """
    if resources.on != RAY:
        yield
        return
    check_installed()
    ray: Any = import_module("ray")
    if ray.is_initialized():
        yield
        return
    address = resources.ray_address or os.environ.get(ADDRESS) or OWN
    _connect(ray, address, resources.jobs)
    try:
        _check_nodes(ray)
        yield
    finally:
        ray.shutdown()


def completed_on_ray(
    work: Work[Shared, Item, Result],
    shared: Shared,
    jobs: Sequence[Job[Item]],
    resources: Resources,
    *,
    each_bytes: int = 0,
    progress: Progress = SILENT,
) -> Generator[Done[Result], None, None]:
    """Run `work` on the shared object and each item, and yield the results as they come.

    Close the iterator if it is left before its end: then tasks are cancelled.

    Args:
        work: A function of a module. It may report progress, must not change what it is given, and reads no files.
        shared: Put once into the object store; arrays are read-only, and not copied on the nodes.
        jobs: Given to Ray in this order.
        resources: The cluster.
        each_bytes: Memory of a task; a node runs as many at a time as it has memory and cores for.
        progress: Receives the progress of all jobs.

    Raises:
        ClusterError: see `connected`; or no node has a core and the memory for a task.
        WorkerError: a task was lost more than `RETRIES` times.
    """
    with connected(resources):
        ray: Any = import_module("ray")
        _check_room(ray, each_bytes)
        tasks, finished = _Tasks(ray, work, shared, jobs, each_bytes, progress), False
        try:
            yield from tasks.results()
            finished = True
        finally:
            tasks.close(cancel=not finished)


def _connect(ray: Any, address: str, jobs: int) -> None:
    if address.startswith("ray://"):
        raise ClusterError(
            "Ray Client (ray://) is not supported: run on a node of the cluster, and give HOST:PORT or auto"
        )
    _check_reachable(address)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == OWN:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent from a hospital
        options |= {"num_cpus": jobs, "include_dashboard": False}
    try:
        ray.init(address=address, **options)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        ray.shutdown()
        raise _no_cluster(address, str(error).partition("\n")[0]) from error


def _check_reachable(address: str) -> None:
    """Try to reach HOST:PORT, for which Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACHED_S).close()
    except OSError as error:
        raise _no_cluster(address, error.strerror or type(error).__name__) from error


def _no_cluster(address: str, reason: str) -> ClusterError:
    return ClusterError(f"no Ray cluster at {address}: start it, or give another address ({reason})")


def _required() -> dict[str, str]:
    return ray_node.installed(list(CHECKED))


def _check_nodes(ray: Any) -> None:
    """Compare the versions of all nodes; one that does not answer is left to the tasks, which check again."""
    required = _required()
    affinity: Any = import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy
    installed = _by_value(ray, ray_node.installed, num_cpus=0, max_retries=0)
    answers = {
        installed.options(scheduling_strategy=affinity(node["NodeID"], soft=False)).remote(list(required)): node
        for node in _nodes(ray)
    }
    ready, _ = ray.wait(list(answers), num_returns=len(answers), timeout=CHECK_S)
    for answer in ready:
        with suppress(ray.exceptions.RayError):
            _check_versions(required, ray.get(answer), answers[answer]["NodeManagerAddress"])


def _check_versions(required: dict[str, str], found: dict[str, str], node: str) -> None:
    differ = [
        f"{name} {found[name] or 'missing'} instead of {wanted}"
        for name, wanted in required.items()
        if found[name] != wanted
    ]
    if differ:
        raise ClusterError(f"{node} of the Ray cluster has {', '.join(differ)}: install the same versions on all nodes")


def _nodes(ray: Any) -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _check_room(ray: Any, each_bytes: int) -> None:
    for node in _nodes(ray):
        if node["Resources"].get("CPU", 0) >= 1 and node["Resources"].get("memory", 0) >= each_bytes:
            return
    raise ClusterError(f"no node of the Ray cluster has a core and {each_bytes // MIB} MiB of memory for a task")


def _by_value(ray: Any, function: Any, **options: Any) -> Any:
    """Return a remote function or class of `ray_node`, which nodes need not have installed."""
    cloudpickle: Any = import_module("ray.cloudpickle")
    cloudpickle.register_pickle_by_value(ray_node)
    return ray.remote(**options)(function)


class _Tasks:
    """The tasks of some jobs, and their progress."""

    def __init__(
        self, ray: Any, work: Any, shared: Any, jobs: Sequence[Job[Any]], each_bytes: int, progress: Progress
    ) -> None:
        self._ray = ray
        self._work = work
        self._shared = shared
        self._jobs = jobs
        self._required = _required()
        self._run = _by_value(
            ray, ray_node.run, num_cpus=1, memory=each_bytes, max_retries=RETRIES, retry_exceptions=False
        )
        self._progress = _MailedProgress(ray, progress)
        self._put = ray.put(shared)
        self._given: dict[Any, tuple[int, Any]] = {}  # by task: the place of its job, and the object it was given
        self._lost = Counter[int]()
        for place in range(len(jobs)):
            self._start(place)

    def results(self) -> Iterator[Done[Any]]:
        """Yield the results as they come."""
        while self._given:
            ready, _ = self._ray.wait(list(self._given), timeout=POLL_S)
            self._progress.forward()
            for task in ready:
                place, given = self._given.pop(task)
                became, content = self._outcome(task)
                if became == ray_node.LOST:
                    self._start_again(place, given)
                else:
                    result, spent = self._unpickled(became, content)
                    yield Done(place, result, spent, here=False)

    def close(self, *, cancel: bool) -> None:
        """Free what was shared, and cancel the tasks that are left."""
        with suppress(self._ray.exceptions.RayError):
            for task in self._given if cancel else ():
                self._ray.cancel(task, force=True)
        self._given.clear()
        del self._put
        self._progress.close()

    def _start(self, place: int) -> None:
        job = pickle.dumps(partial(run_job, self._work, self._jobs[place].item, place))
        task = self._run.remote(self._required, ENVIRONMENT, [self._put], job, self._progress.mailbox)
        self._given[task] = place, self._put

    def _start_again(self, place: int, given: Any) -> None:
        """Start a job again whose node could not get the shared object, which is put anew unless it was already."""
        self._lost[place] += 1
        if self._lost[place] > RETRIES:
            raise WorkerError(f"Ray lost what tasks share more than {RETRIES} times; what is finished is kept")
        if given == self._put:
            self._put = self._ray.put(self._shared)
        self._start(place)

    def _outcome(self, task: Any) -> tuple[str, Any]:
        errors = self._ray.exceptions
        try:
            became, content = self._ray.get(task)
        except errors.OutOfMemoryError as error:
            raise WorkerError(
                "Ray stopped a task, as its node was short of memory: give nodes fewer cores; what is finished is kept"
            ) from error
        except errors.RayTaskError as error:
            raise WorkerError(f"a task could not be started: {type(error.cause).__name__}") from error
        except errors.RayError as error:
            raise WorkerError(
                f"Ray lost a task more than {RETRIES} times ({type(error).__name__}); what is finished is kept"
            ) from error
        return became, content

    def _unpickled(self, became: str, content: Any) -> Any:
        if became == ray_node.OTHER_VERSIONS:
            _check_versions(self._required, content, "a node")
        value = pickle.loads(content)  # noqa: S301 (written by our tasks)
        if became == ray_node.FAILED:
            raise value
        return value


class _MailedProgress:
    """Reports what tasks have sent to a mailbox on this process's node."""

    def __init__(self, ray: Any, progress: Progress) -> None:
        affinity: Any = import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy
        here = affinity(ray.get_runtime_context().get_node_id(), soft=False)
        self._ray = ray
        self._reporter = Reporter(progress)
        self._attempts: dict[int, str] = {}  # the latest of each job
        self._ended: set[str] = set()
        self.mailbox = _by_value(ray, ray_node.Mailbox, num_cpus=0, scheduling_strategy=here).remote()

    def forward(self) -> None:
        """Report what was sent since the last call; without the mailbox, tasks go on without a report."""
        with suppress(self._ray.exceptions.RayError):
            for place, attempt, values in self._ray.get(self.mailbox.take.remote()):
                self._report(place, attempt, values)

    def close(self) -> None:
        """Report the rest, and end the mailbox."""
        self.forward()
        self._reporter.close_all()
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(self.mailbox)

    def _report(self, place: int, attempt: str, values: dict[str, Any]) -> None:
        before = self._attempts.get(place, attempt)
        if attempt in self._ended:
            return
        if before != attempt:  # the job's node was lost, and another has begun anew
            self._reporter.close(before)
            self._ended.add(before)
        self._attempts[place] = attempt
        self._reporter.report(attempt, values)

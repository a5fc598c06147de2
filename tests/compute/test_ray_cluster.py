"""Jobs on a Ray cluster of two nodes: results, errors, lost nodes and objects, interruption."""

import os
import re
import time
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import numpy as np
import psutil
import pytest

from polyclinic.compute import ray_cluster
from polyclinic.compute.ray_cluster import ClusterError, completed_on_ray, connected
from polyclinic.compute.resources import RAY, Resources
from polyclinic.compute.workers import WorkerError
from tests.compute.test_workers import SHARED, Recorded, StopsOnPoll, failing, jobs, scaled, threads
from tests.ray_nodes import add_node, two_nodes

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'polyclinic[ray]'")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster():
    with two_nodes() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def resources(cluster):
    """The cluster, connected to while tests of this module run, which spares each its start."""
    resources = Resources(on=RAY, ray_address=cluster.address)
    with connected(resources):
        yield resources


def results(work, shared, items, resources, **options):
    found = sorted(completed_on_ray(work, shared, jobs(*items), resources, **options), key=lambda done: done.place)
    assert not any(done.here for done in found)
    return [done.result for done in found]


def node_of(shared, item, progress):
    time.sleep(0.5)
    return ray.get_runtime_context().get_node_id(), shared["values"].flags.writeable


def failing_of_its_own(shared, item, progress):
    raise WorkerError("this is wrong")


class OddError(Exception):
    def __init__(self, one, two):
        super().__init__(one)


def raising_what_cannot_be_sent(shared, item, progress):
    raise OddError(1, 2)


def on_a_node_that_dies_once(shared, item, progress):
    """Wait to be killed on the node that will die; on the other, until a job runs there."""
    marker, doomed = shared
    with progress.task(f"job {item}", total=2) as advance:
        advance(1)
        if ray.get_runtime_context().get_node_id() == doomed:
            Path(marker, str(item)).touch()
            time.sleep(60)
        deadline = time.monotonic() + 120
        while not list(Path(marker).iterdir()) and time.monotonic() < deadline:
            time.sleep(0.05)
        advance(1)
    return item


def waiting(shared, item, progress):
    Path(shared, str(os.getpid())).touch()
    time.sleep(60)


def test_results_and_progress_are_those_of_the_jobs(resources):
    progress = Recorded()
    found = results(scaled, SHARED, [3, 4, 5], resources, progress=progress)
    for item, (values, process) in zip([3, 4, 5], found, strict=True):
        np.testing.assert_array_equal(values, SHARED["values"] * item)
        assert process != os.getpid()
    assert progress.totals == progress.done == {"job 3": 2, "job 4": 2, "job 5": 2}
    assert sorted(progress.texts) == ["within 3", "within 4", "within 5"]
    assert not progress.open


def test_both_nodes_work_in_one_thread_and_cannot_change_what_they_share(resources):
    found = results(node_of, SHARED, range(6), resources)
    assert len({node for node, _ in found}) == 2
    assert not any(writeable for _, writeable in found)
    assert results(threads, None, [1, 2], resources) == [(1, "1")] * 2


@pytest.mark.parametrize(
    ("work", "error", "text"),
    [
        (failing, ValueError, "item 1 is wrong"),
        (failing_of_its_own, WorkerError, "^this is wrong$"),
        (raising_what_cannot_be_sent, WorkerError, "a task raised OddError, which cannot be sent"),
    ],
)
def test_an_error_is_raised_as_it_is(work, error, text, resources):
    with pytest.raises(error, match=text) as raised:
        results(work, None, [1], resources)
    assert type(raised.value) is error


def test_other_versions_are_refused_at_once_and_in_each_task(resources, monkeypatch):
    right = ray_cluster._required()
    monkeypatch.setattr(ray_cluster, "_required", lambda: right | {"torch": "1.0", "numpy": "2.0"})
    found = f"torch {version('torch')} instead of 1.0, numpy {np.__version__} instead of 2.0"
    text = re.escape(f"of the Ray cluster has {found}: install")
    with pytest.raises(ClusterError, match=text):
        ray_cluster._check_nodes(ray)
    with pytest.raises(ClusterError, match=f"^a node {text}"):
        results(scaled, SHARED, [1], resources)


@pytest.mark.filterwarnings("ignore:`free` is a deprecated")
def test_a_lost_object_is_put_again(resources, monkeypatch):
    first, put = [], ray.put

    def lost_at_first(value):
        reference = put(value)
        if not first:
            first.append(reference)
            ray._private.internal_api.free([reference])
        return reference

    monkeypatch.setattr(ray, "put", lost_at_first)
    found = results(scaled, SHARED, [1, 2], resources)
    np.testing.assert_array_equal(found[1][0], SHARED["values"] * 2)


def test_a_task_whose_node_is_lost_runs_again(cluster, resources, tmp_path):
    doomed = add_node(cluster)
    progress, found = Recorded(), []
    with closing(
        completed_on_ray(
            on_a_node_that_dies_once, (tmp_path, doomed.node_id), jobs(*range(6)), resources, progress=progress
        )
    ) as running:
        for done in running:
            found.append(done.result)
            if doomed is not None:
                cluster.remove_node(doomed, allow_graceful=False)
                doomed = None
    assert sorted(found) == list(range(6))
    assert len(list(tmp_path.iterdir())) == 1, "the node was lost at work"
    assert not progress.open
    assert set(progress.done) == {f"job {item}" for item in range(6)}


def test_leaving_early_stops_the_tasks(resources, tmp_path):
    running = completed_on_ray(waiting, tmp_path, jobs(1, 2, 3), resources, progress=StopsOnPoll(tmp_path))
    with pytest.raises(KeyboardInterrupt), closing(running):
        next(running)
    started = [int(path.name) for path in tmp_path.iterdir()]
    assert started
    deadline = time.monotonic() + 20
    while any(psutil.pid_exists(process) for process in started):
        assert time.monotonic() < deadline, "tasks still run"
        time.sleep(0.05)


def test_tasks_that_no_node_can_hold_are_refused(resources):
    with pytest.raises(ClusterError, match="has a core and 1048576 MiB of memory for a task"):
        results(scaled, SHARED, [1], resources, each_bytes=1 << 40)

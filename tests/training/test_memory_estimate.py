"""The estimated memory of a fit against the memory really used, and the memory available."""

import gc
import tracemalloc

import numpy as np
import psutil
import pytest
import torch

from polyclinic.models import UnifiedModel
from polyclinic.models.classical import ClassicalConfig, ClassicalModel, Design
from polyclinic.progress import SILENT
from polyclinic.study import Network, StudyError
from polyclinic.training import memory_estimate as memory
from polyclinic.training.fit import fit_study
from polyclinic.training.memory_estimate import (
    MIB,
    MemoryEstimate,
    classical_bytes,
    free_bytes,
    held_bytes,
    step_bytes,
)
from polyclinic.training.network.lightning_module import UnifiedModule
from tests.hospital import SIMPLE, STUDY


class RecordedProgress:
    """A progress that records messages."""

    def __init__(self):
        self.messages = []
        self.task = SILENT.task

    def message(self, text):
        self.messages.append(text)


def test_counting_a_step_changes_no_state(config, examples):
    torch.manual_seed(0)
    module = UnifiedModule(UnifiedModel(config), Network(batch_size=32), seed=0)
    before, random = [tensor.clone() for tensor in module.state_dict().values()], torch.get_rng_state()
    parameters, activations = step_bytes(module, examples, np.arange(90))
    assert all(map(torch.equal, before, module.state_dict().values()))
    assert torch.equal(random, torch.get_rng_state())
    assert parameters == sum(p.numel() for p in module.parameters()) * 4 * 4
    assert activations > 32 * 2 * 384 * 4, "at least the note's sentences are saved for the backward pass"
    assert held_bytes(examples) == sum(a.nbytes for m in examples.arrays.values() for a in m.values())


def test_counting_steps_leaks_no_memory(config, examples):
    wide = config.model_copy(update={"width": 256})
    many = np.arange(len(examples)).repeat(5)
    module = UnifiedModule(UnifiedModel(wide), Network(batch_size=len(many)), seed=0)
    _, activations = step_bytes(module, examples, many)
    before = psutil.Process().memory_info().rss
    for _ in range(10):
        step_bytes(module, examples, many)
        gc.collect()
    assert psutil.Process().memory_info().rss - before < 3 * activations


def test_an_estimate_is_printed_with_its_parts():
    estimate = MemoryEstimate(2 * MIB, parameters=3 * MIB, activations=4 * MIB, classical=5 * MIB, available=7 * MIB)
    assert estimate.fits
    assert str(estimate) == (
        "7 MiB needed plus 2 MiB of examples (network 7: parameters 3, step 4; classical models 5), 7 MiB free"
    )
    assert estimate.remedy.startswith("lower network.batch_size")
    estimate = MemoryEstimate(0, parameters=3 * MIB, activations=4 * MIB, classical=8 * MIB, available=7 * MIB)
    assert not estimate.fits
    assert "classical models" in estimate.remedy


@pytest.mark.parametrize(
    ("study", "remedy"), [(STUDY, "lower network.batch_size"), (SIMPLE, "leave out inputs or some of the classical")]
)
def test_a_fit_that_exceeds_the_memory_is_refused(study, remedy, hospital, cache, monkeypatch):
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: type("Full", (), {"available": 1000}))
    with pytest.raises(StudyError, match=rf"\d+ MiB needed .*, 0 MiB free: {remedy}"):
        fit_study(study, hospital, cache=cache)


def test_a_study_without_a_network_has_an_estimate_too(hospital, cache):
    progress = RecordedProgress()
    fitted = fit_study(SIMPLE, hospital, cache=cache, progress=progress)
    (message,) = [line for line in progress.messages if line.startswith("memory: ")]
    designs, samples = fitted.bundle.ensemble.designs, len(fitted.examples)
    assert len(designs) == 3
    needed = classical_bytes(designs, samples)
    assert f"network 0: parameters 0, step 0; classical models {needed // MIB})" in message
    assert needed > sum(design.matrix(fitted.examples.arrays).nbytes for design in designs)
    sparse = fitted.examples.arrays["note"]["tfidf"]
    assert held_bytes(fitted.examples) > sparse.data.nbytes + sparse.indices.nbytes


def test_a_shared_design_is_counted_once():
    arrays = {"structured": {"raw": np.ones((10, 3)), "present": np.ones(10, dtype=bool)}}
    design, other = (Design.fit(arrays, {"structured": ["a", "b", "c"]}) for _ in range(2))
    assert classical_bytes([design, design], 1000) == 1000 * 3 * (4 + 32)
    assert classical_bytes([design, other], 1000) == 1000 * 3 * (2 * 4 + 32)
    assert classical_bytes([], 1000) == 0


@pytest.mark.parametrize("method", ["logistic_regression", "decision_tree", "gradient_boosting"])
def test_fitting_a_model_uses_no_more_than_the_estimate(method):
    samples, features = 4000, 300
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(samples, features))
    raw[rng.random(raw.shape) < 0.2] = np.nan
    truth = (rng.random((samples, 1)) < 0.3).astype(float)
    arrays = {"structured": {"raw": raw, "present": np.ones(samples, dtype=bool)}}
    design = Design.fit(arrays, {"structured": [f"feature {number}" for number in range(features)]})
    config = ClassicalConfig(name=method, kind="binary", outputs=1, balanced=False, seed=0)
    everyone, observed = np.arange(samples), np.ones(samples, dtype=bool)
    gc.collect()
    tracemalloc.start()
    matrix = design.matrix(arrays)
    ClassicalModel(config, design.columns, design.blocks).fit(matrix[everyone], truth, observed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    estimated = classical_bytes([design], samples)
    assert matrix.nbytes < peak < 1.1 * estimated
    if method == "logistic_regression":
        assert peak > 0.75 * estimated


LIMITS = {
    "version 2": (
        "0::/jobs/mine\n",
        {
            "jobs/memory.max": "max\n",
            "jobs/memory.current": "1\n",
            "jobs/memory.stat": "anon 1\n",
            "jobs/mine/memory.max": "9000\n",
            "jobs/mine/memory.current": "8000\n",
            "jobs/mine/memory.stat": "anon 6000\ninactive_file 1500\nactive_file 500\n",
        },
    ),
    "version 2, limited above": (
        "0::/jobs/mine\n",
        {
            "memory.max": "3000\n",
            "memory.current": "0\n",
            "memory.stat": "anon 0\n",
            "jobs/mine/memory.max": "max\n",
            "jobs/mine/memory.current": "0\n",
            "jobs/mine/memory.stat": "anon 0\n",
        },
    ),
    "version 1": (
        "7:cpu,cpuacct:/elsewhere\n4:memory:/mine\n0::/\n",
        {
            "memory/memory.limit_in_bytes": "9223372036854771712\n",
            "memory/memory.usage_in_bytes": "1\n",
            "memory/memory.stat": "cache 1\n",
            "memory/mine/memory.limit_in_bytes": "4000\n",
            "memory/mine/memory.usage_in_bytes": "2000\n",
            "memory/mine/memory.stat": "inactive_file 7\ntotal_inactive_file 600\ntotal_active_file 400\n",
        },
    ),
    "version 1, the host's name of a container": (
        "4:memory:/docker/0123\n",
        {
            "memory/memory.limit_in_bytes": "3000\n",
            "memory/memory.usage_in_bytes": "0\n",
            "memory/memory.stat": "cache 1\n",
        },
    ),
}


@pytest.mark.parametrize("groups", LIMITS)
def test_the_limit_of_a_container_is_respected(groups, tmp_path):
    membership, files = LIMITS[groups]
    (tmp_path / "cgroup").write_text(membership)
    for name, content in files.items():
        (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / name).write_text(content)
    assert free_bytes(tmp_path / "cgroup", tmp_path / "fs") == 3000


def test_a_group_over_its_limit_has_nothing_free(tmp_path):
    (tmp_path / "cgroup").write_text("0::/\n")
    for name, content in {"memory.max": "10\n", "memory.current": "20\n", "memory.stat": "anon 20\n"}.items():
        (tmp_path / name).write_text(content)
    assert free_bytes(tmp_path / "cgroup", tmp_path) == 0


def test_without_control_groups_the_machine_memory_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: type("Half", (), {"available": 12345}))
    assert free_bytes(tmp_path / "none", tmp_path) == 12345
    assert 0 < free_bytes() <= 12345


def test_free_memory_of_this_machine_is_plausible():
    assert MIB < free_bytes() <= psutil.virtual_memory().total

"""The estimated memory of a fit against the memory really used, and the memory available."""

import gc
import tracemalloc
from dataclasses import replace

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.compute import memory
from polyclinic.compute.memory import MIB
from polyclinic.models import UnifiedModel
from polyclinic.models.classical import ClassicalConfig, ClassicalModel, Design
from polyclinic.progress import SILENT
from polyclinic.study import Network, StudyError
from polyclinic.training.fit import fit_study
from polyclinic.training.memory_estimate import (
    WORKER,
    MemoryEstimate,
    copies_bytes,
    held_bytes,
    matrices_bytes,
    step_bytes,
)
from polyclinic.training.network.lightning_module import UnifiedModule
from tests.hospital import SIMPLE, STUDY
from tests.little_training import few_trees


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


def estimate(**changed):
    sizes = {"examples": 2, "parameters": 3, "activations": 4, "matrices": 1, "classical": 5, "available": 8}
    return MemoryEstimate(**{name: size * MIB for name, size in (sizes | changed).items()})


def test_an_estimate_is_printed_with_its_parts():
    found = estimate()
    assert found.fits
    assert str(found) == (
        "8 MiB needed plus 2 MiB of examples "
        "(network 7: parameters 3, step 4; classical models 5; their matrices 1), 8 MiB free"
    )
    assert found.remedy.startswith("lower network.batch_size")
    found = estimate(classical=8)
    assert not found.fits
    assert "classical models" in found.remedy


def test_only_processes_for_which_there_is_memory_are_started():
    """Each needs its libraries and the largest fit; what they are fitted to is written once for all."""
    three = 1 + (1 + 2) + 3 * (WORKER // MIB + 7)
    for available, workers, note in (
        (three, 3, "; up to 3 processes)"),
        (three - 1, 2, "; up to 2 processes of 3, for want of memory)"),
        (8, 1, "; up to 1 process of 3, for want of memory)"),
    ):
        found = replace(estimate(available=available), jobs=3)
        assert found.workers == workers
        assert found.fits
        assert note in str(found)
    assert replace(estimate(available=three), jobs=3).needed == three * MIB


def test_members_fitted_on_other_machines_need_their_memory_there():
    found = replace(estimate(), jobs=3, on_nodes=True)
    assert found.needed == (1 + 1 + 2) * MIB, "the matrices, and what is sent: them and the examples"
    assert f"; for each task on the nodes {WORKER // MIB + 7})" in str(found)


@given(st.integers(0, 1 << 40), st.integers(1, 300), st.tuples(*[st.integers(0, 1 << 34)] * 5))
def test_as_many_processes_as_fit(available, jobs, sizes):
    found = MemoryEstimate(*sizes, available=available, jobs=jobs)
    fitting = [number for number in range(2, jobs + 1) if found.needed_by(number) <= available]
    assert found.workers == max([1, *fitting])


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
    copies, matrices = copies_bytes(designs, samples), matrices_bytes(designs, samples)
    assert f"parameters 0, step 0; classical models {copies // MIB}; their matrices {matrices // MIB})" in message
    assert matrices == sum(design.matrix(fitted.examples.arrays).nbytes for design in designs)
    sparse = fitted.examples.arrays["note"]["tfidf"]
    assert held_bytes(fitted.examples) > sparse.data.nbytes + sparse.indices.nbytes


def test_a_shared_design_is_counted_once():
    arrays = {"structured": {"raw": np.ones((10, 3)), "present": np.ones(10, dtype=bool)}}
    design, other = (Design.fit(arrays, {"structured": ["a", "b", "c"]}) for _ in range(2))
    assert matrices_bytes([design, design], 1000) == 1000 * 3 * 4
    assert matrices_bytes([design, other], 1000) == 1000 * 3 * 2 * 4
    assert copies_bytes([design, other], 1000) == 1000 * 3 * 32
    assert copies_bytes([], 1000) == matrices_bytes([], 1000) == 0


@pytest.mark.parametrize("method", ["logistic_regression", "decision_tree", "gradient_boosting"])
def test_fitting_a_model_uses_no_more_than_the_estimate(method, monkeypatch):
    few_trees(monkeypatch)
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
    estimated = matrices_bytes([design], samples) + copies_bytes([design], samples)
    assert matrix.nbytes < peak < 1.1 * estimated
    if method == "logistic_regression":
        assert peak > 0.75 * estimated

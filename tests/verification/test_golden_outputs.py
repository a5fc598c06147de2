"""Golden outputs are reproducible, and computing them has no side effects."""

import numpy as np
import pytest
import torch

from polyclinic import Bundle
from polyclinic.explain.sample import samples_of
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.files import sha256
from polyclinic.modalities import MODALITIES
from polyclinic.verification.golden_outputs import KEPT, SYNTHETIC_ID, events_of, golden_of, recomputed, versions
from polyclinic.verification.verify import compared
from tests.hospital import files_of


@pytest.fixture(scope="module")
def bundle(every_kind) -> Bundle:
    return every_kind.bundle()


def test_golden_outputs_hold_every_answer_and_one_explanation_per_task(bundle):
    parts = {part.what: part for part in bundle.golden.parts}
    for task in bundle.tasks:
        answers, output = parts[f"{task.name}: answer"].values, bundle.golden.explained[task.name]
        bins = bundle.ensemble.bins(task.name)
        assert len(answers) == (len(bins) if bins else len(task.outputs))
        assert answers[output] == max(answers.values())
        assert {name.split()[0] for name in parts[f"{task.name}: members"].values} >= {"network"}
        assert parts[f"{task.name}: attribution of {output}"].kind == "attribution"
    first = parts[f"{bundle.tasks[0].name}: attribution of yes"].values
    assert set(MODALITIES) <= first.keys()
    assert sum(name.startswith("picture row") for name in first) == KEPT
    assert sum(name.endswith(" ms") for name in first) == KEPT
    assert len(parts["latent, mean of the networks"].values) == 16
    assert bundle.golden.versions == versions()


def test_answers_equal_those_of_the_bundle(bundle, tmp_path):
    """Compared with `Bundle.answer`."""
    patient = bundle.golden.patient
    events = events_of(patient)
    contents = {sha256(content): content for content in patient.blobs.values()}
    for name in events["blob"].drop_nulls():
        (tmp_path / name).write_bytes(contents[name[:64]])
    given = bundle.answer(events, samples_of(SYNTHETIC_ID, patient.prediction_time), lambda blob: tmp_path / blob)
    parts = {part.what: part for part in bundle.golden.parts}
    for task in bundle.tasks:
        answers = list(parts[f"{task.name}: answer"].values.values())
        assert answers == pytest.approx(given[task.name].answers[0].tolist(), abs=1e-6)


def test_a_loaded_bundle_reproduces_them(bundle):
    again = {part.what: part for part in recomputed(bundle, bundle.golden)}
    assert all(compared(part, again[part.what]).same for part in bundle.golden.parts)
    assert set(again) == {part.what for part in bundle.golden.parts}


def test_the_number_of_threads_makes_no_difference_beyond_tolerance(bundle):
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3 - min(threads, 2))
        again = {part.what: part for part in recomputed(bundle, bundle.golden)}
    finally:
        torch.set_num_threads(threads)
    checks = [compared(part, again[part.what]) for part in bundle.golden.parts]
    assert [check for check in checks if not check.same] == []


def test_computing_them_draws_no_random_number_and_leaves_the_bundle_unchanged(bundle, every_kind, tmp_path):
    blobs = {name: getattr(one, "blobs", None) for name, one in bundle.features.featurizers.items()}
    before, drawn = torch.get_rng_state(), np.random.get_state()[1].tolist()
    golden_of(bundle)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.random.get_state()[1].tolist() == drawn
    assert {name: getattr(one, "blobs", None) for name, one in bundle.features.featurizers.items()} == blobs
    assert files_of(bundle.save(tmp_path)) == files_of(every_kind.folder)


def test_the_cache_is_not_used(every_kind, tmp_path):
    cache = EncoderCache(tmp_path / "cache")
    golden_of(Bundle.load(every_kind.folder, cache))
    assert cache.sizes() == []


def test_without_a_network_modalities_are_attributed(simple):
    parts = {part.what: part for part in simple.golden.parts}
    assert simple.golden.patient.blobs == {}
    assert "latent, mean of the networks" not in parts
    assert parts["demo_deterioration: attribution of yes"].values.keys() == {"structured", "note"}

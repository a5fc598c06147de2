"""The differentiable function from pixels, words and values to the logit agrees with the bundle."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from polyclinic.explain.inputs.baseline import BLURRED, ZERO, Baseline, training_means
from polyclinic.explain.inputs.logit_function import LogitFunction
from polyclinic.explain.sample import ExplanationError, Sample, output_of
from polyclinic.models import Batch
from polyclinic.models.bundle.bundle import BundleError
from polyclinic.models.ensemble.ensemble import NETWORK
from polyclinic.models.ensemble.link_functions import log_odds
from tests.explain.conftest import OTHER_ENCODERS, empty, without

TASK = "demo_deterioration"
HALF = 2e-3
"""Tolerance of a logit, for the 16-bit rounding of cached maps and sentences."""


def mean_logit(bundle, sample, output):
    """Return the mean logit of the networks for the featurizers' arrays."""
    read = {
        m: {name: sample.arrays[m][name] for name in (*names, "present")}
        for m, names in bundle.ensemble.networks[0].reads.items()
    }
    with torch.no_grad():
        logits = [network(Batch.from_arrays(read)).logits[output.task] for network in bundle.ensemble.networks]
    return float(torch.stack(logits).mean(dim=0)[0, output.place])


def ends_of(function):
    with torch.no_grad():
        return function(function.between(torch.tensor([0.0, 1.0]))).tolist()


@pytest.mark.parametrize("number", range(8))
def test_the_end_of_the_path_is_the_networks_logit(bundle, sample_of, number):
    sample, output = sample_of(bundle, number), output_of(bundle, TASK)
    function = LogitFunction(bundle.ensemble.networks, sample, output)
    assert tuple(function.inputs) == sample.present
    assert ends_of(function)[1] == pytest.approx(mean_logit(bundle, sample, output), abs=HALF)


def test_mean_logit_matches_the_bundles_answer(bundle, with_inputs):
    sample, output = with_inputs(), output_of(bundle, TASK)
    prediction = bundle.ensemble.answer(sample.arrays, every_member=True)[TASK].members[NETWORK].answers[0, 0]
    function = LogitFunction(bundle.ensemble.networks, sample, output)
    with torch.no_grad():
        end = function.between(torch.ones(1))
        batch = function.batch(end)
        predicted = (
            torch.cat([function.logit_of(network, end, batch) for network in function.networks]).sigmoid().mean()
        )
    assert float(log_odds(predicted.numpy())) == pytest.approx(float(log_odds(prediction)), abs=HALF)


@pytest.mark.parametrize("name", OTHER_ENCODERS)
def test_other_encoders_give_the_networks_logit(other_bundle, sample_of, with_inputs, name):
    other = other_bundle(name)
    number = with_inputs().subject_id
    sample = next(one for one in (sample_of(other, n) for n in range(24)) if one.subject_id == number)
    output = output_of(other, TASK)
    read = {m: dict(sample.arrays[m]) for m in sample.arrays}
    assert set(read) == set(other.inputs)
    start, end = ends_of(LogitFunction(other.ensemble.networks, sample, output))
    assert end == pytest.approx(mean_logit(other, sample, output), abs=HALF)
    assert abs(start - end) > 1e-4


def test_concurrent_predictions_are_unaffected(other_bundle, sample_of):
    other = other_bundle("words")
    sample, output = sample_of(other, 0), output_of(other, TASK)
    before, meanwhile = mean_logit(other, sample, output), []
    function = LogitFunction(other.ensemble.networks, sample, output)
    embedding = function.networks[0].encoder("note").embedding.word
    forward = embedding.forward
    embedding.forward = lambda codes: meanwhile.append(mean_logit(other, sample, output)) or forward(codes)
    assert ends_of(function)[0] != pytest.approx(before, abs=1e-4)
    assert meanwhile == [before]
    unhooked = other_bundle("sentences")
    function = LogitFunction(unhooked.ensemble.networks, sample_of(unhooked, 0), output_of(unhooked, TASK))
    assert function.networks is unhooked.ensemble.networks


def test_nothing_after_the_prediction_time_is_read(bundle, hospital, with_inputs):
    sample = with_inputs()
    events = hospital.subject(sample.subject_id)
    known = events.filter(pl.col("time").is_null() | (pl.col("time") <= sample.prediction_time))
    assert known.height < events.height
    cut = Sample.of(bundle, known, sample.subject_id, sample.prediction_time, hospital.blob)
    output = output_of(bundle, TASK)
    here, there = (LogitFunction(bundle.ensemble.networks, one, output) for one in (sample, cut))
    assert all(torch.equal(here.inputs[name].end, there.inputs[name].end) for name in here.inputs)
    assert ends_of(here) == ends_of(there)


def test_every_kind_of_task_has_its_logit(every_kind, sample_of):
    bundle = every_kind.bundle()
    sample = sample_of(bundle, 0)
    for task in bundle.tasks:
        for name in output_names(bundle, task):
            output = output_of(bundle, task.name, name)
            end = ends_of(LogitFunction(bundle.ensemble.networks, sample, output))[1]
            if task.kind == "regression":
                answered = bundle.ensemble.answer(sample.arrays, every_member=True)[task.name].members[NETWORK].answers
                assert end == pytest.approx(answered[0, output.place], rel=1e-3)
            else:
                assert end == pytest.approx(mean_logit(bundle, sample, output), abs=HALF)


def output_names(bundle, task):
    bins = bundle.ensemble.bins(task.name)
    return [f"by {end:g} {task.target.unit}" for end in bins] if bins else list(task.outputs)


def test_an_absent_modality_is_not_read(bundle, with_inputs):
    sample, output = with_inputs(), output_of(bundle, TASK)
    for modality in sample.present:
        fewer = without(sample, modality)
        function = LogitFunction(bundle.ensemble.networks, fewer, output)
        assert modality not in function.inputs
        assert ends_of(function)[1] == pytest.approx(mean_logit(bundle, fewer, output), abs=HALF)


def test_baselines_differ_only_at_the_start(bundle, hospital, with_inputs):
    sample, output = with_inputs(), output_of(bundle, TASK)
    means = training_means(bundle, hospital)
    functions = {
        one.name: LogitFunction(bundle.ensemble.networks, sample, output, one)
        for one in (ZERO, BLURRED, Baseline("mean", means))
    }
    zero, blurred, mean = (functions[name].inputs for name in ("zero", "blurred", "mean"))
    for modality in sample.present:
        torch.testing.assert_close(zero[modality].end, mean[modality].end, rtol=0, atol=0)
        assert not zero[modality].start.any()
        assert bool(blurred[modality].start.any()) == (modality == "image")
    assert 0 < float(blurred["image"].start.std()) < float(blurred["image"].end.std())
    assert float(blurred["image"].start.mean()) == pytest.approx(float(blurred["image"].end.mean()), abs=0.05)
    arrays = sample.arrays["structured"]
    assert mean["structured"].start.shape == (int(arrays["known"].sum()),)
    assert len({round(ends_of(function)[0], 5) for function in functions.values()}) == 3
    assert len({round(ends_of(function)[1], 5) for function in functions.values()}) == 1


def test_means_are_of_training_subjects(bundle, hospital):
    means = training_means(bundle, hospital)
    subjects = [s for split in bundle.origin["development"] for s in hospital.subjects_in(split)]
    place = bundle.features.names()["structured"].index("LAB//lactate//mmol/L last")
    held_out = set(hospital.subjects_in("held_out"))
    assert held_out.isdisjoint(subjects)
    assert torch.isfinite(means.structured).all()
    assert abs(float(means.structured[place])) < 2
    assert means.picture.shape == (224, 224)
    assert 0.05 < float(means.picture.mean()) < 0.95
    assert np.isfinite(means.piece.numpy()).all()


def test_errors_say_what_to_do(bundle, hospital, with_inputs, tmp_path):
    sample = with_inputs()
    with pytest.raises(BundleError, match="has no task 'sepsis': choose from demo_deterioration"):
        output_of(bundle, "sepsis")
    with pytest.raises(ExplanationError, match="has no output 'maybe': choose from yes"):
        output_of(bundle, TASK, "maybe")
    with pytest.raises(ExplanationError, match="nothing is known by the prediction time of structured, series"):
        LogitFunction(bundle.ensemble.networks, empty(sample), output_of(bundle, TASK))
    with pytest.raises(ExplanationError, match="unknown baseline 'noise'"):
        Baseline("noise")
    with pytest.raises(ExplanationError, match="needs training_means"):
        Baseline("mean")
    classical = replace(bundle, ensemble=replace(bundle.ensemble, networks=[]))
    with pytest.raises(ExplanationError, match="no network"):
        LogitFunction(classical.ensemble.networks, sample, output_of(bundle, TASK))
    foreign = replace(bundle, origin=bundle.origin | {"cohort": "another"})
    with pytest.raises(ExplanationError, match="not the cohort that the bundle was trained on"):
        training_means(foreign, hospital)


def test_a_task_of_several_outputs_needs_an_output_name(every_kind):
    with pytest.raises(ExplanationError, match="has several outputs: choose from"):
        output_of(every_kind.bundle(), "demo_diagnosis")

"""Integrated gradients are complete, agree with captum, and assign each score to its input."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients

from polyclinic.explain.inputs.baseline import BLURRED, ZERO, Baseline, training_means, usual_of
from polyclinic.explain.inputs.image import FeatureMapInput
from polyclinic.explain.inputs.logit_function import LogitFunction
from polyclinic.explain.methods.integrated_gradients import (
    FIRST_STEPS,
    METHOD,
    STEPS_MORE,
    TOLERANCE,
    integrate,
    integrated_gradients,
    integrated_gradients_of_each,
)
from polyclinic.explain.sample import ExplanationError, output_of, outputs_of
from polyclinic.features.image.preprocessing import canonical, read_image
from polyclinic.features.measurements import measure
from tests.explain.conftest import OTHER_ENCODERS, without

TASK = "demo_deterioration"


@pytest.fixture(scope="module")
def strongest(bundle, sample_of):
    """Return the sample with all inputs and the largest difference to explain."""
    found = {}
    for sample in (sample_of(bundle, number) for number in range(16)):
        if sample.present == bundle.inputs:
            function = LogitFunction(bundle.ensemble.networks, sample, output_of(bundle, TASK))
            with torch.no_grad():
                start, end = function(function.between(torch.tensor([0.0, 1.0]))).tolist()
            found[abs(end - start)] = sample
    return found[max(found)]


@pytest.fixture(scope="module")
def whole(bundle, strongest):
    return integrated_gradients(bundle, strongest, TASK, baseline=ZERO)


@pytest.fixture(scope="module")
def shown(bundle, strongest):
    """The displayed attribution, from the usual baseline."""
    return integrated_gradients(bundle, strongest, TASK)


def test_scores_of_all_modalities_sum_to_the_logit_difference(bundle, strongest, whole):
    sample = strongest
    complete = whole.completeness
    assert (whole.method, whole.baseline, whole.task, whole.output) == (METHOD, "zero", TASK, "yes")
    assert tuple(whole.by_modality) == sample.present == bundle.inputs
    assert complete.gap < TOLERANCE
    assert whole.total == pytest.approx(complete.total, rel=1e-5, abs=1e-6)
    assert whole.total - complete.difference == pytest.approx(complete.residual, abs=1e-6)
    assert abs(complete.residual) <= complete.unevenness
    function = LogitFunction(bundle.ensemble.networks, sample, output_of(bundle, TASK))
    with torch.no_grad():
        start, end = function(function.between(torch.tensor([0.0, 1.0]))).tolist()
    assert (complete.reference, complete.value) == pytest.approx((start, end), abs=1e-5)
    assert all(abs(score) > 0 for score in whole.by_modality.values())


@pytest.mark.parametrize("number", [0, 2])
@pytest.mark.parametrize("baseline", ["blurred", "mean"])
def test_scores_are_complete_for_every_baseline(bundle, hospital, sample_of, strongest, baseline, number):
    chosen = BLURRED if baseline == "blurred" else Baseline("mean", training_means(bundle, hospital))
    found = integrated_gradients(bundle, sample_of(bundle, number) if number else strongest, TASK, baseline=chosen)
    assert found.baseline == baseline
    assert found.completeness.gap < TOLERANCE


@pytest.mark.parametrize("name", OTHER_ENCODERS)
def test_scores_are_complete_for_other_encoders(other_bundle, sample_of, name):
    other = other_bundle(name)
    sample = next(one for one in (sample_of(other, n) for n in range(24)) if one.present == other.inputs)
    found = integrated_gradients(other, sample, TASK, most_steps=9)
    assert tuple(found.by_modality) == other.inputs
    assert all(found.by_modality.values())
    assert (found["note"].marks != 0) == (name == "sentences")
    fewer = integrated_gradients(other, without(sample, "image"), TASK)
    assert fewer.completeness.gap < TOLERANCE


def test_every_gradient_computed_is_used_and_no_more_than_allowed(bundle, with_inputs, monkeypatch):
    calls = []
    forward = LogitFunction.logits
    monkeypatch.setattr(
        LogitFunction, "logits", lambda self, points, *of: calls.append(points) or forward(self, points, *of)
    )
    found = integrated_gradients(bundle, with_inputs(), TASK, most_steps=20)
    assert sum(len(points["note"]) for points in calls) == found.completeness.steps <= 20
    capped = integrated_gradients(bundle, with_inputs(), TASK, tolerance=1e-9, most_steps=12)
    assert capped.completeness.steps == 12
    assert capped.completeness.gap > 1e-9


@pytest.fixture(scope="module")
def questions(every_kind, sample_of):
    """A bundle of several tasks, a sample with all inputs, and an output of each task."""
    several = every_kind.bundle()
    sample = next(one for one in (sample_of(several, n) for n in range(24)) if one.present == several.inputs)
    return several, sample, tuple(outputs_of(several, task.name)[0] for task in several.tasks)


def test_outputs_explained_together_are_as_complete_as_alone(questions):
    several, sample, outputs = questions
    assert len(outputs) > 3
    together = integrated_gradients_of_each(
        several.ensemble.networks, sample, outputs, usual_of(several.reference), tolerance=0.005
    )
    for output, found in zip(outputs, together, strict=True):
        alone = integrated_gradients(several, sample, *output[:2], tolerance=0.005)
        assert (found.task, found.output, found.baseline) == (output.task, output.name, alone.baseline)
        assert found.completeness.value == pytest.approx(alone.completeness.value, abs=1e-5)
        assert found.completeness.gap <= max(0.005, alone.completeness.gap)
        assert found.by_modality == pytest.approx(
            alone.by_modality, abs=0.02 * sum(map(abs, alone.by_modality.values()))
        )


def test_forward_passes_are_shared_and_backward_passes_are_per_output(questions, monkeypatch):
    several, sample, outputs = questions
    run, back = [], []
    batch, grad = LogitFunction.batch, torch.autograd.grad
    monkeypatch.setattr(
        LogitFunction, "batch", lambda self, points: run.append(len(points["note"])) or batch(self, points)
    )
    monkeypatch.setattr(
        torch.autograd, "grad", lambda of, *rest, **options: back.append(1) or grad(of, *rest, **options)
    )
    steps = [
        one.completeness.steps
        for one in integrated_gradients_of_each(several.ensemble.networks, sample, outputs, usual_of(several.reference))
    ]
    assert sum(run) == max(steps)
    rounds = {1 + (number - FIRST_STEPS + STEPS_MORE - 1) // STEPS_MORE for number in steps}
    assert len(back) == sum(1 + (number - FIRST_STEPS + STEPS_MORE - 1) // STEPS_MORE for number in steps)
    assert len(run) == max(rounds)


def test_agrees_with_captum_without_images_and_notes(bundle, with_inputs):
    sample = without(with_inputs(), "image", "note")
    function = LogitFunction(bundle.ensemble.networks, sample, output_of(bundle, TASK))
    ours = integrate(function, tolerance=1e-4)
    names = list(function.inputs)

    def forward(*points):
        return function(dict(zip(names, points, strict=True)))

    ends = tuple(function.inputs[name].end[None] for name in names)
    starts = tuple(function.inputs[name].start[None] for name in names)
    theirs = IntegratedGradients(forward).attribute(ends, starts, n_steps=128, method="gausslegendre")
    for name, scores in zip(names, theirs, strict=True):
        largest = float(scores.abs().max())
        torch.testing.assert_close(ours.scores[name], scores[0].to(ours.scores[name]), rtol=0, atol=0.02 * largest)


def test_agrees_with_captum_for_notes(bundle, with_inputs):
    sample = without(with_inputs(), "image", "structured", "series")
    function = LogitFunction(bundle.ensemble.networks, sample, output_of(bundle, TASK))
    ours = integrate(function, tolerance=2e-3).scores["note"]
    input_ = function.inputs["note"]
    theirs = IntegratedGradients(lambda x: function({"note": x})).attribute(
        input_.end[None], input_.start[None], n_steps=32, method="gausslegendre"
    )[0]
    assert float((ours - theirs).abs().max()) < 0.03 * float(theirs.abs().max())


def test_words_have_their_positions(bundle, strongest, whole):
    sample = strongest
    (layout,) = bundle.features.featurizers["note"].layouts(sample.known, sample.frame)
    for word in whole["note"].words:
        assert layout.notes[word.note].text[word.start : word.end] == word.text
        assert layout.notes[word.note].section == word.section
    assert [word.text.lower() for word in whole["note"].words] == [word.text for word in layout.words]
    sections = {section for section, _ in whole["note"].by_section}
    assert sections == {layout.section(word) for word in layout.words}


def test_a_negation_has_its_own_score(bundle, sample_of):
    found = [integrated_gradients(bundle, without(sample_of(bundle, n), "image"), TASK)["note"] for n in (0, 1, 3)]
    cues = [cue for note in found if note for cue in note.negations]
    assert {cue.text.lower() for cue in cues} & {"no", "not", "without", "denies"}
    assert all(cue.score != 0 for cue in cues)


def test_measurements_are_those_of_the_record(bundle, strongest, whole):
    sample, featurizer = strongest, bundle.features.featurizers["series"]
    events = measure(sample.known, sample.frame, featurizer.codes)
    recorded = sorted(
        (featurizer.codes[code], hours, value)
        for code, hours, value in zip(events.code.tolist(), events.hours.tolist(), events.value.tolist(), strict=True)
        if not np.isnan(hours)
    )
    assert sorted(one[:3] for one in whole["series"].measurements) == recorded
    hours = [one.hours for one in whole["series"].measurements]
    assert hours == sorted(hours, reverse=True)
    assert whole["series"].grid(6).scores.sum() == pytest.approx(whole["series"].total)


def test_bins_of_a_grid_have_their_code_and_value(other_bundle, sample_of):
    other = other_bundle("words")
    sample = next(one for one in (sample_of(other, n) for n in range(24)) if "series" in one.present)
    series = integrated_gradients(other, without(sample, "image"), TASK)["series"]
    fitted = other.features.featurizers["series"].fitted
    assert len(series.measurements) == int(sample.arrays["series"]["grid_mask"].sum())
    by_code = {
        code: (limits[0] - 1e-3, limits[1] + 1e-3) for code, limits in zip(fitted.codes, fitted.limits, strict=True)
    }
    assert all(by_code[one.code][0] <= one.value <= by_code[one.code][1] for one in series.measurements)
    assert all(one.hours % fitted.bin_hours == 0 for one in series.measurements)


def test_features_have_recorded_units_and_unknown_ones_no_score(bundle, sample_of):
    everyone = (sample_of(bundle, number) for number in range(24))
    sample = next(
        one for one in everyone if "structured" in one.present and not one.arrays["structured"]["known"][0].all()
    )
    found = integrated_gradients(bundle, without(sample, "image", "note"), TASK)["structured"]
    np.testing.assert_array_equal(found.values, sample.arrays["structured"]["raw"][0])
    assert list(found.names) == bundle.features.names()["structured"]
    unknown = ~sample.arrays["structured"]["known"][0]
    assert unknown.any()
    assert not found.scores[unknown].any()
    assert sum(one.score for one in found.by_code) == pytest.approx(found.total)


def test_images_have_their_own_maps_that_map_back_to_pixels(bundle, hospital, strongest, whole):
    sample = strongest
    assert [one.blob for one in whole.pictures] == [name for name in sample.arrays["image"]["blob"][0] if name]
    for one in whole.pictures:
        assert one.scores.dtype == np.float32
        assert one.scores.shape == (224, 224)
        assert one.view in bundle.features.featurizers["image"].views
        shown = canonical(read_image(hospital.blob(one.blob).read_bytes(), one.blob, 224))
        assert not one.scores[shown == 0].any()
        assert one.on_picture().shape == (one.canvas.height, one.canvas.width)


def test_displayed_scores_start_at_the_usual_map_and_are_complete(bundle, strongest, shown):
    complete = shown.completeness
    assert shown.baseline == "usual"
    assert tuple(shown.by_modality) == strongest.present
    assert complete.gap < TOLERANCE
    arrays = dict(strongest.arrays)
    tokens = np.broadcast_to(bundle.reference.usual_picture, np.asarray(arrays["image"]["tokens"]).shape)
    sample = replace(strongest, arrays=arrays | {"image": arrays["image"] | {"tokens": tokens}})
    function = LogitFunction(bundle.ensemble.networks, sample, output_of(bundle, TASK), usual_of(bundle.reference))
    with torch.no_grad():
        start, usual = function(function.between(torch.tensor([0.0, 1.0]))).tolist()
    assert complete.reference == pytest.approx(start, abs=1e-5)
    assert usual != pytest.approx(complete.value, abs=1e-4)  # the picture matters


def test_displayed_scores_of_words_start_at_their_usual_rates(bundle, strongest, whole, shown):
    usual, arrays = bundle.reference.usual_words, strongest.arrays["note"]
    input_ = LogitFunction(
        bundle.ensemble.networks, strongest, output_of(bundle, TASK), usual_of(bundle.reference)
    ).inputs["note"]
    there = arrays["words"][0] != 0
    rates = usual[arrays["word_denied"][0, there].astype(int), arrays["words"][0, there]]
    np.testing.assert_allclose(input_.start.numpy(), rates)
    common, rare = np.argmax(rates), np.argmin(rates)
    assert rates[common] > 0.5 > rates[rare]
    share = [abs(shown["note"].words[k].score) / abs(whole["note"].words[k].score) for k in (common, rare)]
    assert share[0] < 0.7 * share[1]  # what nearly every note says weighs less than from nothing


def test_agrees_with_captum_for_feature_maps(bundle, with_inputs):
    sample = without(with_inputs(), "note", "structured", "series")
    function = LogitFunction(bundle.ensemble.networks, sample, output_of(bundle, TASK), usual_of(bundle.reference))
    input_ = function.inputs["image"]
    assert isinstance(input_, FeatureMapInput)
    ours = integrate(function, tolerance=2e-3).scores["image"].sum(dim=2)
    theirs = (
        IntegratedGradients(lambda x: function({"image": x}))
        .attribute(input_.end[None], input_.start[None], n_steps=32, method="gausslegendre")[0]
        .sum(dim=2)
    )
    assert float((ours - theirs).abs().max()) < 0.03 * float(theirs.abs().max())


def test_the_scores_of_a_cell_are_on_its_pixels(bundle, strongest, shown):
    function = LogitFunction(bundle.ensemble.networks, strongest, output_of(bundle, TASK), usual_of(bundle.reference))
    cells = integrate(function).scores["image"].sum(dim=2)
    for one, of_picture in zip(shown.pictures, cells, strict=True):
        assert one.scores.shape == (224, 224)
        assert one.total == pytest.approx(float(of_picture.sum()), rel=1e-3, abs=1e-5)
        coarse = one.scores.reshape(14, 16, 14, 16).sum(axis=(1, 3)).ravel()
        assert np.corrcoef(coarse, of_picture)[0, 1] > 0.9


def test_a_bundle_without_a_usual_map_starts_at_a_black_image(bundle, with_inputs):
    unread = replace(bundle, reference=None)
    found = integrated_gradients(unread, without(with_inputs(), "note"), TASK, most_steps=9)
    assert found.baseline == "zero"
    with pytest.raises(ExplanationError, match="needs what is usual"):
        Baseline("usual")


def test_two_images_of_a_sample_are_distinguished(bundle, with_inputs):
    sample = with_inputs()
    one = {name: np.asarray(sample.arrays["image"][name])[:, :1] for name in ("blob", "view_code", "view_mask")}
    twice = {name: np.repeat(array, 2, axis=1) for name, array in one.items()}
    image = sample.arrays["image"] | twice
    both = replace(sample, arrays={**without(sample, "note", "series", "structured").arrays, "image": image})
    found = integrated_gradients(bundle, both, TASK, most_steps=9, baseline=ZERO)
    assert len(found.pictures) == 2
    np.testing.assert_allclose(found.pictures[0].scores, found.pictures[1].scores, atol=1e-4)
    assert found.total == pytest.approx(2 * found.pictures[0].total, rel=0.01)


def test_linear_models_and_unused_inputs_score_by_the_axioms(bundle, with_inputs):
    """For a linear function, each input scores its weight times its difference (dummy and linearity axioms)."""
    sample = without(with_inputs(), "image", "note", "series")
    function = LogitFunction(bundle.ensemble.networks, sample, output_of(bundle, TASK), ZERO)
    weights = torch.arange(function.inputs["structured"].end.numel()).float() % 3 - 1

    class Linear(LogitFunction):
        def logits(self, points, outputs):
            return [points["structured"] @ weights for _ in outputs]

    function.__class__ = Linear
    scores = integrate(function).scores["structured"]
    torch.testing.assert_close(
        scores, weights * (function.inputs["structured"].end - function.inputs["structured"].start)
    )

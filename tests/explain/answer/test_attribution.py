"""Laws of the attribution of the whole answer: complete for every kind of task and mix of members, and fair to each."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from polyclinic.explain.answer.attribution import attribute_answer
from polyclinic.explain.answer.baseline_row import baseline_row
from polyclinic.explain.inputs.baseline import usual_of
from polyclinic.explain.methods.integrated_gradients import TOLERANCE
from polyclinic.explain.sample import ExplanationError, Sample, outputs_of
from polyclinic.models.ensemble.calibration import Calibrator
from polyclinic.models.ensemble.ensemble import NETWORK
from polyclinic.models.ensemble.group_calibration import GroupCalibration
from polyclinic.models.ensemble.link_functions import log_odds
from tests.explain.conftest import CLASSICAL_TASKS as TASKS
from tests.explain.conftest import MEMBERS, empty, without

TASK = "demo_deterioration"
EXACT = 1e-3


def weighted(bundle, task, **weights):
    """Return the bundle with other weights of the members of a task, in every subset of the inputs."""
    own = bundle.ensemble.tasks[task]
    stackers = {
        subset: replace(one, weights={name: weights.get(name, 0.0) for name in one.weights})
        for subset, one in own.combination.stackers.items()
    }
    return changed(bundle, task, combination=replace(own.combination, stackers=stackers))


def calibrated(bundle, task, calibrator):
    """Return the bundle with another calibrator of a task."""
    return changed(bundle, task, calibrator=calibrator)


def changed(bundle, task, **parts):
    """Return the bundle with other parts of the ensemble of a task."""
    other = replace(bundle.ensemble.tasks[task], **parts)
    return replace(bundle, ensemble=replace(bundle.ensemble, tasks={**bundle.ensemble.tasks, task: other}))


def shown(bundle, sample, task, place):
    """Return the answer that is shown, on the scale of its explanation."""
    answer = bundle.ensemble.answer(sample.arrays)[task].answers[0, place]
    return float(answer) if bundle.task(task).kind == "regression" else float(log_odds(np.array(answer)))


def check(bundle, sample, task, tolerance):
    for output in outputs_of(bundle, task):
        found = attribute_answer(bundle, sample, task, output.name)
        complete = found.completeness
        assert complete.gap <= tolerance or abs(complete.residual) < 1e-4
        assert found.total == pytest.approx(complete.total, abs=1e-4)
        assert sum(found.members.values()) == pytest.approx(complete.total, abs=1e-4)
        assert complete.value == pytest.approx(shown(bundle, sample, task, output.place), abs=EXACT)
        assert set(found.by_modality) <= set(sample.present)


@pytest.mark.parametrize("task", TASKS)
def test_classical_answers_are_complete(classical, sample_of, task):
    for number in (0, 2, 5):
        check(classical, sample_of(classical, number), task, TOLERANCE)


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("task", TASKS)
def test_each_member_alone_is_complete(classical, sample_of, task, member):
    alone = weighted(classical, task, **{member: 1.0})
    check(alone, sample_of(classical, 2), task, TOLERANCE)
    assert set(attribute_answer(alone, sample_of(classical, 2), task, outputs_of(alone, task)[0].name).members) == {
        member
    }


def test_answers_of_networks_and_members_are_complete(bundle, sample_of):
    for number in (0, 2):
        check(bundle, sample_of(bundle, number), TASK, TOLERANCE)


@pytest.mark.parametrize("task", [*TASKS, "demo_survival"])
def test_answers_of_networks_to_every_kind_of_task_are_complete(every_kind, sample_of, task):
    loaded = every_kind.bundle()
    check(loaded, sample_of(loaded, 0), task, TOLERANCE)


@pytest.mark.parametrize("inputs", [("structured",), ("series",), ("note",), ("image",), ("structured", "note")])
def test_answers_from_some_inputs_are_complete(bundle, with_inputs, inputs):
    some = without(with_inputs(), *(set(bundle.inputs) - set(inputs)))
    assert set(some.present) == set(inputs)
    check(bundle, some, TASK, TOLERANCE)


@pytest.mark.parametrize("method", ["none", "platt", "isotonic"])
def test_calibration_scales_the_scores(bundle, sample_of, method):
    sample = sample_of(bundle, 2)
    plain = attribute_answer(calibrated(bundle, TASK, None), sample, TASK)
    steps = (((-20.0, -1.0, 0.0, 20.0), (-9.0, -2.0, 1.0, 8.0)),)
    calibrator = {
        "none": Calibrator("binary", "none"),
        "platt": Calibrator("binary", "platt", (0.7,), (0.2,)),
        "isotonic": Calibrator("binary", "isotonic", steps=steps),
    }[method]
    found = attribute_answer(calibrated(bundle, TASK, calibrator), sample, TASK)
    assert found.completeness.gap == pytest.approx(plain.completeness.gap, abs=1e-4)
    if method != "isotonic":
        slope = 0.7 if method == "platt" else 1.0
        np.testing.assert_allclose(found["structured"].scores, slope * plain["structured"].scores, rtol=1e-4, atol=1e-6)
    check(calibrated(bundle, TASK, calibrator), sample, TASK, TOLERANCE)


def test_calibration_by_group_moves_both_ends_alike(bundle, sample_of):
    sample = sample_of(bundle, 2)
    levels = {name: one for name, (one,) in bundle.ensemble.demographics.read(sample.arrays["structured"]).items()}
    assert set(levels) == {"age", "sex"}
    offsets = {"age": {levels["age"]: (0.5,)}, "sex": {levels["sex"]: (-0.2,)}}
    by_group = changed(bundle, TASK, group_calibration=GroupCalibration("binary", offsets))
    plain, found = attribute_answer(bundle, sample, TASK), attribute_answer(by_group, sample, TASK)
    assert found.completeness.value == pytest.approx(plain.completeness.value + 0.3, abs=1e-6)
    assert found.completeness.reference == pytest.approx(plain.completeness.reference + 0.3, abs=1e-6)
    np.testing.assert_allclose(found["structured"].scores, plain["structured"].scores, rtol=1e-4, atol=1e-6)
    check(by_group, sample, TASK, TOLERANCE)


def test_a_member_without_weight_changes_nothing(classical, sample_of):
    sample = sample_of(classical, 0)
    some = weighted(classical, TASK, logistic_regression=0.5, random_forest=0.5)
    own = some.ensemble.tasks[TASK]
    kept = {name: one for name, one in own.members.items() if name in ("logistic_regression", "random_forest")}
    fewer = replace(some, ensemble=replace(some.ensemble, tasks={TASK: replace(own, members=kept)}))
    one, other = attribute_answer(some, sample, TASK), attribute_answer(fewer, sample, TASK)
    assert set(one.members) == set(kept)
    assert one.members == pytest.approx(other.members)
    np.testing.assert_allclose(one["structured"].scores, other["structured"].scores, atol=1e-9)
    assert one.columns == other.columns


def test_each_member_has_its_part(classical, sample_of):
    """On the log-odds scale a member's part is the strength of the combination times its weight and its own change."""
    sample = without(sample_of(classical, 2), "note")
    weights = dict(zip(MEMBERS, (0.2, 0.1, 0.4, 0.3), strict=True))
    mixed = weighted(calibrated(classical, TASK, None), TASK, **weights)
    own = mixed.ensemble.tasks[TASK]
    strength = own.combination.stackers[("structured",)].strength
    assert abs(strength - 1) > 0.01
    found, baseline = attribute_answer(mixed, sample, TASK), usual_of(classical.reference)
    for name, weight in weights.items():
        design = own.members[name].design
        rows = np.stack([design.matrix(sample.arrays)[0], baseline_row(design, sample, baseline)])
        end, start = log_odds(own.members[name].model.predict_proba(rows))[:, 0]
        assert found.members[name] == pytest.approx(strength * weight * (end - start), rel=1e-3, abs=1e-5)


def test_networks_without_weight_contribute_nothing(bundle, sample_of):
    sample = sample_of(bundle, 0)
    names = [name for name in bundle.ensemble.tasks[TASK].members if ":" not in name]
    found = attribute_answer(weighted(bundle, TASK, **{names[0]: 1.0}), sample, TASK)
    assert found.members[NETWORK] == 0
    assert all(picture.total == 0 for picture in found.pictures)


def test_unknown_features_have_no_score(classical, sample_of):
    found = attribute_answer(classical, sample_of(classical, 0), TASK)["structured"]
    assert (found.scores[np.isnan(found.values)] == 0).all()
    assert (found.scores != 0).any()


def test_columns_are_named_by_their_modality(classical, with_inputs, bundle, sample_of):
    found = attribute_answer(classical, sample_of(classical, 0), TASK)
    assert {one.modality for one in found.columns} <= {"note"}
    whole = attribute_answer(bundle, with_inputs(), TASK)
    assert {one.modality for one in whole.columns} <= {"note", "image", "series"}
    for one in (*found.columns, *whole.columns):
        assert one.modality == "series" or one.name.startswith((one.modality, "sentence"))
    sizes = [abs(one.score) for one in whole.columns]
    assert sizes == sorted(sizes, reverse=True)


def test_future_events_have_no_effect(bundle, hospital, sample_of):
    sample = sample_of(bundle, 0)
    events = hospital.subject(sample.subject_id)
    later = events.filter(pl.col("numeric_value").is_finite(), pl.col("time").is_not_null()).tail(5)
    later = later.with_columns(
        time=pl.lit(sample.prediction_time).cast(events["time"].dtype) + pl.duration(hours=5),
        numeric_value=pl.lit(99.0, pl.Float32),
    )
    again = Sample.of(bundle, pl.concat([events, later]), sample.subject_id, sample.prediction_time, hospital.blob)
    one, other = attribute_answer(bundle, sample, TASK), attribute_answer(bundle, again, TASK)
    assert one.members == other.members
    np.testing.assert_array_equal(one["structured"].scores, other["structured"].scores)
    assert one.columns == other.columns


def test_nothing_known_is_not_explained(classical, sample_of):
    with pytest.raises(ExplanationError, match="nothing is known"):
        attribute_answer(classical, empty(sample_of(classical, 0)), TASK)

"""Laws of the attribution of the whole answer: complete for every kind of task and mix of members, and fair to each."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from polyclinic import Bundle, Study
from polyclinic.explain.answer.attribution import attribute_answer
from polyclinic.explain.methods.integrated_gradients import TOLERANCE
from polyclinic.explain.sample import ExplanationError, Sample, outputs_of
from polyclinic.models.ensemble.calibration import Calibrator
from polyclinic.models.ensemble.ensemble import NETWORK
from polyclinic.models.ensemble.link_functions import log_odds
from polyclinic.training.fit import fit_study
from tests.explain.conftest import empty, without

TASK = "demo_deterioration"
TASKS = ("demo_deterioration", "demo_diagnosis", "demo_findings", "demo_stay")
MEMBERS = ("logistic_regression", "decision_tree", "random_forest", "gradient_boosting")
EXACT = 1e-3


@pytest.fixture(scope="module")
def classical(hospital, cache, tmp_path_factory):
    """Every classical member for every kind of task, without a network."""
    study = Study(tasks=TASKS, inputs=("structured", "note"), network=None, folds=2, classical=MEMBERS)
    folder = fit_study(study, hospital, cache=cache).bundle.save(tmp_path_factory.mktemp("whole"))
    return Bundle.load(folder, cache)


def weighted(bundle, task, **weights):
    """Return the bundle with other weights of the members of a task, in every subset of the inputs.

    The strength is 1, so that no score is beyond those of the lowest and highest probability.
    """
    own = bundle.ensemble.tasks[task]
    stackers = {
        subset: replace(
            one,
            weights={name: weights.get(name, 0.0) for name in one.weights},
            strength=1.0,
            shift=(0.0,) * len(one.shift),
        )
        for subset, one in own.combination.stackers.items()
    }
    other = replace(own, combination=replace(own.combination, stackers=stackers))
    return replace(bundle, ensemble=replace(bundle.ensemble, tasks={**bundle.ensemble.tasks, task: other}))


def calibrated(bundle, task, calibrator):
    """Return the bundle with another calibrator of a task."""
    other = replace(bundle.ensemble.tasks[task], calibrator=calibrator)
    return replace(bundle, ensemble=replace(bundle.ensemble, tasks={**bundle.ensemble.tasks, task: other}))


def shown(bundle, sample, task, place):
    """Return the answer that is shown, on the scale of its explanation."""
    answer = bundle.ensemble.answer(sample.arrays)[task].answers[0, place]
    return float(answer) if bundle.task(task).kind == "regression" else float(log_odds(np.array(answer)))


def check(bundle, sample, task, tolerance, near):
    for output in outputs_of(bundle, task):
        found = attribute_answer(bundle, sample, task, output.name)
        complete = found.completeness
        assert complete.gap <= tolerance or abs(complete.residual) < 1e-4
        assert found.total == pytest.approx(complete.total, abs=1e-4)
        assert sum(found.members.values()) == pytest.approx(complete.total, abs=1e-4)
        assert complete.value == pytest.approx(shown(bundle, sample, task, output.place), abs=near)
        assert set(found.by_modality) <= set(sample.present)


@pytest.mark.parametrize("task", TASKS)
def test_classical_answers_are_complete(classical, sample_of, task):
    for number in (0, 2, 5):
        check(classical, sample_of(classical, number), task, 0.02, 1e-3)


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("task", TASKS)
def test_each_member_alone_is_complete(classical, sample_of, task, member):
    alone = weighted(classical, task, **{member: 1.0})
    check(alone, sample_of(classical, 2), task, 0.02, 1e-3)
    assert set(attribute_answer(alone, sample_of(classical, 2), task, outputs_of(alone, task)[0].name).members) == {
        member
    }


def test_answers_of_networks_and_members_are_complete(bundle, sample_of):
    for number in (0, 2):
        check(bundle, sample_of(bundle, number), TASK, TOLERANCE, 0.05)


@pytest.mark.parametrize("task", [*TASKS, "demo_survival"])
def test_answers_of_networks_to_every_kind_of_task_are_complete(every_kind, sample_of, task):
    loaded = every_kind.bundle()
    if task not in {one.name for one in loaded.tasks}:
        pytest.skip("the bundle does not answer the task")
    check(loaded, sample_of(loaded, 0), task, TOLERANCE, 0.05)


@pytest.mark.parametrize("inputs", [("structured",), ("series",), ("note",), ("image",), ("structured", "note")])
def test_answers_from_some_inputs_are_complete(bundle, sample_of, inputs):
    sample = sample_of(bundle, 0)
    some = without(sample, *(set(bundle.inputs) - set(inputs)))
    if some.present:
        check(bundle, some, TASK, TOLERANCE, 0.05)


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
    check(calibrated(bundle, TASK, calibrator), sample, TASK, TOLERANCE, 0.05)


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
    """On the log-odds scale a member's part is its weight times its own change: parts add up over members."""
    sample = sample_of(classical, 2)
    plain = calibrated(classical, TASK, None)
    alone = {name: attribute_answer(weighted(plain, TASK, **{name: 1.0}), sample, TASK) for name in MEMBERS}
    mixed = attribute_answer(
        weighted(plain, TASK, logistic_regression=0.2, decision_tree=0.1, random_forest=0.4, gradient_boosting=0.3),
        sample,
        TASK,
    )
    weights = dict(zip(MEMBERS, (0.2, 0.1, 0.4, 0.3), strict=True))
    for name in MEMBERS:
        assert mixed.members[name] == pytest.approx(weights[name] * alone[name].members[name], rel=1e-3, abs=1e-5)
    expected = sum(weights[name] * alone[name]["structured"].scores for name in MEMBERS)
    np.testing.assert_allclose(mixed["structured"].scores, expected, rtol=1e-3, atol=1e-5)


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

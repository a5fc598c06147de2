import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from polyclinic.models.ensemble.group_calibration import MIN_SUBJECTS, GroupCalibration, intercept

AGES = ("18–39", "40–64", "65–79", "80+")
SEXES = ("female", "male")


def simulated(n=8000, effects=None, seed=0, outputs=1):
    """Answers that are calibrated but for an effect of each level on the log-odds; groups, targets, subjects."""
    random = np.random.default_rng(seed)
    groups = {"age": random.choice(AGES, n).tolist(), "sex": random.choice(SEXES, n).tolist()}
    scores = random.normal(-1.5, 1.2, size=(n, outputs))
    effect = sum(np.array([(effects or {}).get(level, 0.0) for level in levels]) for levels in groups.values())
    targets = (random.random((n, outputs)) < expit(scores + effect[:, None])).astype(float)
    return expit(scores), groups, targets, np.arange(n)


def fitted(answers, groups, targets, subjects, kind="binary", folds=5):
    rows = [np.flatnonzero(subjects % folds == number) for number in range(folds)]
    return GroupCalibration.fit(kind, answers, groups, targets, np.ones(len(answers), dtype=bool), subjects, rows)


def intercepts(answers, groups, targets, grouping="age"):
    levels = np.array(groups[grouping])
    return {level: intercept(logit(answers[levels == level, 0]), targets[levels == level, 0]) for level in set(levels)}


def test_a_group_whose_risk_is_understated_is_calibrated():
    effects = {"80+": 0.7, "18–39": -0.6}
    calibration = fitted(*simulated(effects=effects))
    answers, groups, targets, _ = simulated(effects=effects, seed=1)
    before, after = intercepts(answers, groups, targets), intercepts(calibration(answers, groups), groups, targets)
    assert before["80+"] > 0.5
    assert before["18–39"] < -0.4
    assert all(abs(value) < 0.2 for value in after.values())


def test_figures_say_how_each_group_was_and_is():
    calibration = fitted(*simulated(effects={"80+": 0.7}))
    oldest = next(figures for figures in calibration.figures if figures.level == "80+")
    assert oldest.before > 0.5
    assert abs(oldest.after) < 0.2
    assert 0.4 < oldest.offset < 0.8
    assert {(figures.grouping, figures.level) for figures in calibration.figures} == {
        *(("age", level) for level in AGES),
        *(("sex", level) for level in SEXES),
    }


def test_groups_that_do_not_differ_hardly_get_an_offset():
    for seed in range(5):
        calibration = fitted(*simulated(seed=seed))
        offsets = [] if calibration is None else [one for own in calibration.offsets.values() for one in own.values()]
        assert all(abs(offset) < 0.12 for (offset,) in offsets)


@given(st.integers(0, 99), st.sampled_from(AGES), st.floats(-2, 2))
def test_offsets_are_shrunk_towards_none(seed, level, effect):
    answers, groups, targets, subjects = simulated(400, {level: effect}, seed)
    calibration = fitted(answers, groups, targets, subjects, folds=2)
    raw = intercepts(answers, groups, targets)
    for name, (offset,) in (calibration.offsets["age"] if calibration else {}).items():
        own = raw[name]
        assert abs(offset) <= abs(own) + abs(sum(abs(o[0]) for o in calibration.offsets["sex"].values())) + 1e-6


@pytest.mark.slow
@given(st.integers(0, 99), st.integers(0, MIN_SUBJECTS - 1))
def test_a_group_with_few_outcomes_gets_no_offset(seed, cases):
    answers, groups, targets, subjects = simulated(600, {"65–79": 1.0}, seed)
    oldest = np.flatnonzero(np.array(groups["age"]) == "80+")
    targets[oldest] = 0
    targets[oldest[:cases]] = 1
    calibration = fitted(answers, groups, targets, subjects, folds=2)
    assert calibration is None or calibration.offsets["age"]["80+"] == (0.0,)


def test_repeated_samples_of_one_subject_count_once():
    answers, groups, targets, subjects = simulated(300, {"80+": 0.7})
    times = 40
    repeated = fitted(
        np.repeat(answers, times, axis=0),
        {name: np.repeat(levels, times).tolist() for name, levels in groups.items()},
        np.repeat(targets, times, axis=0),
        np.repeat(subjects, times),
    )
    once = fitted(answers, groups, targets, subjects)
    assert (repeated is None) == (once is None)
    if once is not None:
        for name, levels in once.offsets.items():
            assert {level: one[0] for level, one in repeated.offsets[name].items()} == pytest.approx(
                {level: one[0] for level, one in levels.items()}, abs=1e-4
            )


def test_unknown_groups_leave_an_answer_as_it_is():
    calibration = fitted(*simulated(effects={"80+": 0.7}))
    answers = np.array([[0.1], [0.2], [0.3]])
    unknown = calibration(answers, {"age": [None, "never seen", "80+"], "sex": [None, None, None]})
    assert np.array_equal(unknown[:2], answers[:2])
    assert unknown[2, 0] > 0.3
    assert np.array_equal(calibration(answers, {}), answers)


def test_labels_are_calibrated_apart():
    random = np.random.default_rng(0)
    answers, groups, targets, subjects = simulated(outputs=2)
    old = np.array(groups["age"]) == "80+"
    targets[old, 1] = random.random(old.sum()) < expit(logit(answers[old, 1]) + 0.8)
    calibration = fitted(answers, groups, targets, subjects, kind="multilabel")
    first, second = calibration.offsets["age"]["80+"]
    assert abs(first) < 0.2
    assert second > 0.5


def test_other_kinds_and_unlabelled_samples_get_none():
    answers, groups, targets, subjects = simulated(200)
    assert fitted(answers, groups, targets, subjects, kind="regression") is None
    assert fitted(answers, {}, targets, subjects) is None
    nothing = np.zeros(200, dtype=bool)
    assert GroupCalibration.fit("binary", answers, groups, targets, nothing, subjects) is None


def test_unobserved_samples_have_no_influence():
    answers, groups, targets, subjects = simulated(effects={"80+": 0.7})
    observed = np.arange(len(answers)) % 3 > 0
    spoilt = np.where(observed[:, None], targets, np.nan)
    first, second = (
        GroupCalibration.fit("binary", answers, groups, given, observed, subjects) for given in (targets, spoilt)
    )
    assert first == second


def test_state_round_trips_through_json():
    calibration = fitted(*simulated(effects={"80+": 0.7}))
    again = GroupCalibration.from_state(json.loads(json.dumps(calibration.state())))
    assert again == calibration


def test_the_intercept_makes_the_mean_risk_that_observed():
    answers, _, targets, _ = simulated(500)
    shift = intercept(logit(answers[:, 0]), targets[:, 0])
    assert expit(logit(answers[:, 0]) + shift).mean() == pytest.approx(targets.mean())
    assert intercept(np.zeros(3), np.zeros(3)) is None

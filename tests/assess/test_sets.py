"""Conformal sets of one patient: content, calibration subjects, and abstention."""

from dataclasses import replace

import numpy as np
import pytest

from polyclinic.assess import assess
from polyclinic.evaluation.metrics.conformal import conformal_quantile, coverage_interval
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.bundle.development_reference import Conformity
from polyclinic.training.fit import fit_study
from tests.hospital import SIMPLE

TASK = "demo_deterioration"


def given(bundle, cache, scores, task=TASK, split=None):
    """Load the bundle with other conformity scores of a task."""
    loaded = Bundle.load(bundle.folder, cache)
    conformity = dict(loaded.reference.conformity) | {task: Conformity((np.array(scores),), split)}
    loaded.reference = replace(loaded.reference, conformity=conformity)
    return loaded


def test_a_set_contains_answers_up_to_the_quantile(simple, hospital, held_out):
    quantile = conformal_quantile(simple.reference.conformity[TASK].scores[0], 0.1)
    for subject in held_out[:5]:
        answer = assess(simple, hospital, subject, explain=False)[TASK]
        if answer.outputs:
            p, (one,) = answer.outputs[0].value, answer.sets
            expected = {name for name, fits in (("no", p <= quantile), ("yes", 1 - p <= quantile)) if fits}
            assert set(one.answers) == expected
            assert one.everything == (len(expected) == 2)


def test_sets_of_every_kind(every_kind, hospital, held_out):
    bundle = every_kind.bundle()
    found = assess(bundle, hospital, held_out[0], explain=False)
    assert found["demo_survival"].sets == (), "there are none of time to event"
    assert [one.output for one in found["demo_findings"].sets] == list(bundle.task("demo_findings").classes)
    (diagnosis,) = found["demo_diagnosis"].sets
    assert set(diagnosis.answers) <= set(bundle.task("demo_diagnosis").classes)
    (stay,) = found["demo_stay"].sets
    reach = conformal_quantile(bundle.reference.conformity["demo_stay"].scores[0], 0.1)
    value = found["demo_stay"].outputs[0].value
    assert (stay.low, stay.high) == pytest.approx((value - reach, value + reach))
    assert found["demo_stay"].unit == "days"


def test_sets_from_out_of_fold_scores_are_approximate(simple, hospital, held_out):
    (one,) = assess(simple, hospital, held_out[0])[TASK].sets
    assert one.approximate
    assert (one.split, one.coverage_low, one.coverage_high) == (None, None, None)


def test_sets_from_a_reserved_split_have_exact_coverage(hospital, held_out, cache):
    bundle = fit_study(SIMPLE.model_copy(update={"conformal": "tuning"}), hospital, cache=cache).bundle
    (one,) = assess(bundle, hospital, held_out[0])[TASK].sets
    assert not one.approximate
    assert one.split == "tuning"
    assert one.subjects == len(bundle.reference.conformity[TASK].scores[0])
    assert (one.coverage_low, one.coverage_high) == coverage_interval(one.subjects, 0.1)


def test_a_set_of_all_answers_abstains(simple, hospital, held_out, cache):
    answer = assess(given(simple, cache, [0.99] * 50), hospital, held_out[0])[TASK]
    assert answer.sets[0].everything
    assert [one.reason for one in answer.abstentions] == ["undecided"]
    assert answer.abstentions[0].text == "At 90 % confidence no answer can be ruled out."
    assert answer.outputs


def test_too_few_subjects_exclude_nothing_and_the_reason_is_given(simple, hospital, held_out, cache):
    (reason,) = assess(given(simple, cache, [0.1] * 5), hospital, held_out[0])[TASK].abstentions
    assert reason.text.endswith("(too few calibration subjects to exclude any).")


def test_an_empty_set_abstains(simple, hospital, held_out, cache):
    answer = assess(given(simple, cache, [0.0] * 50), hospital, held_out[0])[TASK]
    assert answer.sets[0].answers == ()
    assert [one.reason for one in answer.abstentions] == ["nothing_fits"]


def test_an_unbounded_interval_abstains(every_kind, hospital, held_out):
    bundle = given(every_kind.bundle(), every_kind.cache, [1.0] * 3, "demo_stay")
    answer = assess(bundle, hospital, held_out[0], explain=False)["demo_stay"]
    assert (answer.sets[0].low, answer.sets[0].high, answer.sets[0].everything) == (None, None, True)
    assert "undecided" in [one.reason for one in answer.abstentions]

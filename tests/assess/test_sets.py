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
    """Load the bundle with other conformity scores of a task: of each answer of its one set."""
    loaded = Bundle.load(bundle.folder, cache)
    conformity = dict(loaded.reference.conformity) | {
        task: Conformity((tuple(np.array(own) for own in scores),), split)
    }
    loaded.reference = replace(loaded.reference, conformity=conformity)
    return loaded


def test_a_set_contains_the_call_and_the_answers_up_to_their_quantile(simple, hospital, held_out):
    no, yes = (conformal_quantile(own, 0.1) for own in simple.reference.conformity[TASK].scores[0])
    for subject in held_out[:5]:
        answer = assess(simple, hospital, subject, explain=False)[TASK]
        if answer.outputs:
            p, (one,) = answer.outputs[0].value, answer.sets
            expected = {name for name, fits in (("no", p <= no), ("yes", 1 - p <= yes)) if fits}
            call = "yes" if answer.outputs[0].operating.positive else "no"
            assert set(one.answers) == expected | {call}
            assert one.everything == (len(expected) == 2)


def test_sets_of_every_kind(every_kind, hospital, held_out):
    bundle = every_kind.bundle()
    found = assess(bundle, hospital, held_out[0], explain=False)
    assert found["demo_survival"].sets == (), "there are none of time to event"
    assert [one.output for one in found["demo_findings"].sets] == list(bundle.task("demo_findings").classes)
    (diagnosis,) = found["demo_diagnosis"].sets
    assert set(diagnosis.answers) <= set(bundle.task("demo_diagnosis").classes)
    (stay,) = found["demo_stay"].sets
    reach = conformal_quantile(bundle.reference.conformity["demo_stay"].scores[0][0], 0.1)
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
    counts = [len(own) for own in bundle.reference.conformity[TASK].scores[0]]
    assert one.subjects == sum(counts)
    low, high = zip(*(coverage_interval(count, 0.1) for count in counts), strict=True)
    assert (one.coverage_low, one.coverage_high) == (min(low), max(high))


def test_a_set_of_both_answers_beside_a_call_is_no_reason_to_abstain(simple, hospital, held_out, cache):
    answer = assess(given(simple, cache, [[0.99] * 50] * 2), hospital, held_out[0])[TASK]
    assert answer.sets[0].answers == ("no", "yes")
    assert answer.sets[0].everything
    assert answer.outputs[0].operating is not None
    assert "undecided" not in [one.reason for one in answer.abstentions]


def test_a_class_with_too_few_subjects_is_never_excluded(simple, hospital, held_out, cache):
    (one,) = assess(given(simple, cache, [[0.0] * 50, [0.0] * 8]), hospital, held_out[0], explain=False)[TASK].sets
    assert one.never_excluded == ("yes",)
    assert "yes" in one.answers
    (one,) = assess(given(simple, cache, [[0.0] * 50, [0.0] * 9]), hospital, held_out[0], explain=False)[TASK].sets
    assert one.never_excluded == ()
    assert len(one.answers) == 1, "only the call is left"


def test_a_set_that_holds_every_class_abstains(every_kind, hospital, held_out):
    classes = len(every_kind.bundle().task("demo_diagnosis").classes)
    bundle = given(every_kind.bundle(), every_kind.cache, [[1.0] * 20] * classes, "demo_diagnosis")
    answer = assess(bundle, hospital, held_out[0], explain=False)["demo_diagnosis"]
    (reason,) = [one for one in answer.abstentions if one.reason == "undecided"]
    assert reason.text == "At 90 % confidence no answer can be excluded."
    bundle = given(every_kind.bundle(), every_kind.cache, [[0.1] * 5] * classes, "demo_diagnosis")
    answer = assess(bundle, hospital, held_out[0], explain=False)["demo_diagnosis"]
    (reason,) = [one for one in answer.abstentions if one.reason == "undecided"]
    assert reason.text.endswith("(too few calibration subjects to exclude any).")


def test_a_set_never_contradicts_the_call_or_the_most_probable_class(every_kind, hospital, held_out):
    classes = len(every_kind.bundle().task("demo_diagnosis").classes)
    bundle = given(every_kind.bundle(), every_kind.cache, [[0.0] * 50] * classes, "demo_diagnosis")
    for subject in held_out[:5]:
        found = assess(bundle, hospital, subject, explain=False)
        for answer in found.answers:
            called = [one.operating for one in answer.outputs if one.operating]
            for one, operating in zip(answer.sets, called, strict=bool(called)):
                assert ("yes" if operating.positive else "no") in one.answers
        if found["demo_diagnosis"].outputs:
            likely = max(found["demo_diagnosis"].outputs, key=lambda output: output.value)
            assert found["demo_diagnosis"].sets[0].answers == (likely.output,)


def test_an_unbounded_interval_abstains(every_kind, hospital, held_out):
    bundle = given(every_kind.bundle(), every_kind.cache, [[1.0] * 3], "demo_stay")
    answer = assess(bundle, hospital, held_out[0], explain=False)["demo_stay"]
    assert (answer.sets[0].low, answer.sets[0].high, answer.sets[0].everything) == (None, None, True)
    assert "undecided" in [one.reason for one in answer.abstentions]

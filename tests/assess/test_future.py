"""Events after the prediction time change nothing in an assessment except the cohort's fingerprint."""

from datetime import timedelta

import polars as pl
import pytest

from polyclinic.assess import assess
from tests.hospital import NOISE, ONE_OF_EACH, added, rewritten, spoiled, times_of

JUST_AFTER = timedelta(microseconds=1)


@pytest.fixture(scope="module")
def other_future(hospital, tmp_path_factory):
    """The same past; all outcomes changed, and events of every kind right after the prediction time and later."""
    prediction_times = times_of(hospital)

    def change(events):
        timed = events.join(prediction_times, on="subject_id", how="left", maintain_order="left")
        events = spoiled(timed, (pl.col("time") > pl.col("prediction_time")).fill_null(False)).drop("prediction_time")
        for shift in (JUST_AFTER, timedelta(days=1)):
            events = added(events, prediction_times, shift, list(ONE_OF_EACH))
        return events

    return rewritten(hospital, tmp_path_factory.mktemp("future"), change, NOISE)


def bits(assessment):
    """Return the JSON without the cohort's fingerprint and the similar patients, whose outcomes are later."""
    prints = assessment.fingerprints.model_copy(update={"cohort": ""})
    records = tuple(record.model_copy(update={"similar": ()}) for record in assessment.records)
    return assessment.model_copy(update={"fingerprints": prints, "records": records}).to_json()


@pytest.mark.parametrize("named", [False, True])
def test_later_events_change_nothing(named, every_kind, hospital, other_future, held_out, times):
    bundle = every_kind.bundle()
    for subject in held_out[:4]:
        at = times[subject] if named else None
        before, after = (assess(bundle, cohort, subject, at, explain=False) for cohort in (hospital, other_future))
        assert before.fingerprints.cohort != after.fingerprints.cohort
        assert bits(before) == bits(after)


def test_later_events_do_not_change_explanations(simple, hospital, other_future, held_out):
    before, after = (assess(simple, cohort, held_out[0]) for cohort in (hospital, other_future))
    assert before["demo_deterioration"].explanation is not None
    assert bits(before) == bits(after)


def test_events_just_before_a_later_time_change_the_answers(every_kind, hospital, other_future, held_out, times):
    bundle, later = every_kind.bundle(), times[held_out[0]] + JUST_AFTER
    before, after = (assess(bundle, cohort, held_out[0], later, explain=False) for cohort in (hospital, other_future))
    assert before.records[0].digest != after.records[0].digest
    assert before["demo_deterioration"].outputs != after["demo_deterioration"].outputs

"""One patient is answered from events in memory as from the cohort, and work that members share is done once."""

import numpy as np
import polars as pl
import pytest

from hospital import times_of
from polyclinic.models.ensemble import FEW, Shown
from polyclinic.tasks import number_samples


@pytest.fixture(scope="module")
def bundle(every_kind):
    return every_kind.bundle()


@pytest.fixture(scope="module")
def samples(hospital):
    return number_samples(times_of(hospital))


@pytest.fixture(scope="module")
def everyone(bundle, hospital, samples):
    return bundle.ensemble.answer(bundle.arrays(hospital, samples))


@pytest.mark.parametrize("number", [1, 3, FEW + 1])
def test_few_patients_from_events_in_memory_are_answered_as_all_from_the_cohort(
    bundle, hospital, samples, everyone, number
):
    few = samples[:number]
    events = pl.concat([hospital.subject(subject) for subject in few["subject_id"]])
    said = bundle.answer(events, few, hospital.blob)
    assert said.keys() == everyone.keys()
    for task, answers in said.items():
        np.testing.assert_allclose(answers.answers, everyone[task].answers[:number], rtol=1e-4, atol=1e-6)


def test_later_events_and_outcomes_in_memory_change_no_bit(bundle, hospital, samples):
    one = samples[:1]
    events = hospital.subject(one["subject_id"][0])
    known = events.filter(
        (pl.col("time").is_null() | (pl.col("time") <= one["prediction_time"][0]))
        & ~pl.col("code").str.starts_with("OUTCOME//")
    )
    assert known.height < events.height
    here, there = (bundle.answer(some, one, hospital.blob) for some in (events, known))
    assert all(here[task].answers.tobytes() == there[task].answers.tobytes() for task in here)


def test_a_design_that_several_members_share_is_kept_once_and_shown_once(bundle, hospital, samples):
    members = [member for task in bundle.ensemble.tasks.values() for member in task.members.values()]
    assert len({id(member.design) for member in members}) == len(bundle.ensemble.designs) < len(members)
    shown = Shown(bundle.arrays(hospital, samples[:1]))
    assert all(shown[member.design] is shown[member.design] for member in members)

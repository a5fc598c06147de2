"""One patient is answered from events in memory as from the cohort, and work that members share is done once."""

import numpy as np
import polars as pl
import pytest

from polyclinic.models.bundle.predictions import COLUMNS, with_inputs
from polyclinic.models.ensemble.members import DesignCache
from polyclinic.models.ensemble.network_outputs import FEW
from polyclinic.tasks import label, number_samples
from tests.hospital import times_of


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
    shown = DesignCache(bundle.arrays(hospital, samples[:1]))
    assert all(shown[member.design] is shown[member.design] for member in members)


def test_each_row_names_the_inputs_that_its_answer_rests_on(bundle, hospital, samples):
    arrays = bundle.arrays(hospital, samples)
    expected = [
        " + ".join(modality for modality in bundle.inputs if arrays[modality]["present"][row])
        for row in range(samples.height)
    ]
    named = with_inputs(samples, arrays)
    assert named["inputs"].to_list() == expected
    assert named["inputs"].n_unique() > 1
    absent = {modality: {"present": np.zeros(samples.height, dtype=bool)} for modality in arrays}
    assert set(with_inputs(samples, absent)["inputs"]) == {"none"}
    predictions = bundle.predict(hospital)
    assert dict(predictions.frame.schema) == COLUMNS
    told = predictions.frame.select("subject_id", "prediction_time", "inputs").unique()
    assert told.sort("subject_id").equals(named.select(told.columns).sort("subject_id"))
    assert (predictions.asked, predictions.without_input) == (samples.height, 0)


MEDS_EVALUATION = {
    "subject_id": pl.Int64(),
    "prediction_time": pl.Datetime("us"),
    "boolean_value": pl.Boolean(),
    "predicted_boolean_value": pl.Boolean(),
    "predicted_boolean_probability": pl.Float64(),
}
"""What the evaluation tools of MEDS read of binary predictions; other columns they leave alone."""


def test_beside_the_labels_they_are_what_the_evaluation_tools_of_meds_read(bundle, hospital):
    task = bundle.task("demo_deterioration")
    labels = label(hospital, task).frame.select("subject_id", "prediction_time", "boolean_value")
    predicted = bundle.predict(hospital, tasks=[task.name]).frame
    joined = predicted.join(labels, on=["subject_id", "prediction_time"])
    assert joined.height == labels.height
    read = joined.select(list(MEDS_EVALUATION))
    assert dict(read.schema) == MEDS_EVALUATION
    assert read.null_count().row(0) == (0,) * len(MEDS_EVALUATION)

"""Predictions from events in memory equal those from the cohort, and shared designs are computed once."""

import numpy as np
import polars as pl
import pytest

from polyclinic.models.bundle.predictions import COLUMNS, with_inputs
from polyclinic.models.ensemble.members import DesignCache
from polyclinic.models.ensemble.network_outputs import MAX_STACKED_ROWS
from polyclinic.tasks import label, number_samples
from tests.hospital import times_of


@pytest.fixture(scope="module")
def bundle(every_kind):
    return every_kind.bundle()


@pytest.fixture(scope="module")
def samples(hospital):
    return number_samples(times_of(hospital))


@pytest.fixture(scope="module")
def all_predictions(bundle, hospital, samples):
    return bundle.ensemble.answer(bundle.arrays(hospital, samples))


@pytest.mark.parametrize("number", [1, 3, MAX_STACKED_ROWS + 1])
def test_predictions_from_events_in_memory_equal_those_from_the_cohort(
    bundle, hospital, samples, all_predictions, number
):
    few = samples[:number]
    events = pl.concat([hospital.subject(subject) for subject in few["subject_id"]])
    predictions = bundle.answer(events, few, hospital.blob)
    assert predictions.keys() == all_predictions.keys()
    for task, answers in predictions.items():
        np.testing.assert_allclose(answers.answers, all_predictions[task].answers[:number], rtol=1e-4, atol=1e-6)


def test_later_events_and_outcomes_in_memory_have_no_influence(bundle, hospital, samples):
    sample = samples[:1]
    events = hospital.subject(sample["subject_id"][0])
    known = events.filter(
        (pl.col("time").is_null() | (pl.col("time") <= sample["prediction_time"][0]))
        & ~pl.col("code").str.starts_with("OUTCOME//")
    )
    assert known.height < events.height
    first, second = (bundle.answer(record, sample, hospital.blob) for record in (events, known))
    assert all(first[task].answers.tobytes() == second[task].answers.tobytes() for task in first)


def test_shared_designs_are_stored_and_computed_once(bundle, hospital, samples):
    members = [member for task in bundle.ensemble.tasks.values() for member in task.members.values()]
    assert len({id(member.design) for member in members}) == len(bundle.ensemble.designs) < len(members)
    designs = DesignCache(bundle.arrays(hospital, samples[:1]))
    assert all(designs[member.design] is designs[member.design] for member in members)


def test_each_row_names_its_inputs(bundle, hospital, samples):
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
    reported = predictions.frame.select("subject_id", "prediction_time", "inputs").unique()
    assert reported.sort("subject_id").equals(named.select(reported.columns).sort("subject_id"))
    assert (predictions.samples, predictions.without_input) == (samples.height, 0)


MEDS_EVALUATION = {
    "subject_id": pl.Int64(),
    "prediction_time": pl.Datetime("us"),
    "boolean_value": pl.Boolean(),
    "predicted_boolean_value": pl.Boolean(),
    "predicted_boolean_probability": pl.Float64(),
}
"""Columns of binary predictions used by MEDS' evaluation tools."""


def test_predictions_with_labels_suit_meds_evaluation_tools(bundle, hospital):
    task = bundle.task("demo_deterioration")
    labels = label(hospital, task).frame.select("subject_id", "prediction_time", "boolean_value")
    predicted = bundle.predict(hospital, tasks=[task.name]).frame
    joined = predicted.join(labels, on=["subject_id", "prediction_time"])
    assert joined.height == labels.height
    read = joined.select(list(MEDS_EVALUATION))
    assert dict(read.schema) == MEDS_EVALUATION
    assert read.null_count().row(0) == (0,) * len(MEDS_EVALUATION)

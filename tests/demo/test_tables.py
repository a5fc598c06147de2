import numpy as np
import polars as pl
import pytest

from polyclinic.demo.patients import FINDINGS, FIRST_OUTCOME_HOUR
from polyclinic.demo.tables import demographics, outcomes, treatments


@pytest.fixture(scope="module")
def patients(many):
    return many[0]


@pytest.fixture(scope="module")
def rows(patients):
    found = outcomes(patients).join(patients.frame(), left_on="patient_id", right_on="patient")
    return found.with_columns(hour=(pl.col("time") - pl.col("admitted")).dt.total_minutes() / 60)


def test_outcomes_follow_the_observed_hours(rows):
    assert rows["hour"].min() >= FIRST_OUTCOME_HOUR - 1 / 60


def test_outcomes_equal_the_truth(rows):
    for finding in FINDINGS:
        of = rows.filter(pl.col("outcome") == finding)
        assert ((of["value"] == "1") == of[f"has_{finding}"]).all()
    deterioration = rows.filter(pl.col("outcome") == "deterioration")
    assert ((deterioration["value"] == "1") == deterioration["deteriorated"]).all()
    diagnosis = rows.filter(pl.col("outcome") == "diagnosis")
    assert (diagnosis["value"] == diagnosis["condition"]).all()


def test_deterioration_is_within_seven_days_or_unknown(rows, patients):
    deterioration = rows.filter(pl.col("outcome") == "deterioration")
    assert deterioration["hour"].max() <= 48 + 7 * 24
    assert deterioration.height == patients.outcomes.known.sum() < len(patients)


def test_patients_die_or_are_censored_after_discharge(rows):
    ends = rows.filter(pl.col("outcome").is_in(["death", "end_of_follow_up"])).select("patient_id", end="hour")
    assert ends["patient_id"].n_unique() == ends.height == 256
    discharges = rows.filter(pl.col("outcome") == "length_of_stay").join(ends, on="patient_id", validate="1:1")
    assert discharges.height == 256
    assert (discharges["hour"] <= discharges["end"]).all()


def test_patients_without_structured_data_are_not_in_the_tables(patients):
    without = set(patients.people.patient[~patients.care.has_structured].tolist())
    assert without
    assert not without & set(demographics(np.random.default_rng(0), patients)["patient_id"])
    assert not without & set(treatments(patients)["patient_id"])

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


def test_outcomes_come_strictly_after_what_was_observed(rows):
    assert rows["hour"].min() >= FIRST_OUTCOME_HOUR - 1 / 60


def test_outcomes_say_the_truth(rows):
    for finding in FINDINGS:
        of = rows.filter(pl.col("outcome") == finding)
        assert ((of["value"] == "1") == of[f"has_{finding}"]).all()
    worse = rows.filter(pl.col("outcome") == "deterioration")
    assert ((worse["value"] == "1") == worse["deteriorated"]).all()
    diagnosis = rows.filter(pl.col("outcome") == "diagnosis")
    assert (diagnosis["value"] == diagnosis["condition"]).all()


def test_deterioration_falls_within_seven_days_and_is_unknown_where_not_followed_up(rows, patients):
    worse = rows.filter(pl.col("outcome") == "deterioration")
    assert worse["hour"].max() <= 48 + 7 * 24
    assert worse.height == patients.outcomes.known.sum() < len(patients)


def test_everyone_either_died_or_was_censored_after_discharge(rows):
    ends = rows.filter(pl.col("outcome").is_in(["death", "end_of_follow_up"])).select("patient_id", end="hour")
    assert ends["patient_id"].n_unique() == ends.height == 256
    discharges = rows.filter(pl.col("outcome") == "length_of_stay").join(ends, on="patient_id", validate="1:1")
    assert discharges.height == 256
    assert (discharges["hour"] <= discharges["end"]).all()


def test_who_has_no_tables_has_none(patients):
    without = set(patients.people.patient[~patients.care.has_structured].tolist())
    assert without
    assert not without & set(demographics(np.random.default_rng(0), patients)["patient_id"])
    assert not without & set(treatments(patients)["patient_id"])

"""Subgroups of an evaluation."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from polyclinic.cohort import NOMINAL_ORIGIN, POLARS_EVENTS, Cohort, CohortWriter
from polyclinic.training.evaluation.subgroups import ages_at, subgroups
from tests.hospital import rewritten, times_of

PREDICTION_TIME = datetime(2015, 6, 1)
LAB, AGE, BIRTH = "LAB//sodium//mmol/L", "DEMOGRAPHIC//age//years", "MEDS_BIRTH"


@pytest.fixture
def ages(tmp_path):
    """Ages at a time, of subjects with the events (subject, time, code, number)."""

    def of(rows, at=PREDICTION_TIME):
        columns = ("subject_id", "time", "code", "numeric_value")
        events = pl.DataFrame(rows, {name: POLARS_EVENTS[name] for name in columns}, orient="row")
        empty = {name: pl.lit(None, dtype) for name, dtype in POLARS_EVENTS.items() if name not in columns}
        with CohortWriter(tmp_path, source="test") as writer:
            writer.add(events.with_columns(**empty).select(list(POLARS_EVENTS)))
        cohort = Cohort.open(tmp_path)
        subjects = events["subject_id"].unique().sort()
        frame = pl.DataFrame({"subject_id": subjects, "prediction_time": [at] * len(subjects)})
        return ages_at(cohort, frame.with_row_index("sample").cast({"prediction_time": pl.Datetime("us")}))

    return of


def test_ages_without_a_record_are_computed_from_birth(ages):
    found = ages(
        [
            (1, datetime(1950, 6, 1), BIRTH, None),
            (1, datetime(2015, 5, 1), LAB, 140),
            (2, datetime(1980, 1, 1), BIRTH, None),
            (2, datetime(2015, 5, 1), AGE, 36),
            (3, datetime(2015, 5, 1), LAB, 140),
            (4, PREDICTION_TIME + timedelta(days=9), BIRTH, None),
            (4, datetime(2015, 5, 1), LAB, 140),
            (5, None, BIRTH, None),
            (5, datetime(2015, 5, 1), LAB, 140),
        ]
    )
    assert found == [65, 36, None, None, None]


def test_ages_are_converted_to_years(ages):
    codes = {"age": 40, "Age//Years": 40, "age//yrs": 40, "age//months": 480, "age//d": 40 * 365.25, "age//furlongs": 3}
    rows = [(subject, None, f"DEMOGRAPHIC//{code}", value) for subject, (code, value) in enumerate(codes.items(), 1)]
    assert ages(rows) == [*[pytest.approx(40)] * 5, None]


def test_ages_increase_on_the_birthday(ages):
    births = {1: datetime(1997, 6, 1), 2: datetime(1997, 6, 3), 3: datetime(1975, 5, 31)}
    found = ages([(subject, birth, BIRTH, None) for subject, birth in births.items()])
    assert [int(age) for age in found] == [18, 17, 40]


def test_nominal_times_give_no_age_from_birth(ages):
    hours = [
        (subject, NOMINAL_ORIGIN + timedelta(hours=hour), LAB, 140) for subject in (1, 2, 3) for hour in (subject, 30)
    ]
    births = [(subject, datetime(1950, 6, 1), BIRTH, None) for subject in (1, 2, 3)]
    recorded = [(1, NOMINAL_ORIGIN, AGE, 71)]
    assert ages(hours + births + recorded, NOMINAL_ORIGIN + timedelta(hours=24)) == [71, None, None]


def test_age_bands_are_the_same_from_birth_as_from_age(hospital, tmp_path):
    age = pl.col("code").str.starts_with("DEMOGRAPHIC//age")
    lived = pl.duration(days=(pl.col("numeric_value") * 365.25 + 30).cast(pl.Int64))
    born = rewritten(
        hospital,
        tmp_path,
        lambda events: events.with_columns(
            time=pl.when(age).then(pl.col("time").min().over("subject_id") - lived).otherwise("time"),
            code=pl.when(age).then(pl.lit(BIRTH)).otherwise("code"),
            numeric_value=pl.when(age).then(None).otherwise("numeric_value"),
        ),
    )
    frame = times_of(hospital).with_row_index("sample")
    arrays = {"structured": {"present": np.ones(frame.height, dtype=bool)}}
    bands = subgroups(born, frame, arrays)["age"]
    assert bands == subgroups(hospital, frame, arrays)["age"]
    assert len(set(bands)) > 3

import numpy as np
import polars as pl
import pytest

from polyclinic.demo.labs_and_vitals import LABS, OTHER_UNITS, VITALS, draw_labs, draw_vitals
from polyclinic.demo.patients import OBSERVED_HOURS


@pytest.fixture(scope="module")
def labs(many):
    return pl.concat([draw_labs(np.random.default_rng(i), patients) for i, patients in enumerate(many[:12])])


@pytest.fixture(scope="module")
def vitals(many):
    return pl.concat([draw_vitals(np.random.default_rng(i), patients) for i, patients in enumerate(many[:12])])


@pytest.fixture(scope="module")
def people(many):
    return pl.concat([patients.frame() for patients in many[:12]])


def joined(table, people):
    table = table.join(people, left_on="patient_id", right_on="patient")
    return table.with_columns(hour=(pl.col("taken_at") - pl.col("admitted")).dt.total_minutes() / 60)


@pytest.mark.parametrize("name", ["labs", "vitals"])
def test_rows_are_within_the_observed_hours(name, people, request):
    table = joined(request.getfixturevalue(name), people)
    assert table["hour"].is_between(0, OBSERVED_HOURS).all()
    assert table["has_structured" if name == "labs" else "has_series"].all()
    assert table.group_by("patient_id").agg(pl.col("hour").min())["hour"].max() < 4


def test_values_are_plausible(labs, vitals):
    assert set(LABS) <= set(labs.columns)
    assert set(VITALS) <= set(vitals.columns)
    assert labs["potassium"].drop_nulls().is_between(2, 8).all()
    assert vitals["spo2"].drop_nulls().is_between(70, 100).all()
    celsius = vitals.filter(pl.col("temperature_unit") == "degC")["temperature"].drop_nulls()
    assert celsius.is_between(34, 42).all()


@pytest.mark.parametrize("name", list(OTHER_UNITS))
def test_other_units_are_consistent(labs, name):
    other, factor = OTHER_UNITS[name]
    groups = labs.group_by(pl.col(f"{name}_unit") == other).agg(pl.col(name).median()).sort(f"{name}_unit")
    assert groups[name][1] / factor == pytest.approx(groups[name][0], rel=0.08)


def test_lactate_reflects_perfusion_and_trends_the_course(labs, vitals, people):
    blood = joined(labs.filter(pl.col("lactate_unit") == "mmol/L"), people)
    blood = blood.group_by("patient_id").agg(pl.col("lactate").log().mean(), pl.col("perfusion").first()).drop_nulls()
    assert blood.select(pl.corr("lactate", "perfusion")).item() > 0.8
    breaths = joined(vitals, people).drop_nulls("respiratory_rate").group_by("patient_id")
    trend = breaths.agg(
        slope=pl.cov("respiratory_rate", "hour") / pl.col("hour").var(), course=pl.col("course").first()
    )
    assert trend.select(pl.corr("slope", "course")).item() > 0.8
    start = joined(vitals, people).filter(pl.col("hour") < 6).group_by("patient_id")
    start = start.agg(pl.col("respiratory_rate").mean(), pl.col("course").first()).drop_nulls()
    assert start.select(pl.corr("respiratory_rate", "course")).item() < 0.25  # not yet visible at the start


def test_severity_increases_the_number_of_measurements(labs, vitals, people):
    for table in (labs, vitals):
        counts = table.group_by("patient_id").len().join(people, left_on="patient_id", right_on="patient")
        assert counts.select(pl.corr("len", "severity")).item() > 0.3


def test_blood_gases_are_missing_more_often_in_the_less_ill(labs, people):
    missing = (
        joined(labs, people).group_by(pl.col("severity") > 0).agg(pl.col("lactate").is_null().mean()).sort("severity")
    )
    assert missing["lactate"][0] > missing["lactate"][1] + 0.1

"""The demo ingested: nothing is rejected, and the cohort agrees with the truth."""

import numpy as np
import polars as pl
import pytest
from PIL import Image

from polyclinic.cohort import Cohort
from polyclinic.demo.radiographs import planned_radiographs
from polyclinic.ingest import ingest
from tests.demo.conftest import SEED


@pytest.fixture(scope="module")
def reports(demo, tmp_path_factory):
    into = tmp_path_factory.mktemp("cohort") / "cohort"
    return into, [ingest(step.reader, step.path, into, mapping=step.mapping) for step in demo.steps]


@pytest.fixture(scope="module")
def cohort(reports):
    return Cohort.open(reports[0])


@pytest.fixture(scope="module")
def patients(demo):
    return pl.read_parquet(demo.truth / "patients.parquet")


def test_nothing_is_rejected(reports):
    assert [report.rejects for report in reports[1]] == [{}] * 8


def test_modalities_are_those_of_the_truth(cohort, patients):
    kinds = {"has_structured": "DEMOGRAPHIC", "has_series": "VITAL", "has_note": "NOTE", "has_image": "IMAGE"}
    events = cohort.events().with_columns(kind=pl.col("code").cast(pl.String).str.split("//").list.first()).collect()
    for flag, kind in kinds.items():
        assert set(events.filter(pl.col("kind") == kind)["subject_id"]) == set(patients.filter(flag)["patient"])
    assert set(events.filter(pl.col("kind") == "OUTCOME")["subject_id"]) == set(patients["patient"])


def test_inputs_are_within_48_hours_and_outcomes_after(cohort):
    events = (
        cohort.events()
        .drop_nulls("time")
        .with_columns(outcome=pl.col("code").cast(pl.String).str.starts_with("OUTCOME//"))
    )
    first = (
        events.filter(~pl.col("outcome"))
        .group_by("subject_id")
        .agg(prediction_time=pl.col("time").min() + pl.duration(hours=48))
    )
    late = events.join(first, on="subject_id").with_columns(late=pl.col("time") > pl.col("prediction_time")).collect()
    assert (late["late"] == late["outcome"]).all()


def test_units_are_converted(cohort):
    lactate = cohort.events().filter(pl.col("code") == "LAB//lactate//mmol/L").collect()["numeric_value"]
    temperature = cohort.events().filter(pl.col("code") == "VITAL//temperature//degC").collect()["numeric_value"]
    assert lactate.is_between(0.2, 9).all()
    assert temperature.is_between(34, 42).all()


def test_images_equal_the_rendered_radiographs(cohort, patients):
    images = cohort.events().filter(pl.col("code").cast(pl.String).str.starts_with("IMAGE")).collect()
    checked = 0
    for facts in patients.head(15).iter_rows(named=True):
        for planned in planned_radiographs(SEED, facts):
            row = images.filter(pl.col("subject_id") == planned.patient, pl.col("time") == planned.taken_at)
            pixels = np.asarray(Image.open(cohort.blob(row["blob"][0])), dtype=float) / 255
            np.testing.assert_allclose(pixels, planned.render().pixels, atol=1.5 / 255)
            checked += 1
    assert checked >= 10

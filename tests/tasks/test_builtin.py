"""The built-in tasks on cohorts of the readers and the demo."""

import polars as pl
import pytest

from polyclinic.cohort import Cohort, known_at
from polyclinic.demo import write_sources
from polyclinic.ingest import ingest
from polyclinic.tasks import BUILT_IN, label, number_samples, prediction_times
from polyclinic.tasks.labels import UNRECORDED

DEMO = [name for name in BUILT_IN if name.startswith("demo_")]


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> tuple[Cohort, pl.DataFrame]:
    folder = tmp_path_factory.mktemp("demo")
    sources = write_sources(folder, patients=80, seed=3, radiographs=False)
    for step in sources.steps:
        if step.reader == "table" and "ecg" not in step.path.name:
            ingest(step.reader, step.path, folder / "cohort", mapping=step.mapping)
    return Cohort.open(folder / "cohort"), pl.read_parquet(sources.truth / "patients.parquet")


@pytest.mark.parametrize("name", DEMO)
def test_demo_tasks_label_nearly_every_subject(demo, name):
    cohort, truth = demo
    labels = label(cohort, BUILT_IN[name])
    times = prediction_times(cohort, BUILT_IN[name])
    assert times.height > 0.9 * truth.height
    assert labels.frame.height + sum(labels.unknown.values()) == times.height
    assert set(labels.unknown) <= {UNRECORDED}
    assert labels.frame.height > 0.9 * times.height


def test_demo_deterioration_equals_the_truth(demo):
    cohort, truth = demo
    labels = label(cohort, BUILT_IN["demo_deterioration"]).frame
    joined = labels.join(truth.filter("known"), left_on="subject_id", right_on="patient")
    assert joined.height == labels.height
    assert joined["boolean_value"].to_list() == joined["deteriorated"].to_list()
    assert 0 < labels["boolean_value"].mean() < 1


@pytest.mark.parametrize("name", DEMO)
def test_no_demo_outcome_is_known_at_the_prediction_time(demo, name):
    cohort, _ = demo
    samples = number_samples(prediction_times(cohort, BUILT_IN[name]))
    known = known_at(cohort.events(), samples).collect()
    assert not known["code"].str.starts_with("OUTCOME//").any()


def test_covid_cxr(cohort_of):
    day = 24.0
    rows = [
        (1, -3 * day, "NOTE//clinical", "Cough."),
        (1, 2 * day, "IMAGE//CR//PA", None),
        (1, 3 * day, "OUTCOME//finding", "No Finding"),
        (1, 3 * day + 0.1, "OUTCOME//finding", "COVID-19, ARDS"),
        (1, 3 * day, "OUTCOME//survival", "N"),
        (2, 1 * day, "IMAGE//CR//PA", None),
        (2, 2 * day, "OUTCOME//finding", "Pneumonia"),
        (2, 2 * day, "OUTCOME//survival", "Y"),
        (3, 1 * day, "IMAGE//CR//PA", None),
        (3, 2 * day, "OUTCOME//finding", "COVID-19"),
    ]
    cohort = cohort_of(rows)
    assert label(cohort, BUILT_IN["covid_cxr_covid19"]).frame["boolean_value"].to_list() == [True, False, True]
    death = label(cohort, BUILT_IN["covid_cxr_death"])
    assert death.frame["boolean_value"].to_list() == [True, False]
    assert death.unknown == {UNRECORDED: 1}


def test_indiana_is_predicted_before_the_report_is_written(cohort_of):
    rows = [
        (1, 0, "NOTE//indication", "Chest pain."),
        (1, 1, "NOTE//impression", "Normal chest."),
        (1, 3, "OUTCOME//normal", 1),
        (2, 1, "NOTE//impression", "Normal chest."),
        (2, 3, "OUTCOME//normal", 1),
    ]
    task = BUILT_IN["indiana_normal"]
    cohort = cohort_of(rows)
    labels = label(cohort, task)
    assert labels.frame.select("subject_id", "boolean_value").rows() == [(1, True)]
    assert not any(task.inputs.selects(code) for code in ("NOTE//impression", "NOTE//findings", "FINDING//mesh"))
    known = known_at(cohort.events(), number_samples(labels.frame)).collect()
    assert known["code"].to_list() == ["NOTE//indication"]


def test_physionet_2012(cohort_of):
    rows = [
        (1, 1, "VITAL//HR//bpm", 80.0),
        (1, 48.1, "OUTCOME//in_hospital_death", 1),
        (1, 48.1, "OUTCOME//length_of_stay//days", 5.0),
        (1, 48.1, "OUTCOME//survival//days", 4.0),
        (2, 1, "VITAL//HR//bpm", 80.0),
        (2, 48.1, "OUTCOME//in_hospital_death", 0),
        (2, 48.1, "OUTCOME//length_of_stay//days", 9.0),
    ]
    cohort = cohort_of(rows)
    assert label(cohort, BUILT_IN["physionet2012_death"]).frame["boolean_value"].to_list() == [True, False]
    assert label(cohort, BUILT_IN["physionet2012_stay"]).frame["float_value"].to_list() == [5, 9]
    survival = label(cohort, BUILT_IN["physionet2012_survival"]).frame
    assert survival.select("boolean_value", "float_value").rows() == [(True, 2.5), (False, 7.5)]

"""`polyclinic demo`."""

import polars as pl
import pytest

from polyclinic.cohort import Cohort, CohortWriter


def test_sources_are_written_and_ingested(polyclinic, tmp_path):
    done = polyclinic("demo", "--patients", 8, "--into", tmp_path, "--no-radiographs")
    assert done.code == 0
    assert "8 patients, 0 radiographs" in done.out
    assert f"→ {tmp_path / 'cohort'}" in done.out
    assert Cohort.open(tmp_path / "cohort").subjects.height == 8


def test_a_second_demo_replaces_the_first(polyclinic, tmp_path):
    words = ("--into", tmp_path, "--no-radiographs", "--json")
    assert polyclinic("demo", "--patients", 8, *words).json["patients"] == 8
    done = polyclinic("demo", "--patients", 5, "--seed", 1, *words)
    assert done.json["cohort"] == str(tmp_path / "cohort")
    assert Cohort.open(tmp_path / "cohort").subjects.height == 5


def test_source_only(polyclinic, tmp_path):
    done = polyclinic("demo", "--patients", 3, "--into", tmp_path, "--source-only", "--json")
    assert done.json == {"patients": 3, "pictures": done.json["pictures"], "sources": str(tmp_path / "sources")}
    assert (tmp_path / "sources" / "labs.csv").is_file()
    assert not (tmp_path / "cohort").exists()


def test_source_only_cannot_train(polyclinic, tmp_path):
    refused = polyclinic("demo", "--patients", 3, "--into", tmp_path / "d", "--source-only", "--run").usage
    assert "leaves no cohort to train on" in refused
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("option", [("--jobs", 1), ("--device", "cpu")])
def test_options_of_training_need_a_training(option, polyclinic, tmp_path):
    assert "give --run as well" in polyclinic("demo", "--patients", 3, "--into", tmp_path / "d", *option).usage
    assert not (tmp_path / "d").exists()


def test_other_cohorts_are_not_removed(polyclinic, tmp_path):
    with CohortWriter(tmp_path / "cohort", source="a real hospital") as writer:
        writer.add(pl.DataFrame({"subject_id": [1], "code": ["DIAGNOSIS//gout"]}))
    refused = polyclinic("demo", "--patients", 3, "--into", tmp_path, "--no-radiographs").refusal
    assert "is not of a demo: choose another folder" in refused
    assert Cohort.open(tmp_path / "cohort").subjects.height == 1
    assert not (tmp_path / "sources").exists()


def test_no_patients_are_refused(polyclinic, tmp_path):
    assert "Invalid value for '--patients'" in polyclinic("demo", "--patients", 0, "--into", tmp_path).err

"""Every command on a MEDS data set that another tool wrote, as it is."""

import json
from datetime import datetime, timedelta

import polars as pl
import pytest

from polyclinic import files
from polyclinic.cohort import Cohort
from tests.cohort.foreign.test_foreign import SAMPLE
from tests.cohort.foreign.writing import write_meds
from tests.little_training import few_trees

TASK = """
name: died
kind: binary
description: Will this patient die?
prediction: {anchor: HOSPITAL_ADMISSION, offset: 24h}
target: {codes: MEDS_DEATH, read: presence, complete: true}
inputs: {exclude: [MEDS_DEATH]}
"""
SUBJECTS = range(70)


@pytest.fixture(scope="module")
def meds(tmp_path_factory):
    """A data set of 70 patients in two shards of each split; the pulse predicts who dies."""
    admitted = datetime(2150, 3, 1, 8)
    rows = []
    for subject in SUBJECTS:
        died = subject % 3 == 0
        rows += [(subject, None, f"GENDER//{'MF'[subject % 2]}", None), (subject, admitted, "HOSPITAL_ADMISSION", None)]
        rows += [(subject, admitted + timedelta(hours=h), "HR", 80.0 + 20 * died + (subject + h) % 9) for h in (1, 9)]
        rows += [(subject, admitted + timedelta(days=9), "MEDS_DEATH", None)] * died
    schema = {"subject_id": pl.Int64, "time": pl.Datetime("us"), "code": pl.String, "numeric_value": pl.Float32}
    events = pl.DataFrame(rows, schema=schema, orient="row")
    split = {subject: ("train", "train", "train", "tuning", "held_out")[subject // 2 % 5] for subject in SUBJECTS}
    shards = {}
    for name in dict.fromkeys(split.values()):
        for part in (0, 1):
            own = [subject for subject in SUBJECTS if split[subject] == name and subject // 10 % 2 == part]
            shards[f"{name}/{part}"] = events.filter(pl.col("subject_id").is_in(own))
    return write_meds(tmp_path_factory.mktemp("meds") / "mimic", shards, split, {"dataset_name": "MIMIC"})


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    (folder / "died.yaml").write_text(TASK)
    study = f"tasks: [{folder}/died.yaml]\nnetwork:\nclassical: [logistic_regression]\nfolds: 2\n"
    (folder / "study.yaml").write_text(study)
    return folder / "study.yaml"


def test_every_command_reads_it(meds, study, polyclinic, tmp_path, monkeypatch):
    few_trees(monkeypatch)
    written = {path: path.stat().st_mtime_ns for path in meds.rglob("*") if path.is_file()}
    done = polyclinic("summary", meds)
    assert (done.code, "70 subjects" in done.out) == (0, True)
    bundle, out = tmp_path / "bundle", tmp_path / "p.parquet"
    assert polyclinic("train", meds, "--config", study, "--out", bundle).code == 0
    assert polyclinic("predict", bundle, meds, "--out", out).code == 0
    predicted = pl.read_parquet(out)
    assert predicted["source_id"].to_list() == [str(subject) for subject in SUBJECTS]
    died = predicted.filter(pl.col("subject_id") % 3 == 0)["predicted_boolean_probability"]
    assert died.min() > predicted.filter(pl.col("subject_id") % 3 != 0)["predicted_boolean_probability"].max()
    done = polyclinic("evaluate", bundle, meds, "--html", tmp_path / "r.html")
    assert (done.code, f"n = {len(SUBJECTS) // 5}" in done.out) == (0, True)
    for verb in ("assess", "explain"):
        done = polyclinic(verb, bundle, meds, 3)
        assert (done.code, "patient 3, 2150-03-02 08:00" in done.out) == (0, True)
    words = ("compare-classical", meds, "--task", study.parent / "died.yaml", "--inputs", "structured")
    assert polyclinic(*words, "--out", tmp_path / "classical").code == 0
    assert {path: path.stat().st_mtime_ns for path in meds.rglob("*") if path.is_file()} == written


def test_labels_are_saved_in_it_or_counted(meds, study, polyclinic, monkeypatch):
    """A data set that is shared read-only is labelled, too."""

    def refuse(folder):
        raise files.OutputError(f"the folder {folder} cannot be written")

    words = ("tasks", study.parent / "died.yaml", "--cohort", meds)
    with monkeypatch.context() as patched:
        patched.setattr(files, "check_folder", refuse)
        done = polyclinic(*words)
    assert done.code == 0
    assert "70 labelled" in done.out
    assert "labels were counted and not saved in the cohort: the folder" in done.err
    assert not (meds / "labels").exists()
    assert polyclinic(*words, "--json").json["folder"] == str(meds / "labels" / "died")
    assert Cohort.open(meds).subjects.height == len(SUBJECTS)


@pytest.mark.parametrize("options", [("--guess",), ("--mapping", "m.yaml", "--into", "c")], ids=["guess", "mapping"])
@pytest.mark.parametrize("part", ["", "data", "data/train", "data/train/0.parquet"])
def test_it_is_no_table(part, options, polyclinic, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.yaml").write_text("subject: subject_id\ncolumns: {code: {code: LAB//x, type: numeric}}\n")
    refused = polyclinic("ingest", "table", SAMPLE / part, *options).refusal
    assert f"is a MEDS data set, or part of one, and opens as it is: give {SAMPLE}" in refused
    assert [path.name for path in tmp_path.iterdir()] == ["m.yaml"]


def test_the_summary_counts_identical_rows(polyclinic, tmp_path):
    row = pl.DataFrame({"subject_id": [1], "time": [None], "code": ["GENDER//F"], "numeric_value": [None]})
    row = row.cast({"time": pl.Datetime("us"), "numeric_value": pl.Float32})
    write_meds(tmp_path / "meds", {"a": pl.concat([row, row]), "b": row})
    done = polyclinic("summary", tmp_path / "meds")
    assert "1 subjects, 1 events" in done.out
    assert "identical rows, read as one event: 2 beside the first of each" in done.out
    assert json.loads(polyclinic("summary", tmp_path / "meds", "--json").out)["repeated_events"] == 2

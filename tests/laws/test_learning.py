"""Fitting uses only the known labels of development subjects, and is reproducible for a seed."""

import json

import polars as pl
import pytest

from polyclinic.tasks import Task
from polyclinic.training.fit import fit_study
from tests.hospital import NOISE, SIMPLE, STUDY, files_of, rewritten, spoiled


def saved_files(bundle, folder):
    """Save the bundle, and return its files without the cohort's fingerprint and description, which no answer reads."""
    files = files_of(bundle.save(folder))
    index = json.loads(files.pop("bundle.json"))
    index["origin"].pop("cohort")
    files.pop("description.json", None)
    index["files"].pop("description.json", None)
    return files | {"index": json.dumps(index, sort_keys=True).encode()}


@pytest.fixture(scope="module")
def reference(trained, tmp_path_factory):
    """The files of the study's bundle."""
    return saved_files(trained.bundle(), tmp_path_factory.mktemp("reference"))


def test_same_seed_gives_identical_files(trained, hospital, cache, tmp_path):
    again = files_of(fit_study(STUDY, hospital, cache=cache).bundle.save(tmp_path))
    before = files_of(trained.folder)
    assert {name for name in again if again[name] != before[name]} == set()
    assert "bundle.json" in again
    assert any(name.endswith(".safetensors") for name in again)


def test_another_seed_gives_different_models(reference, hospital, cache, tmp_path):
    other = saved_files(fit_study(STUDY.model_copy(update={"seed": 1}), hospital, cache=cache).bundle, tmp_path)
    assert other.keys() == reference.keys()
    for name in ("study.yaml", "model.safetensors", "calibration.json"):
        assert other[name] != reference[name], name
    assert other["features.json"] == reference["features.json"], "features are deterministic"


def test_held_out_subjects_have_no_influence(reference, hospital, cache, tmp_path):
    held_out = pl.col("subject_id").is_in(hospital.subjects_in("held_out"))
    new = pl.col("code").str.replace("^LAB", "LAB//new")

    def change(events):
        events = spoiled(events, held_out)
        unseen = events.filter(held_out & pl.col("code").str.starts_with("LAB")).with_columns(code=new)
        return pl.concat([events, unseen])

    other = rewritten(hospital, tmp_path / "cohort", change, NOISE)
    assert other.fingerprint != hospital.fingerprint
    assert other.splits.equals(hospital.splits)
    assert saved_files(fit_study(STUDY, other, cache=cache).bundle, tmp_path / "bundle") == reference


def test_training_subjects_have_an_influence(hospital, cache, tmp_path):
    subject = pl.col("subject_id") == hospital.subjects_in("train")[0]
    other = rewritten(hospital, tmp_path / "cohort", lambda events: spoiled(events, subject), NOISE)
    reference, changed = (
        saved_files(fit_study(SIMPLE, cohort, cache=cache).bundle, tmp_path / name)
        for name, cohort in (("reference", hospital), ("changed", other))
    )
    for name in ("features.json", "calibration.json"):
        assert changed[name] != reference[name], name


def test_unknown_labels_are_left_out(hospital, cache, tmp_path):
    development = [*hospital.subjects_in("train"), *hospital.subjects_in("tuning")]
    unknown = set(development[::3])
    outcome = pl.col("code") == "OUTCOME//deterioration"
    censored = rewritten(
        hospital,
        tmp_path / "censored",
        lambda events: events.filter(~(outcome & pl.col("subject_id").is_in(list(unknown)))),
    )
    with_unknown = fit_study(SIMPLE, censored, cache=cache)
    assert not unknown & set(with_unknown.samples["subject_id"])
    known = [subject for subject in development if subject not in unknown]
    without = fit_study(SIMPLE, hospital, subjects=known, cache=cache)
    assert saved_files(with_unknown.bundle, tmp_path / "a") == saved_files(without.bundle, tmp_path / "b")


def test_labels_may_be_unknown_for_one_of_two_tasks(hospital, cache, tmp_path):
    study = SIMPLE.model_copy(update={"tasks": (*SIMPLE.tasks, stay := Task.load("demo_stay"))})
    unknown = hospital.subjects_in("train")[::2]
    outcome = pl.col("code") == "OUTCOME//length_of_stay//days"
    censored = rewritten(
        hospital,
        tmp_path / "censored",
        lambda events: events.filter(~(outcome & pl.col("subject_id").is_in(unknown))),
    )
    fitted = fit_study(study, censored, cache=cache)
    observed = fitted.examples.targets[stay.name].observed
    assert (~observed).sum() == fitted.samples["subject_id"].is_in(unknown).sum() > 10
    assert fitted.examples.targets["demo_deterioration"].observed[~observed].mean() > 0.8
    known = fitted.examples.targets[stay.name].values[observed]
    predicted = fitted.member_predictions[stay.name]["logistic_regression"].answers
    assert predicted.mean() == pytest.approx(known.mean(), rel=0.2), "counting unknown stays as 0 days would halve it"

"""What is learnt comes from the development subjects alone, from known answers, and is the same for the same seed."""

import json

import polars as pl
import pytest

from polyclinic.tasks import Task
from polyclinic.training.fit import fit_study
from tests.hospital import NOISE, SIMPLE, STUDY, files_of, rewritten, spoiled


def learnt(bundle, folder):
    """Save the bundle, and give its files, less the fingerprint of the cohort in its index."""
    files = files_of(bundle.save(folder))
    index = json.loads(files.pop("bundle.json"))
    index["origin"].pop("cohort")
    return files | {"index": json.dumps(index, sort_keys=True).encode()}


@pytest.fixture(scope="module")
def usual(trained, tmp_path_factory):
    """The files of the study's bundle; it was fitted once, and saved twice."""
    return learnt(trained.bundle(), tmp_path_factory.mktemp("usual"))


def test_same_seed_same_bits(trained, hospital, cache, tmp_path):
    again = files_of(fit_study(STUDY, hospital, cache=cache).bundle.save(tmp_path))
    before = files_of(trained.folder)
    assert {name for name in again if again[name] != before[name]} == set()
    assert "bundle.json" in again
    assert any(name.endswith(".skops") for name in again)


def test_another_seed_other_bits(usual, hospital, cache, tmp_path):
    other = learnt(fit_study(STUDY.model_copy(update={"seed": 1}), hospital, cache=cache).bundle, tmp_path)
    assert other.keys() == usual.keys()
    for name in ("study.yaml", "model.safetensors", "calibration.json"):
        assert other[name] != usual[name], name
    assert other["features.json"] == usual["features.json"], "nothing in the features is drawn"


def test_held_out_subjects_change_nothing(usual, hospital, cache, tmp_path):
    held_out = pl.col("subject_id").is_in(hospital.subjects_in("held_out"))
    new = pl.col("code").str.replace("^LAB", "LAB//new")

    def change(events):
        events = spoiled(events, held_out)
        unseen = events.filter(held_out & pl.col("code").str.starts_with("LAB")).with_columns(code=new)
        return pl.concat([events, unseen])

    other = rewritten(hospital, tmp_path / "cohort", change, NOISE)
    assert other.fingerprint != hospital.fingerprint
    assert other.splits.equals(hospital.splits)
    assert learnt(fit_study(STUDY, other, cache=cache).bundle, tmp_path / "bundle") == usual


def test_a_training_subject_does_change_something(hospital, cache, tmp_path):
    one = pl.col("subject_id") == hospital.subjects_in("train")[0]
    other = rewritten(hospital, tmp_path / "cohort", lambda events: spoiled(events, one), NOISE)
    usual, changed = (
        learnt(fit_study(SIMPLE, cohort, cache=cache).bundle, tmp_path / name)
        for name, cohort in (("usual", hospital), ("changed", other))
    )
    for name in ("features.json", "calibration.json"):
        assert changed[name] != usual[name], name


def test_unknown_answers_are_left_out_and_never_no(hospital, cache, tmp_path):
    development = [*hospital.subjects_in("train"), *hospital.subjects_in("tuning")]
    unknown = set(development[::3])
    outcome = pl.col("code") == "OUTCOME//deterioration"
    untold = rewritten(
        hospital,
        tmp_path / "untold",
        lambda events: events.filter(~(outcome & pl.col("subject_id").is_in(list(unknown)))),
    )
    with_unknown = fit_study(SIMPLE, untold, cache=cache)
    assert not unknown & set(with_unknown.samples["subject_id"])
    known = [subject for subject in development if subject not in unknown]
    without = fit_study(SIMPLE, hospital, subjects=known, cache=cache)
    assert learnt(with_unknown.bundle, tmp_path / "a") == learnt(without.bundle, tmp_path / "b")


def test_an_answer_to_one_task_may_be_unknown_while_another_is_known(hospital, cache, tmp_path):
    study = SIMPLE.model_copy(update={"tasks": (*SIMPLE.tasks, stay := Task.load("demo_stay"))})
    unknown = hospital.subjects_in("train")[::2]
    outcome = pl.col("code") == "OUTCOME//length_of_stay//days"
    untold = rewritten(
        hospital, tmp_path / "untold", lambda events: events.filter(~(outcome & pl.col("subject_id").is_in(unknown)))
    )
    fitted = fit_study(study, untold, cache=cache)
    observed = fitted.examples.targets[stay.name].observed
    assert (~observed).sum() == fitted.samples["subject_id"].is_in(unknown).sum() > 10
    assert fitted.examples.targets["demo_deterioration"].observed[~observed].mean() > 0.8
    known = fitted.examples.targets[stay.name].values[observed]
    said = fitted.member_predictions[stay.name]["logistic_regression"].answers
    assert said.mean() == pytest.approx(known.mean(), rel=0.2), "it would be nearly halved by unknown stays of 0 days"

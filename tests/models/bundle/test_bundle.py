"""Bundles: saving and loading, prediction, and other cohorts."""

import json
import shutil
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from polyclinic import Bundle, Cohort, Study, Task
from polyclinic.features.known_record import known_record
from polyclinic.files import sha256
from polyclinic.models.bundle.bundle import BundleError
from polyclinic.models.bundle.predictions import COLUMNS, Predictions
from polyclinic.tasks import number_samples, prediction_times
from polyclinic.training.fit import fit_study
from tests.hospital import EVERY_KIND, PATIENTS, SIMPLE, TASKS, build_hospital, files_of, rewritten, times_of

PROBABILITY = "predicted_boolean_probability"
OUTPUTS = {"demo_deterioration": 1, "demo_diagnosis": 6, "demo_findings": 5, "demo_stay": 1}


@pytest.fixture(scope="module")
def bundle(every_kind) -> Bundle:
    return every_kind.bundle()


@pytest.fixture(scope="module")
def predictions(bundle, hospital) -> Predictions:
    return bundle.predict(hospital)


def of(predictions, task):
    return predictions.frame.filter(pl.col("task") == task)


def test_save_and_load_preserve_predictions(hospital, cache, tmp_path):
    study = EVERY_KIND.model_copy(update={"inputs": ("note", "structured"), "tasks": EVERY_KIND.tasks[:4]})
    fitted = fit_study(study, hospital, cache=cache).bundle
    loaded = Bundle.load(fitted.save(tmp_path), cache)
    assert loaded.predict(hospital).frame.equals(fitted.predict(hospital).frame)
    assert (loaded.tasks, loaded.inputs, loaded.origin) == (fitted.tasks, fitted.inputs, fitted.origin)
    assert [task.classes for task in loaded.tasks] == [task.classes for task in study.tasks]
    assert Study.load(tmp_path / "study.yaml") == study


def test_load_and_save_preserve_files(every_kind, bundle, tmp_path):
    assert files_of(bundle.save(tmp_path)) == files_of(every_kind.folder)


def test_saving_replaces_another_bundle(every_kind, bundle, tmp_path):
    (tmp_path / "classical" / "old_task").mkdir(parents=True)
    (tmp_path / "classical" / "old_task" / "random_forest.safetensors").write_bytes(b"of another bundle")
    (tmp_path / "features.json").write_text("of another bundle")
    assert files_of(bundle.save(tmp_path)) == files_of(every_kind.folder)


def test_origin(bundle, hospital):
    answered = bundle.origin["answered"]
    assert bundle.origin["cohort"] == hospital.fingerprint
    assert bundle.origin["development_subjects"] == len(hospital.subjects_in("train") + hospital.subjects_in("tuning"))
    assert set(answered) == set(TASKS)
    assert answered["demo_stay"] == bundle.origin["development_samples"]


def test_predictions_cover_every_subject_with_meds_columns(predictions):
    assert dict(predictions.frame.schema) == COLUMNS
    assert predictions.frame["subject_id"].n_unique() == PATIENTS
    for task, outputs in OUTPUTS.items():
        assert of(predictions, task).height == PATIENTS * outputs
    keys = predictions.frame.select("subject_id", "prediction_time", "task", "output")
    assert keys.is_unique().all()
    order = ["subject_id", "prediction_time", "task"]
    assert predictions.frame.sort(order, maintain_order=True).equals(predictions.frame)


def test_probabilities_are_between_0_and_1(predictions):
    for task in ("demo_deterioration", "demo_diagnosis", "demo_findings", "demo_survival"):
        answers = of(predictions, task)
        assert answers[PROBABILITY].is_between(0, 1).all()
        assert answers["predicted_float_value"].is_null().all()
    assert of(predictions, "demo_deterioration")[PROBABILITY].n_unique() > PATIENTS / 2


def test_binary_and_multilabel_predictions_have_decisions_at_the_threshold(predictions, bundle):
    for task in ("demo_deterioration", "demo_findings"):
        for output, threshold in zip(bundle.task(task).outputs, bundle.ensemble.tasks[task].thresholds, strict=True):
            answers = of(predictions, task).filter(pl.col("output") == output)
            assert answers["predicted_boolean_value"].equals(answers[PROBABILITY] >= threshold)
    calls = of(predictions, "demo_deterioration")["predicted_boolean_value"]
    assert calls.any()
    assert not calls.all()


def test_class_probabilities_add_up_to_one(predictions):
    sums = of(predictions, "demo_diagnosis").group_by("subject_id").agg(pl.col(PROBABILITY).sum())
    assert sums[PROBABILITY].to_numpy() == pytest.approx(1)
    assert of(predictions, "demo_diagnosis")["predicted_boolean_value"].is_null().all()


def test_regression_predictions_are_plausible(predictions):
    stays = of(predictions, "demo_stay")
    assert stays[PROBABILITY].is_null().all()
    assert stays["predicted_float_value"].is_between(0, 40).all()
    assert stays["predicted_float_value"].n_unique() > PATIENTS / 2


def test_cumulative_risk_is_non_decreasing(predictions, bundle):
    ends = bundle.ensemble.bins("demo_survival")
    answers = of(predictions, "demo_survival")
    assert list(ends) == sorted(set(ends))
    assert answers["output"].unique(maintain_order=True).to_list() == [f"by {end:g} d" for end in ends]
    by_subject = answers[PROBABILITY].to_numpy().reshape(PATIENTS, len(ends))
    assert (np.diff(by_subject, axis=1) >= 0).all()


def test_subset_of_subjects_gets_the_same_predictions(bundle, hospital, predictions):
    some = hospital.subjects_in("held_out")
    selected = bundle.predict(hospital, subjects=some).frame
    expected = predictions.frame.filter(pl.col("subject_id").is_in(some))
    assert selected.drop(PROBABILITY, "predicted_float_value").equals(
        expected.drop(PROBABILITY, "predicted_float_value")
    )
    for column in (PROBABILITY, "predicted_float_value"):
        assert selected[column].fill_null(0).to_numpy() == pytest.approx(
            expected[column].fill_null(0).to_numpy(), abs=1e-6
        )


def test_subset_of_tasks_gets_the_same_predictions(bundle, hospital, predictions):
    selected = bundle.predict(hospital, tasks=["demo_stay", "demo_deterioration"]).frame
    assert selected.equals(predictions.frame.filter(pl.col("task").is_in(["demo_stay", "demo_deterioration"])))


def test_unknown_task_raises_with_the_choices(bundle, hospital):
    with pytest.raises(BundleError, match=r"has no task 'nonsense': choose from demo_deterioration, "):
        bundle.predict(hospital, tasks=["nonsense"])


def test_no_eligible_subject_raises(bundle, hospital):
    with pytest.raises(BundleError, match="no such subject is eligible for"):
        bundle.predict(hospital, subjects=[-1])


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> Cohort:
    """Another hospital: other patients, no images, no outcomes, one new code, and no lactate."""
    other = build_hospital(tmp_path_factory.mktemp("elsewhere"), patients=20, seed=5, radiographs=False)

    def change(events):
        return events.filter(~pl.col("code").str.starts_with("OUTCOME//")).with_columns(
            subject_id=pl.col("subject_id") + 1_000_000,
            code=pl.col("code").replace({"LAB//lactate//mmol/L": "LAB//lactate//mg/dL"}),
        )

    return rewritten(other, tmp_path_factory.mktemp("elsewhere") / "cohort", change)


def test_prediction_for_another_hospital_counts_unknown_codes(bundle, elsewhere, hospital):
    predictions = bundle.predict(elsewhere)
    assert predictions.frame["subject_id"].n_unique() == 20
    assert predictions.frame["subject_id"].min() > 1_000_000
    numbers = predictions.frame.select(pl.coalesce(PROBABILITY, "predicted_float_value")).to_series()
    assert numbers.is_finite().all()
    samples = number_samples(times_of(elsewhere))
    known = known_record(elsewhere.events(), samples, bundle.tasks)
    unknown = known.filter(pl.col("code") == "LAB//lactate//mg/dL").height
    assert unknown > 0
    assert predictions.ignored["LAB//lactate//mg/dL"] == unknown
    assert not any("DEMOGRAPHIC" in code for code in predictions.ignored)
    assert not bundle.arrays(elsewhere, samples)["image"]["present"].any()


def test_outcomes_are_not_read(bundle, hospital, predictions, tmp_path):
    without_outcomes = rewritten(
        hospital, tmp_path, lambda events: events.filter(~pl.col("code").str.starts_with("OUTCOME//"))
    )
    assert bundle.predict(without_outcomes).frame.equals(predictions.frame)


def test_predictions_are_written_unchanged(predictions, tmp_path):
    predictions.write(tmp_path / "new" / "predictions.parquet")
    assert pl.read_parquet(tmp_path / "new" / "predictions.parquet").equals(predictions.frame)


def test_tasks_have_their_own_prediction_times(hospital, cache):
    stay = Task.load("demo_stay")
    soon = stay.prediction.model_copy(update={"offset": timedelta(hours=1)})
    study = SIMPLE.model_copy(
        update={
            "inputs": ("structured",),
            "tasks": (stay, stay.model_copy(update={"name": "at_admission", "prediction": soon})),
        }
    )
    bundle = fit_study(study, hospital, cache=cache).bundle
    joint, selected = bundle.predict(hospital).frame, bundle.predict(hospital, tasks=["at_admission"]).frame
    for task in study.tasks:
        times = joint.filter(pl.col("task") == task.name).select("subject_id", "prediction_time")
        assert times.equals(prediction_times(hospital, task))
    expected = joint.filter(pl.col("task") == "at_admission")["predicted_float_value"]
    assert selected["predicted_float_value"].to_numpy() == pytest.approx(expected.to_numpy())


def test_index_names_format_and_tasks(every_kind):
    index = json.loads((every_kind.folder / "bundle.json").read_text())
    assert index["format"] == 7
    assert index["networks"] == 2
    assert [task["name"] for task in index["tasks"]] == list(TASKS)


def renamed(key, state):
    """Rename a key wherever it is."""
    if isinstance(state, dict):
        return {("other" if name == key else name): renamed(key, part) for name, part in state.items()}
    return [renamed(key, part) for part in state] if isinstance(state, list) else state


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("designs.json", "sources"),
        ("designs.json", "structured"),
        ("features.json", "structured"),
        ("calibration.json", "kind"),
        ("golden.json", "prediction_time"),
        ("reference.json", "subjects"),
    ],
)
def test_other_keys_are_refused_with_the_remedy(file, key, every_kind, tmp_path):
    folder = shutil.copytree(every_kind.folder, tmp_path / "bundle")
    text = json.dumps(renamed(key, json.loads((folder / file).read_text())))
    (folder / file).write_text(text)
    index = json.loads((folder / "bundle.json").read_text())
    index["files"][file] = sha256(text.encode())
    (folder / "bundle.json").write_text(json.dumps(index))
    with pytest.raises(BundleError, match=rf"{file} has content that this version cannot read: train the bundle again"):
        Bundle.load(folder)


def test_an_index_without_files_is_refused(tmp_path):
    (tmp_path / "bundle.json").write_text('{"format": 7}')
    with pytest.raises(BundleError, match=r"bundle\.json is incomplete: copy the bundle again"):
        Bundle.load(tmp_path)

"""Training and cross-validation: the output folder, resumed runs, and out-of-fold predictions."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager

import numpy as np
import polars as pl
import pytest
from lifelines.utils import concordance_index

from polyclinic import Bundle, Study
from polyclinic.evaluation.estimate import decimal
from polyclinic.evaluation.prediction_sets import prediction_sets
from polyclinic.tasks import renumber_samples, samples
from polyclinic.training import cross_validation
from polyclinic.training import fit as fit_module
from polyclinic.training.cross_validation import cross_validate
from polyclinic.training.evaluation.evaluate import Report
from polyclinic.training.fit import WORK, fit_checked_study
from polyclinic.training.output_folder import prepare_output, write_report
from polyclinic.training.train import train_and_measure
from tests.hospital import EVERY_KIND, SIMPLE, STUDY, files_of, rewritten
from tests.little_training import no_pictures

TASK = "demo_deterioration"
THRESHOLDED = ("demo_deterioration", "demo_findings")
INPUTS = ("structured", "series", "note", "image")
"""Those that the hospital has."""
DRAWN = ("plots/", "report.html", "logs/", "timings.json")
"""Files that are not part of the bundle, and are not repeated to the bit."""


class RecordedProgress:
    """A progress that records every step, and can fail at one of them."""

    def __init__(self, stop_at=None):
        self.steps = []
        self.totals = {}
        self.done = Counter()
        self.stop_at = stop_at

    @contextmanager
    def task(self, description, total=None):
        self.steps.append(description)
        if description == self.stop_at:
            raise KeyboardInterrupt
        if total is not None:
            self.totals[description] = self.totals.get(description, 0) + total

        def advance(steps):
            self.done[description] += steps

        yield advance

    def message(self, text):
        pass

    @property
    def networks(self):
        return [step for step in self.steps if step.startswith("network")]


def test_the_folder_holds_all_files(trained):
    files = files_of(trained.folder)
    plots = [name for name in files if name.startswith(f"plots/{TASK}/")]
    assert plots
    assert set(files) - set(plots) == {
        "bundle.json",
        "study.yaml",
        "features.json",
        "model.safetensors",
        "reference.json",
        "reference.safetensors",
        "golden.json",
        "golden.png",
        "designs.json",
        "calibration.json",
        "metrics.json",
        "comparison.json",
        "card.md",
        "card.json",
        "description.json",
        "report.html",
        "predictions.parquet",
        "timings.json",
        *(f"logs/fold{fold}/version_0/metrics.csv" for fold in range(2)),
        *(
            f"classical/{TASK}/{member}.safetensors"
            for member in (
                "gradient_boosting",
                "logistic_regression",
                *(f"logistic_regression-{modality}" for modality in INPUTS),
            )
        ),
    }
    assert Study.load(trained.folder / "study.yaml") == STUDY.model_copy(update={"inputs": INPUTS})


def test_results_are_written_as_reported(trained, hospital):
    evaluation = trained.report[TASK].evaluation
    metrics = json.loads((trained.folder / "metrics.json").read_text())
    assert metrics == json.loads(json.dumps({TASK: evaluation.to_dict()}))
    comparison = json.loads((trained.folder / "comparison.json").read_text())[TASK]
    assert comparison["models"] == json.loads(json.dumps(trained.report[TASK].comparison.to_dict()))
    assert comparison["inputs"] is not None
    auroc = str(evaluation["auroc"])
    assert auroc in (trained.folder / "card.md").read_text()
    page = (trained.folder / "report.html").read_text()
    assert auroc in page
    assert '"http' not in page.replace('"http://www.w3.org', ""), "the page needs no network"


def test_held_out_predictions_are_those_of_the_bundle(trained, hospital):
    written = pl.read_parquet(trained.folder / "predictions.parquet")
    assert written["subject_id"].to_list() == trained.report.samples["subject_id"].to_list()
    assert set(written["subject_id"]) <= set(hospital.subjects_in("held_out"))
    predicted = trained.bundle().predict(hospital, subjects=written["subject_id"].to_list()).frame
    assert written.drop("predicted_boolean_probability").equals(predicted.drop("predicted_boolean_probability"))
    assert written["predicted_boolean_probability"].to_numpy() == pytest.approx(
        predicted["predicted_boolean_probability"].to_numpy(), abs=1e-6
    )


def test_reports_of_other_kinds_of_task_are_written(every_kind, tmp_path):
    kinds = ("demo_survival", "demo_stay")
    some = Report(every_kind.report.samples, {task: every_kind.report[task] for task in kinds})
    progress = RecordedProgress()
    write_report(some, tmp_path, "Some.", progress)
    assert progress.steps == ["plots of demo_survival", "plots of demo_stay", "page"]
    assert progress.done == progress.totals
    assert set(json.loads((tmp_path / "metrics.json").read_text())) == set(kinds)
    assert set(pl.read_parquet(tmp_path / "predictions.parquet")["task"]) == set(kinds)
    for task in kinds:
        assert list((tmp_path / "plots" / task).iterdir())


SCRIPT = "from polyclinic.cli import main; main()"


@pytest.fixture(scope="module")
def killed(hospital, cache, tmp_path_factory):
    """A folder in which training was killed after one of its two networks was finished."""
    study, folder = tmp_path_factory.mktemp("study") / "study.yaml", tmp_path_factory.mktemp("killed")
    STUDY.save(study)
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "train", hospital.path, "--config", study, "--out", folder],
        env=os.environ | {"POLYCLINIC_CACHE": str(cache.folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 120
    while not list(folder.glob(f"{WORK}/*/fold0/network.safetensors")):
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (folder / "bundle.json").exists()
    return folder


def test_a_killed_run_is_resumed_with_the_same_result(killed, trained, hospital, cache, tmp_path, monkeypatch):
    no_pictures(monkeypatch)
    folder, progress = shutil.copytree(killed, tmp_path / "again"), RecordedProgress()
    train_and_measure(STUDY, hospital, folder, cache=cache, progress=progress)
    assert progress.networks == ["network, fold 2"]
    assert not (folder / WORK).exists()
    again, before = (
        {name: content for name, content in files_of(one).items() if not name.startswith(DRAWN)}
        for one in (folder, trained.folder)
    )
    assert again.keys() == before.keys()
    assert {name for name in before if again[name] != before[name]} == set()


@pytest.mark.parametrize("change", ["seed", "cohort"])
def test_another_study_or_cohort_is_not_resumed(change, killed, hospital, cache, tmp_path):
    folder, progress = shutil.copytree(killed, tmp_path / "other"), RecordedProgress(stop_at="classical models")
    study = STUDY.model_copy(update={"seed": 1}) if change == "seed" else STUDY
    cohort = hospital
    if change == "cohort":
        cohort = rewritten(hospital, tmp_path / "cohort", lambda events: events.head(events.height - 1))
    with pytest.raises(KeyboardInterrupt):
        train_and_measure(study, cohort, folder, cache=cache, progress=progress)
    assert progress.networks == ["network, fold 1", "network, fold 2"]
    assert len(list((folder / WORK).iterdir())) == 1, "checkpoints of the other study are removed"


def test_a_run_on_another_kind_of_device_is_not_resumed(killed, hospital, tmp_path):
    folder = shutil.copytree(killed, tmp_path / "other")
    same = prepare_output(STUDY, hospital, folder, "one fit", "csv", "cpu")
    assert (same / "fold0" / "network.safetensors").is_file()
    other = prepare_output(STUDY, hospital, folder, "one fit", "csv", "cuda")
    assert not list(other.parent.glob("*/fold0/network.safetensors")), "kinds of devices round differently"


def test_cross_validation_is_resumed_but_not_with_other_folds(hospital, cache, tmp_path):
    study = STUDY.model_copy(update={"inputs": ("structured",)})
    both = ["network, fold 1", "network, fold 2"]
    for folds, expected in ((2, both), (2, []), (3, both)):
        progress = RecordedProgress(stop_at="classical models")
        with pytest.raises(KeyboardInterrupt):
            cross_validate(study, hospital, tmp_path, folds=folds, cache=cache, progress=progress)
        assert progress.networks == expected


@pytest.mark.parametrize("run", [train_and_measure, lambda *a, **k: cross_validate(*a, folds=2, **k)])
def test_study_and_logger_are_checked_once(run, hospital, cache, tmp_path, monkeypatch):
    checks = []
    monkeypatch.setattr(fit_module, "check_network", lambda study: checks.append("network"))
    monkeypatch.setattr(fit_module, "check_logger", lambda logger: checks.append("logger"))
    with pytest.raises(KeyboardInterrupt):
        run(SIMPLE, hospital, tmp_path, cache=cache, progress=RecordedProgress(stop_at="classical models"))
    assert checks == ["network", "logger"]


@pytest.fixture(scope="module")
def crossed(hospital, cache, tmp_path_factory):
    """A cross-validation in three folds, repeated twice, and its fits."""
    return cross(SIMPLE, hospital, tmp_path_factory.mktemp("crossed"), folds=3, repeats=2, cache=cache)


def cross(study, hospital, folder, **options):
    """Cross-validate; return the report, every fit on the way, and the folder."""
    fitted = []

    def fit(*arguments, **options):
        fitted.append(fit_checked_study(*arguments, **options))
        return fitted[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cross_validation, "fit_checked_study", fit)
        report = cross_validate(study, hospital, folder, **options)
    return report, fitted, folder


def test_every_sample_is_predicted_once_by_the_fold_that_left_it_out(crossed, hospital):
    report, fitted, _ = crossed
    everyone = set(report.samples["subject_id"])
    assert len(everyone) == report.samples.height == report[TASK].evaluation.n > 60
    predicted = []
    for one in fitted[:3]:
        left_out = everyone - set(one.samples["subject_id"])
        predicted += left_out
        own = one.bundle.predict(hospital, subjects=sorted(left_out)).frame
        rows = report.samples["subject_id"].is_in(sorted(left_out)).to_numpy()
        assert report[TASK].answers[rows, 0] == pytest.approx(own["predicted_boolean_probability"].to_numpy())
    assert sorted(predicted) == sorted(everyone)


def test_the_bundle_is_fitted_to_all_subjects(crossed, cache):
    report, fitted, folder = crossed
    assert len(fitted) == 2 * 3 + 1
    assert fitted[-1].samples["subject_id"].to_list() == report.samples["subject_id"].to_list()
    assert Bundle.load(folder, cache).origin == fitted[-1].bundle.origin
    assert [one.bundle.golden is not None for one in fitted] == [False] * 6 + [True], "only for the bundle that is kept"


def test_repeats_have_different_folds_and_their_mean_is_written(crossed):
    report, fitted, folder = crossed
    parts = [frozenset(one.samples["subject_id"]) for one in fitted[:6]]
    assert len(set(parts)) == 6
    repeats = json.loads((folder / "repeats.json").read_text())[TASK]
    assert set(repeats) == {contender.name for contender in report[TASK].comparison.contenders}
    auroc = repeats["unified"]["auroc"]
    assert auroc["each"][0] == report[TASK].evaluation["auroc"].value
    assert len(set(auroc["each"])) == 2
    assert auroc["mean"] == pytest.approx(np.mean(auroc["each"]))


def test_cross_validated_predictions_are_out_of_fold(crossed):
    report, _, folder = crossed
    written = pl.read_parquet(folder / "predictions.parquet")
    assert written["predicted_boolean_probability"].to_numpy() == pytest.approx(report[TASK].answers[:, 0])
    assert "3-fold cross-validation" in (folder / "report.html").read_text()


@pytest.fixture(scope="module")
def crossed_kinds(hospital, cache, tmp_path_factory):
    """A cross-validation in two folds of a task of each kind, and its recorded progress."""
    study, progress = EVERY_KIND.model_copy(update={"inputs": ("structured", "note")}), RecordedProgress()
    folder = tmp_path_factory.mktemp("kinds")
    return *cross(study, hospital, folder, folds=2, cache=cache, progress=progress), progress


def test_samples_are_classified_at_the_thresholds_of_their_fold(crossed_kinds, hospital):
    report, fitted, folder, _ = crossed_kinds
    written = pl.read_parquet(folder / "predictions.parquet")
    everyone, called = set(report.samples["subject_id"]), 0
    for one in fitted[:2]:
        left_out = sorted(everyone - set(one.samples["subject_id"]))
        own = one.bundle.predict(hospital, subjects=left_out, tasks=THRESHOLDED).frame
        pooled = written.filter(pl.col("subject_id").is_in(left_out) & pl.col("task").is_in(THRESHOLDED))
        assert pooled["predicted_boolean_value"].to_list() == own["predicted_boolean_value"].to_list()
        assert own["predicted_boolean_value"].null_count() == 0
        called += own.height
    assert called == written.filter(pl.col("task").is_in(THRESHOLDED)).height
    thresholds = [one.bundle.ensemble.tasks[TASK].thresholds for one in fitted[:2]]
    assert thresholds[0] != thresholds[1]


def test_conformal_sets_are_those_of_the_fold_that_left_the_sample_out(crossed_kinds):
    report, fitted, *_ = crossed_kinds
    ids = report.samples["subject_id"]
    for name in ("demo_deterioration", "demo_diagnosis", "demo_stay"):
        pooled = report[name].predictions.sets
        for one in fitted[:2]:
            rows = np.flatnonzero(~ids.is_in(one.samples["subject_id"].unique().implode()).to_numpy())
            scores = one.bundle.reference.conformity[name].scores
            thresholds = one.bundle.ensemble.tasks[name].thresholds
            kind = one.bundle.task(name).kind
            expected = prediction_sets(kind, report[name].answers[rows], scores, thresholds)
            assert all(np.array_equal(mask[rows], own) for mask, own in zip(pooled.sets, expected, strict=True))
    assert report["demo_survival"].predictions.sets is None


def test_threshold_metrics_follow_from_the_written_predictions(crossed_kinds, hospital):
    report, _, folder, _ = crossed_kinds
    written = pl.read_parquet(folder / "predictions.parquet")
    sampled = samples(hospital, EVERY_KIND.tasks)
    for task in THRESHOLDED:
        rows, target = report[task].evaluation.classes or [report[task].evaluation], sampled.targets[task]
        of_task = written.filter(pl.col("task") == task)
        for output, row in enumerate(rows):
            name = getattr(row, "level", "yes")
            called = of_task.filter(pl.col("output") == name)["predicted_boolean_value"].to_numpy()[target.observed]
            truth = target.values[target.observed, output] == 1
            assert row.figures["sensitivity"].value == called[truth].mean()
            assert row.figures["specificity"].value == (~called[~truth]).mean()


def test_survival_of_all_folds_is_evaluated_at_the_same_times(crossed_kinds, hospital):
    report, fitted, folder, _ = crossed_kinds
    bins = [one.bundle.ensemble.bins("demo_survival") for one in fitted]
    assert bins[0] != bins[1], "bins differ between folds"
    written = pl.read_parquet(folder / "predictions.parquet").filter(pl.col("task") == "demo_survival")
    assert set(written["output"]) == {f"by {end:g} d" for end in bins[-1]}, (
        "the bins of the bundle fitted to all subjects"
    )
    measured = report["demo_survival"]
    assert (np.diff(measured.answers, axis=1) >= 0).all(), "risks do not decrease"
    target = samples(hospital, EVERY_KIND.tasks).targets["demo_survival"]
    duration, event = target.values[target.observed].T
    survival = 1 - measured.answers[target.observed]
    alive = np.trapezoid(np.column_stack([np.ones(len(survival)), survival]), [0, *bins[-1]], axis=1)
    evaluation = measured.evaluation
    assert evaluation["harrell_c"].value == pytest.approx(concordance_index(duration, alive, event))
    assert evaluation[f"brier@{bins[-1][0]:g}"].estimable
    assert "integrated_brier" in evaluation.figures
    for ends, one in zip(bins[:2], fitted[:2], strict=True):
        left_out = ~report.samples["subject_id"].is_in(one.samples["subject_id"].unique().implode()).to_numpy()
        frame = renumber_samples(report.samples.filter(left_out))
        own = one.bundle.ensemble.answer(one.bundle.arrays(hospital, frame))["demo_survival"].answers
        for end, risks in zip(bins[-1], measured.answers[left_out].T, strict=True):
            last = np.searchsorted(ends, end)  # the risk lies between those at the ends of the fold's own bin
            assert (risks <= own[:, min(last, len(ends) - 1)] + 1e-12).all()
            assert (risks >= (own[:, last - 1] if last else 0) - 1e-12).all()


def test_the_card_states_the_rule_of_the_thresholds(crossed_kinds, trained):
    report, _, folder, _ = crossed_kinds
    rule = "the highest threshold of at least 80% sensitivity in development."
    assert (folder / "card.md").read_text().count(rule) == len(THRESHOLDED)
    assert "the threshold in the models that had not seen them (." in report[TASK].card.operating
    findings = report["demo_findings"].card.operating
    assert findings.startswith("Everyone at or above the label's threshold in the models that had not seen them ")
    assert report["demo_stay"].card.operating == ""
    (threshold,) = trained.bundle().ensemble.tasks[TASK].thresholds
    sentence = f"Everyone at or above the threshold ({decimal(threshold)}) was called positive: {rule}"
    assert sentence in (trained.folder / "card.md").read_text()
    assert rule in (trained.folder / "report.html").read_text()


def test_every_step_reports_its_progress(crossed_kinds):
    *_, progress = crossed_kinds
    assert {"cross-validation, repeat 1", "subsets of inputs", "measuring", "plots of demo_stay", "page"} <= set(
        progress.steps
    )
    assert progress.done == progress.totals


def test_a_study_of_all_splits_has_no_held_out_report(hospital, cache, trained, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "bundle")
    study = SIMPLE.model_copy(update={"development": ("train", "tuning", "held_out")})
    assert train_and_measure(study, hospital, folder, cache=cache) is None
    assert Bundle.load(folder, cache).origin["development_subjects"] > 60
    assert set(files_of(folder)) == {
        "bundle.json",
        "calibration.json",
        "description.json",
        "designs.json",
        "features.json",
        "golden.json",
        "model.safetensors",
        "reference.json",
        "reference.safetensors",
        "study.yaml",
        "timings.json",
        *(
            f"classical/{TASK}/{name}.safetensors"
            for name in ("logistic_regression", "logistic_regression-note", "logistic_regression-structured")
        ),
    }, "results of the earlier bundle are removed"

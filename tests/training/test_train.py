"""The main job: everything is in one folder, a run that was killed goes on, and everyone is judged by strangers."""

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
from polyclinic.tasks import renumber_samples, samples
from polyclinic.training import cross_validation
from polyclinic.training import fit as fit_module
from polyclinic.training.cross_validation import cross_validate
from polyclinic.training.evaluation.evaluate import Report
from polyclinic.training.fit import WORK, fit_checked_study
from polyclinic.training.output_folder import write_report
from polyclinic.training.train import train_and_measure
from tests.hospital import EVERY_KIND, SIMPLE, STUDY, files_of, rewritten

TASK = "demo_deterioration"
THRESHOLDED = ("demo_deterioration", "demo_findings")
DRAWN = ("plots/", "report.html", "logs/")
"""What a bundle is not made of."""


class RecordedProgress:
    """A progress that notes every long step, and fails at one of them."""

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


def test_everything_promised_is_there(trained):
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
        "report.html",
        "predictions.parquet",
        *(f"logs/fold{fold}/version_0/metrics.csv" for fold in range(2)),
        *(
            f"classical/{TASK}/{member}.skops"
            for member in (
                "gradient_boosting",
                "logistic_regression",
                *(f"logistic_regression-{modality}" for modality in STUDY.modalities),
            )
        ),
    }
    assert Study.load(trained.folder / "study.yaml") == STUDY


def test_what_was_measured_is_written_as_it_was_measured(trained, hospital):
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
    assert '"http' not in page.replace('"http://www.w3.org', ""), "the page shows itself without a network"


def test_predictions_of_the_held_out_are_those_of_the_bundle(trained, hospital):
    written = pl.read_parquet(trained.folder / "predictions.parquet")
    assert written["subject_id"].to_list() == trained.report.samples["subject_id"].to_list()
    assert set(written["subject_id"]) <= set(hospital.subjects_in("held_out"))
    asked = trained.bundle().predict(hospital, subjects=written["subject_id"].to_list()).frame
    assert written.drop("predicted_boolean_probability").equals(asked.drop("predicted_boolean_probability"))
    assert written["predicted_boolean_probability"].to_numpy() == pytest.approx(
        asked["predicted_boolean_probability"].to_numpy(), abs=1e-6
    )


def test_tasks_of_other_kinds_are_written_too(every_kind, tmp_path):
    kinds = ("demo_survival", "demo_stay")
    some = Report(every_kind.report.samples, {task: every_kind.report[task] for task in kinds})
    heard = RecordedProgress()
    write_report(some, tmp_path, "Some.", heard)
    assert heard.steps == ["plots of demo_survival", "plots of demo_stay", "page"]
    assert heard.done == heard.totals
    assert set(json.loads((tmp_path / "metrics.json").read_text())) == set(kinds)
    assert set(pl.read_parquet(tmp_path / "predictions.parquet")["task"]) == set(kinds)
    for task in kinds:
        assert list((tmp_path / "plots" / task).iterdir())


SCRIPT = "from polyclinic.cli import main; main()"


@pytest.fixture(scope="module")
def killed(hospital, cache, tmp_path_factory):
    """A folder in which training was killed when one of its two networks was finished."""
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


def test_a_killed_run_goes_on_and_leaves_the_same_bits(killed, trained, hospital, cache, tmp_path):
    folder, heard = shutil.copytree(killed, tmp_path / "again"), RecordedProgress()
    train_and_measure(STUDY, hospital, folder, cache=cache, progress=heard)
    assert heard.networks == ["network, fold 2"]
    assert not (folder / WORK).exists()
    again, before = (
        {name: content for name, content in files_of(one).items() if not name.startswith(DRAWN)}
        for one in (folder, trained.folder)
    )
    assert again.keys() == before.keys()
    assert {name for name in before if again[name] != before[name]} == set()


@pytest.mark.parametrize("change", ["seed", "cohort"])
def test_another_study_or_cohort_begins_anew(change, killed, hospital, cache, tmp_path):
    folder, heard = shutil.copytree(killed, tmp_path / "other"), RecordedProgress(stop_at="classical models")
    study = STUDY.model_copy(update={"seed": 1}) if change == "seed" else STUDY
    cohort = hospital
    if change == "cohort":
        cohort = rewritten(hospital, tmp_path / "cohort", lambda events: events.head(events.height - 1))
    with pytest.raises(KeyboardInterrupt):
        train_and_measure(study, cohort, folder, cache=cache, progress=heard)
    assert heard.networks == ["network, fold 1", "network, fold 2"]
    assert len(list((folder / WORK).iterdir())) == 1, "checkpoints of the other study are removed"


def test_cross_validation_goes_on_but_not_with_other_folds(hospital, cache, tmp_path):
    study = STUDY.model_copy(update={"inputs": ("structured",)})
    both = ["network, fold 1", "network, fold 2"]
    for folds, begun in ((2, both), (2, []), (3, both)):
        heard = RecordedProgress(stop_at="classical models")
        with pytest.raises(KeyboardInterrupt):
            cross_validate(study, hospital, tmp_path, folds=folds, cache=cache, progress=heard)
        assert heard.networks == begun


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
    """A cross-validation in three folds, twice; and what each fit learnt from."""
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


def test_everyone_is_judged_once_by_models_that_never_saw_them(crossed, hospital):
    report, fitted, _ = crossed
    everyone = set(report.samples["subject_id"])
    assert len(everyone) == report.samples.height == report[TASK].evaluation.n > 60
    judged = []
    for one in fitted[:3]:
        strangers = everyone - set(one.samples["subject_id"])
        judged += strangers
        said = one.bundle.predict(hospital, subjects=sorted(strangers)).frame
        rows = report.samples["subject_id"].is_in(sorted(strangers)).to_numpy()
        assert report[TASK].answers[rows, 0] == pytest.approx(said["predicted_boolean_probability"].to_numpy())
    assert sorted(judged) == sorted(everyone)


def test_the_bundle_learnt_from_everyone(crossed, cache):
    report, fitted, folder = crossed
    assert len(fitted) == 2 * 3 + 1
    assert fitted[-1].samples["subject_id"].to_list() == report.samples["subject_id"].to_list()
    assert Bundle.load(folder, cache).origin == fitted[-1].bundle.origin
    assert [one.bundle.golden is not None for one in fitted] == [False] * 6 + [True], "of the bundle that is kept"


def test_repeats_have_other_folds_and_their_mean_is_written(crossed):
    report, fitted, folder = crossed
    parts = [frozenset(one.samples["subject_id"]) for one in fitted[:6]]
    assert len(set(parts)) == 6
    repeats = json.loads((folder / "repeats.json").read_text())[TASK]
    assert set(repeats) == {contender.name for contender in report[TASK].comparison.contenders}
    auroc = repeats["unified"]["auroc"]
    assert auroc["each"][0] == report[TASK].evaluation["auroc"].value
    assert len(set(auroc["each"])) == 2
    assert auroc["mean"] == pytest.approx(np.mean(auroc["each"]))


def test_predictions_of_a_cross_validation_are_those_out_of_fold(crossed):
    report, _, folder = crossed
    written = pl.read_parquet(folder / "predictions.parquet")
    assert written["predicted_boolean_probability"].to_numpy() == pytest.approx(report[TASK].answers[:, 0])
    assert "3-fold cross-validation" in (folder / "report.html").read_text()


@pytest.fixture(scope="module")
def crossed_kinds(hospital, cache, tmp_path_factory):
    """A cross-validation of a task of each kind in two folds, that hears of every long step."""
    study, heard = EVERY_KIND.model_copy(update={"inputs": ("structured", "note")}), RecordedProgress()
    folder = tmp_path_factory.mktemp("kinds")
    return *cross(study, hospital, folder, folds=2, cache=cache, progress=heard), heard


def test_everyone_is_called_by_the_models_that_had_not_seen_them(crossed_kinds, hospital):
    report, fitted, folder, _ = crossed_kinds
    written = pl.read_parquet(folder / "predictions.parquet")
    everyone, called = set(report.samples["subject_id"]), 0
    for one in fitted[:2]:
        strangers = sorted(everyone - set(one.samples["subject_id"]))
        said = one.bundle.predict(hospital, subjects=strangers, tasks=THRESHOLDED).frame
        theirs = written.filter(pl.col("subject_id").is_in(strangers) & pl.col("task").is_in(THRESHOLDED))
        assert theirs["predicted_boolean_value"].to_list() == said["predicted_boolean_value"].to_list()
        assert said["predicted_boolean_value"].null_count() == 0
        called += said.height
    assert called == written.filter(pl.col("task").is_in(THRESHOLDED)).height
    thresholds = [one.bundle.ensemble.tasks[TASK].thresholds for one in fitted[:2]]
    assert thresholds[0] != thresholds[1]


def test_figures_at_the_threshold_are_those_of_the_calls_that_are_written(crossed_kinds, hospital):
    report, _, folder, _ = crossed_kinds
    written = pl.read_parquet(folder / "predictions.parquet")
    sampled = samples(hospital, EVERY_KIND.tasks)
    for task in THRESHOLDED:
        rows, target = report[task].evaluation.classes or [report[task].evaluation], sampled.targets[task]
        mine = written.filter(pl.col("task") == task)
        for output, row in enumerate(rows):
            name = getattr(row, "level", "yes")
            called = mine.filter(pl.col("output") == name)["predicted_boolean_value"].to_numpy()[target.observed]
            truth = target.values[target.observed, output] == 1
            assert row.figures["sensitivity"].value == called[truth].mean()
            assert row.figures["specificity"].value == (~called[~truth]).mean()


def test_survival_of_all_folds_is_measured_at_the_same_times(crossed_kinds, hospital):
    report, fitted, folder, _ = crossed_kinds
    bins = [one.bundle.ensemble.bins("demo_survival") for one in fitted]
    assert bins[0] != bins[1], "the folds have bins of their own"
    written = pl.read_parquet(folder / "predictions.parquet").filter(pl.col("task") == "demo_survival")
    assert set(written["output"]) == {f"by {end:g} d" for end in bins[-1]}, "those of the bundle that learnt from all"
    measured = report["demo_survival"]
    assert (np.diff(measured.answers, axis=1) >= 0).all(), "a risk never falls"
    target = samples(hospital, EVERY_KIND.tasks).targets["demo_survival"]
    duration, event = target.values[target.observed].T
    survival = 1 - measured.answers[target.observed]
    alive = np.trapezoid(np.column_stack([np.ones(len(survival)), survival]), [0, *bins[-1]], axis=1)
    evaluation = measured.evaluation
    assert evaluation["harrell_c"].value == pytest.approx(concordance_index(duration, alive, event))
    assert evaluation[f"brier@{bins[-1][0]:g}"].estimable
    assert "integrated_brier" in evaluation.figures
    for ends, one in zip(bins[:2], fitted[:2], strict=True):
        strangers = ~report.samples["subject_id"].is_in(one.samples["subject_id"].unique().implode()).to_numpy()
        frame = renumber_samples(report.samples.filter(strangers))
        own = one.bundle.ensemble.answer(one.bundle.arrays(hospital, frame))["demo_survival"].answers
        for end, risks in zip(bins[-1], measured.answers[strangers].T, strict=True):
            last = np.searchsorted(ends, end)  # the risk lies between those by the ends of the fold's bin around it
            assert (risks <= own[:, min(last, len(ends) - 1)] + 1e-12).all()
            assert (risks >= (own[:, last - 1] if last else 0) - 1e-12).all()


def test_the_card_says_on_which_rule_the_thresholds_stand(crossed_kinds, trained):
    report, _, folder, _ = crossed_kinds
    rule = "the highest threshold that found at least 80 % of those with the outcome in development."
    assert (folder / "card.md").read_text().count(rule) == len(THRESHOLDED)
    assert "the threshold in the models that had not seen them (." in report[TASK].card.operating
    findings = report["demo_findings"].card.operating
    assert findings.startswith("Everyone at or above the label's threshold in the models that had not seen them ")
    assert report["demo_stay"].card.operating == ""
    (threshold,) = trained.bundle().ensemble.tasks[TASK].thresholds
    told = f"Everyone at or above the threshold ({decimal(threshold)}) was called positive: {rule}"
    assert told in (trained.folder / "card.md").read_text()
    assert rule in (trained.folder / "report.html").read_text()


def test_every_long_step_shows_how_far_it_has_come(crossed_kinds):
    *_, heard = crossed_kinds
    assert {"cross-validation, repeat 1", "subsets of inputs", "measuring", "plots of demo_stay", "page"} <= set(
        heard.steps
    )
    assert heard.done == heard.totals


def test_learning_from_everyone_leaves_nobody_to_measure_on(hospital, cache, trained, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "bundle")
    study = SIMPLE.model_copy(update={"development": ("train", "tuning", "held_out")})
    assert train_and_measure(study, hospital, folder, cache=cache) is None
    assert Bundle.load(folder, cache).origin["development_subjects"] > 60
    assert set(files_of(folder)) == {
        "bundle.json",
        "calibration.json",
        "designs.json",
        "features.json",
        "golden.json",
        "model.safetensors",
        "reference.json",
        "reference.safetensors",
        "study.yaml",
        *(
            f"classical/{TASK}/{name}.skops"
            for name in ("logistic_regression", "logistic_regression-note", "logistic_regression-structured")
        ),
    }, "nothing measured of another bundle stays beside this one"

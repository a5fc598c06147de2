"""Each benchmark runs on little data; its measurements are not checked here."""

import json
import re
import subprocess
import sys
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from benchmarks import demo_bundle, missing_modalities, startup
from benchmarks.__main__ import BENCHMARKS, _chosen, _split
from benchmarks.common import Table, alternated, clocked, median, only_some, ratio, verdict
from benchmarks.crossvalidation import UNIFIED, out_of_fold
from benchmarks.scale import growth, within_n_log_n
from benchmarks.startup import GOALS_S
from benchmarks.startup_stages import STAGES

from polyclinic import Study
from polyclinic.tasks import samples
from tests.hospital import SIMPLE

ROOT = Path(__file__).parents[1]


def run(name: str, *options: str) -> None:
    import_module(f"benchmarks.{name}").main(options)


def test_the_list_names_every_benchmark():
    found = subprocess.run(
        [sys.executable, "-m", "benchmarks", "nonsense"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 1
    assert all(name in found.stderr for name in BENCHMARKS)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as left:
        run(name, "--help")
    assert left.value.code == 0
    assert f"python -m benchmarks {name}" in capsys.readouterr().out


def test_long_benchmarks_run_only_when_named():
    assert set(_chosen([])) == {name for name, one in BENCHMARKS.items() if one.minutes <= 15}
    assert _chosen(["all"]) == list(BENCHMARKS)
    assert _split(["speed", "--repeats", "3"]) == (["speed"], ["--repeats", "3"])


def test_a_cohorts_cost_per_event(capsys):
    run("cohort_scale", "--millions", "0.01", "--repeats", "1", "--order", "time")
    assert "10,000" in capsys.readouterr().out


def test_a_studys_cost_by_number_of_patients(tmp_path, capsys):
    options = ("--epochs", "1", "--results", str(tmp_path / "kept.json"), "--plot", str(tmp_path / "scale"))
    run("scale", "--patients", "60", "--most-fitted", "40", *options)
    shown = capsys.readouterr().out
    for stage in ("write the sources", "ingest", "evaluate", "predict"):
        assert re.search(rf"^{stage} +\d", shown, re.MULTILINE)
    assert not re.search(r"^fit ", shown, re.MULTILINE), "a fit to some is not compared"
    assert (tmp_path / "scale.svg").exists()
    assert (tmp_path / "scale.png").exists()
    kept = json.loads((tmp_path / "kept.json").read_text())["60"]
    assert kept["peak_mb"] >= max(row["peak_mb"] for row in kept["rows"]) > 100


def test_growth_is_judged_against_n_log_n():
    sizes = (1_000, 10_000)
    assert growth(3.0, 300.0, sizes) == pytest.approx(2.0)
    assert within_n_log_n(10.0, 133.0, sizes)
    assert not within_n_log_n(10.0, 170.0, sizes)
    assert not within_n_log_n(0.01, 10.0, sizes)
    assert within_n_log_n(0.001, 1.9, sizes)


@pytest.fixture
def little(monkeypatch):
    """Benchmarks that train fit one classical model in two folds, beside the network."""
    study = partial(Study, folds=2, classical=("logistic_regression",))
    monkeypatch.setattr(demo_bundle, "Study", study)
    monkeypatch.setattr(missing_modalities, "Study", study)


def test_start_up(trained, hospital, capsys, monkeypatch):
    monkeypatch.setattr(startup, "UNMEASURED", 0)
    run("startup", "--repeats", "1", "--bundle", str(trained.folder), "--cohort", str(hospital.path))
    shown = capsys.readouterr().out
    for row in (*GOALS_S, *STAGES):
        assert re.search(rf"^{row} +\d+\.\d\d ", shown, re.MULTILINE)


def test_one_assessment(capsys, little):
    run("assessment", "--patients", "40", "--repeats", "2", "--explained", "1", "--tasks", "demo_deterioration")
    shown = capsys.readouterr().out
    assert "one assessment, ms" in shown
    assert "one assessment, explained, s" in shown


def test_several_processes(capsys):
    few = ("--patients", "40", "--images", "6", "--repeats", "1", "--tasks", "demo_deterioration")
    run("processes", "--parts", "encoding", "--jobs", "2", *few)
    assert "6 images, s" in capsys.readouterr().out


def test_time_of_localisation(capsys):
    run("localisation", "--side", "96", "--repeats", "2")
    shown = capsys.readouterr().out
    assert "spiral, 1" in shown
    assert "all 101 stops" in shown


def test_one_model_against_those_of_each_subset(capsys, cache, little):
    run(
        "missing_modalities",
        *("--patients", "80", "--unseen", "60", "--folds", "2", "--epochs", "1", "--inputs", "structured", "series"),
    )
    shown = capsys.readouterr().out
    assert "structured + series" in shown
    assert "smallest difference" in shown


def test_cross_validation_predicts_every_sample(hospital, cache):
    found = out_of_fold(SIMPLE, hospital, 2, seed=0, cache=cache)
    assert len(found.truth) == samples(hospital, SIMPLE.tasks).frame.height
    assert len(found.seconds) == 2
    for answers in found.answers.values():
        assert np.isfinite(answers).all()
    assert UNIFIED in found.answers


def test_some_subjects_are_kept_whole(hospital, tmp_path):
    few = only_some(hospital, 3, tmp_path / "few")
    assert few.subjects.height == 3
    for subject in few.subjects["subject_id"]:
        assert few.subject(subject).equals(hospital.subject(subject))


def test_figures(capsys):
    seconds = alternated(4, lambda _: None, lambda _: clocked(lambda: sum(range(20_000))))
    assert seconds.shape == (4, 2)
    assert ratio(seconds[:, 1], seconds[:, 0]).value > 1
    middle = median([3.0, 1.0, 2.0])
    assert middle.value == 2
    assert (middle.low, middle.high) == (1, 3)
    table = Table("title", "what", "figure", "goal")
    table.row("speed", f"{3.5:.1f}", verdict(met=False))
    assert capsys.readouterr().out.splitlines()[-1].split() == ["speed", "3.5", "MISSED"]

"""What all verbs have in common: help, exit codes, errors, and that nothing heavy is imported for nothing."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import version

import polars as pl
import pytest

from polyclinic.cohort import Cohort, CohortError
from polyclinic.ingest import IngestError
from polyclinic.models.bundle.bundle import BundleError
from polyclinic.study import Study, StudyError
from polyclinic.tasks import TaskError

VERBS = ("demo", "ingest", "summary", "tasks", "train", "evaluate", "predict", "compare-classical")
HEAVY = ("torch", "lightning", "polars", "pyarrow", "numpy", "pandas", "scipy", "sklearn", "matplotlib", "transformers",
         "jinja2")  # fmt: skip
LOADED = """
import json, sys
import polyclinic
before = sorted({name.partition(".")[0] for name in sys.modules})
sys.argv = ["polyclinic", *%r]
try:
    from polyclinic.cli import main
    main()
finally:
    print("\\nLOADED", json.dumps([before, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb, polyclinic):
    done = polyclinic(verb, "--help")
    assert done.code == 0
    assert f"Example: polyclinic {verb} " in done.out
    assert done.err == ""


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_json_option(verb, polyclinic):
    assert "--json" in polyclinic(verb, "--help").out


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_meaningful_metavars(verb, polyclinic):
    helped = polyclinic(verb, "--help").out
    options = helped[helped.index("─ Options ─") :]
    assert not re.search(r"<|TEXT|INTEGER|Path\(|None", options)


@pytest.mark.parametrize(
    "words",
    [
        ["demo", "--patients", "0"],
        ["demo", "--source-only", "--run"],
        ["ingest", "table", "nowhere.csv", "--into", "nowhere"],
        ["summary", "nowhere"],
        ["tasks", "nowhere"],
        ["train", "nowhere"],
        ["train", "nowhere", "--task", "demo_stay"],
        ["evaluate", "nowhere", "nowhere"],
        ["predict", "nowhere", "nowhere", "--out", "nowhere.parquet"],
        ["compare-classical", "nowhere", "--task", "demo_stay"],
    ],
    ids=" ".join,
)
def test_standard_output_is_empty_after_a_failure(words, polyclinic, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = polyclinic(*words, "--json")
    assert (done.code, done.out) == (2, "")
    assert done.err
    assert not list(tmp_path.iterdir())


def test_help_lists_every_verb(polyclinic):
    done = polyclinic("--help")
    assert done.code == 0
    assert all(f" {verb} " in done.out for verb in VERBS)
    assert "Example: polyclinic demo --run" in done.out


def test_no_verb_shows_the_help(polyclinic):
    done = polyclinic()
    assert done.code == 2
    assert "compare-classical" in done.out + done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "No such command 'trian'"),
        (["train"], "Missing argument 'COHORT'"),
        (["train", "somewhere", "--fold", "3"], "No such option: --fold"),
        (["train", "somewhere", "--task", "demo_stay", "--folds", "1"], "Invalid value for '--folds'"),
        (["train", "somewhere"], "name at least one task"),
        (["ingest", "table", "x.csv"], "give the folder of the cohort"),
        (["ingest", "dicom", "x.csv", "--guess"], "guesses the mapping of a table only"),
        (["predict", "a", "b"], "Missing option '--out'"),
    ],
)
def test_invalid_usage_is_explained(words, message, polyclinic):
    done = polyclinic(*words)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"]])
def test_help_imports_nothing_heavy(words):
    ended = subprocess.run([sys.executable, "-c", LOADED % words], capture_output=True, text=True, check=True)
    package, helped = json.loads(ended.stdout.rpartition("LOADED")[2])
    assert "polyclinic" in package
    assert not {*HEAVY, "pydantic", "yaml", "typer", "rich"} & set(package)
    assert not set(HEAVY) & set(helped)


@pytest.mark.parametrize(
    "problem",
    [
        BundleError("no bundle at x"),
        CohortError("no cohort at x"),
        IngestError("nothing readable in x"),
        StudyError("unknown split"),
        TaskError("no task 'x': choose from [these]"),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_own_errors_are_printed_unchanged(problem, polyclinic, monkeypatch):
    def fail(path):
        raise problem

    monkeypatch.setattr(Cohort, "open", fail)
    assert polyclinic("summary", "x").refusal == str(problem)


def test_failures_of_the_file_system_are_described(polyclinic, monkeypatch):
    def fail(path):
        raise FileNotFoundError(2, "No such file or directory", "x.yaml")

    monkeypatch.setattr(Cohort, "open", fail)
    assert polyclinic("summary", "x").refusal == "x.yaml does not exist: check the path"


def test_the_version_is_printed(polyclinic):
    done = polyclinic("--version")
    assert (done.code, done.out) == (0, f"polyclinic {version('polyclinic')}\n")


def test_pydantic_errors_name_the_field_and_the_choices(polyclinic):
    refusal = polyclinic("train", "x", "--task", "demo_stay", "--inputs", "note,genome").refusal
    assert "inputs.1" in refusal
    assert "choose from structured, series, note, image" in refusal
    assert "pydantic" not in refusal


@pytest.mark.parametrize("problem", [KeyError("Jane Doe"), pl.exceptions.ComputeError("cannot read 'Jane Doe'")])
def test_unexpected_errors_are_not_quoted(problem, polyclinic, monkeypatch):
    def fail(path):
        raise problem

    monkeypatch.setattr(Cohort, "open", fail)
    refusal = polyclinic("summary", "x").refusal
    assert refusal.startswith(f"unexpected {type(problem).__name__}")
    assert "POLYCLINIC_DEBUG=1" in refusal
    assert "Jane" not in refusal


def test_errors_of_libraries_are_not_quoted(polyclinic, monkeypatch):
    monkeypatch.setattr(Cohort, "open", lambda path: pl.DataFrame({"age": ["ninety"]}).cast(pl.Int64))
    assert "ninety" not in polyclinic("summary", "x").refusal


def test_debugging_raises_the_error(polyclinic, monkeypatch):
    monkeypatch.setenv("POLYCLINIC_DEBUG", "1")
    with pytest.raises(CohortError, match="no cohort at"):
        polyclinic("summary", "nowhere")


def test_ctrl_c_exits_with_130_and_explains_how_to_resume(polyclinic, monkeypatch):
    def interrupt(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(Cohort, "open", interrupt)
    done = polyclinic("summary", "x")
    assert (done.code, done.out) == (130, "")
    assert done.err == "stopped; run the same command again to go on\n"


def test_a_closed_pipe_is_no_error(hospital):
    """As in `polyclinic tasks --json | head -1`."""
    script = f"{sys.executable} -c 'from polyclinic.cli import main; main()' tasks --json | head -c 1"
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, env=os.environ)
    assert ended.stdout == "{"
    assert "Traceback" not in ended.stderr


def test_a_study_yaml_is_checked_first(polyclinic, tmp_path):
    (tmp_path / "study.yaml").write_text("tasks: demo_stay\nnetwork: {fusion: 3, epoch: 2}\n")
    refusal = polyclinic("train", "nowhere", "--config", tmp_path / "study.yaml").refusal
    assert f"{tmp_path / 'study.yaml'}: network.fusion: " in refusal
    assert "network.epoch: Extra inputs are not permitted" in refusal


def test_options_override_the_study_yaml(tmp_path):
    from polyclinic.cli.train import chosen_study

    Study(tasks=("demo_stay",), inputs=("note",), seed=3).save(tmp_path / "study.yaml")
    study = chosen_study(tmp_path / "study.yaml", ["demo_findings"], None, 5, everyone=True)
    assert [task.name for task in study.tasks] == ["demo_findings"]
    assert (study.inputs, study.seed, study.development) == (("note",), 5, ("train", "tuning", "held_out"))
    assert chosen_study(tmp_path / "study.yaml", None, None, None) == Study.load(tmp_path / "study.yaml")

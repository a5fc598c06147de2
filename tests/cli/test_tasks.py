"""`polyclinic tasks`."""

import polars as pl
import pytest

from polyclinic.cohort import SPLITS
from polyclinic.tasks import BUILT_IN, Labels, Task


def test_the_built_in_tasks_are_listed(polyclinic):
    done = polyclinic("tasks")
    assert done.code == 0
    assert all(name in done.out for name in BUILT_IN)
    assert set(polyclinic("tasks", "--json").json) == set(BUILT_IN)


def test_a_task_is_printed_as_text_and_as_yaml(polyclinic, tmp_path):
    assert polyclinic("tasks", "demo_stay").out.strip() == Task.load("demo_stay").describe()
    (tmp_path / "mine.yaml").write_text(polyclinic("tasks", "demo_findings", "--yaml").out)
    assert Task.load(tmp_path / "mine.yaml") == Task.load("demo_findings")
    assert polyclinic("tasks", tmp_path / "mine.yaml", "--json").json["name"] == "demo_findings"


def test_a_cohort_is_labelled(polyclinic, hospital):
    done = polyclinic("tasks", "demo_deterioration", "--cohort", hospital.path)
    assert done.code == 0
    assert "labelled" in done.out
    counts = polyclinic("tasks", "demo_deterioration", "--cohort", hospital.path, "--json").json
    assert counts["labelled"] + sum(counts["unknown"].values()) + sum(counts["excluded"].values()) == 72


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("demo_deterioration", {"yes", "no"}),
        ("demo_diagnosis", set(Task.load("demo_diagnosis").classes)),
        ("demo_findings", set(Task.load("demo_findings").classes)),
        ("demo_survival", {"event", "censored"}),
        ("demo_stay", set()),
    ],
)
def test_the_answers_are_counted_by_split(name, answers, polyclinic, hospital):
    counts = polyclinic("tasks", name, "--cohort", hospital.path, "--json").json
    frame = Labels.read(hospital, Task.load(name)).frame
    assert list(counts["splits"]) == list(SPLITS)
    for split, counted in counts["splits"].items():
        inside = frame.filter(pl.col("subject_id").is_in(hospital.subjects_in(split)))
        result = {answer: inside.filter(_says(answer, Task.load(name).kind)).height for answer in answers}
        assert counted == {"labelled": inside.height, "answers": result}
    shown = polyclinic("tasks", name, "--cohort", hospital.path).out
    for answer in answers:
        (row,) = [line.split() for line in shown.splitlines() if line.strip("│ ").startswith(f"{answer} ")]
        assert str(sum(counted["answers"][answer] for counted in counts["splits"].values())) in row


def _says(answer, kind):
    if kind in ("binary", "time_to_event"):
        return pl.col("boolean_value") == (answer in ("yes", "event"))
    return pl.col("categorical_value").str.split("|").list.contains(answer)


def test_an_unknown_task_is_refused_with_the_choices(polyclinic):
    assert polyclinic("tasks", "demo_stya").refusal.endswith(f"or one of {', '.join(sorted(BUILT_IN))}")


def test_a_leaking_task_is_refused(polyclinic, tmp_path):
    (tmp_path / "leak.yaml").write_text("name: leak\nkind: binary\ntarget: {codes: LAB//lactate//mmol/L, above: 2}\n")
    assert "is the outcome and also an input" in polyclinic("tasks", tmp_path / "leak.yaml").refusal


def test_options_without_effect_are_refused(polyclinic, tmp_path):
    assert "needs a TASK" in polyclinic("tasks", "--cohort", tmp_path).usage
    assert "needs a TASK" in polyclinic("tasks", "--yaml").usage
    assert "prints only the task" in polyclinic("tasks", "demo_stay", "--yaml", "--json").usage
    assert "prints only the task" in polyclinic("tasks", "demo_stay", "--yaml", "--cohort", tmp_path).usage

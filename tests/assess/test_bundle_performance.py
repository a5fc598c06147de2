"""Figures at thresholds and the cost of missing inputs come from measurements, or are marked."""

import json
import shutil

import polars as pl
import pytest

from polyclinic.assess import assess
from polyclinic.assess.bundle_performance import Measurements
from polyclinic.evaluation import Estimate
from polyclinic.files import write_json
from polyclinic.models.bundle.bundle import Bundle
from tests.hospital import rewritten

TASK = "demo_deterioration"


@pytest.fixture
def copy(trained, tmp_path):
    """A copy of the trained bundle and its measurements, to be modified."""
    return shutil.copytree(trained.folder, tmp_path / "copy")


@pytest.fixture(scope="module")
def notes_only(hospital, held_out, tmp_path_factory):
    """A cohort in which one patient has only notes."""
    lost = (pl.col("subject_id") == held_out[0]) & ~pl.col("code").str.starts_with("NOTE//")
    kept = ~lost | pl.col("code").str.starts_with("OUTCOME//")
    return rewritten(hospital, tmp_path_factory.mktemp("notes"), lambda events: events.filter(kept))


@pytest.fixture
def noted(notes_only, held_out, times):
    """Assess that patient at its prediction time."""

    def call(bundle):
        return assess(bundle, notes_only, held_out[0], times[held_out[0]], explain=False)

    return call


def change(folder, name, into):
    plain = json.loads((folder / name).read_text())
    into(plain)
    write_json(folder / name, plain)


def test_figures_are_from_held_out_subjects(trained, hospital, held_out):
    figures = json.loads((trained.folder / "metrics.json").read_text())[TASK]["figures"]
    operating = assess(trained.bundle(), hospital, held_out[0], explain=False)[TASK].outputs[0].operating
    assert operating.measured == "held_out"
    assert operating.sensitivity == Estimate(**figures["sensitivity"])
    assert operating.ppv == Estimate(**figures["ppv"])


def test_figures_measured_at_another_threshold_are_not_used(copy, trained, hospital, held_out):
    change(copy, "metrics.json", lambda plain: plain[TASK].update(threshold=plain[TASK]["threshold"] + 0.01))
    bundle = Bundle.load(copy, trained.cache)
    operating = assess(bundle, hospital, held_out[0], explain=False)[TASK].outputs[0].operating
    assert operating.measured == "out_of_fold"
    assert operating.sensitivity == Estimate(**bundle.reference.operating[TASK][0]["sensitivity"])
    assert operating.sensitivity.value >= 0.8, "so the threshold was chosen"


def test_figures_of_cross_validation_are_marked_as_such(copy, trained, hospital, held_out):
    change(copy, "metrics.json", lambda plain: plain[TASK].update(threshold=0.99))
    write_json(copy / "repeats.json", {})
    operating = (
        assess(Bundle.load(copy, trained.cache), hospital, held_out[0], explain=False)[TASK].outputs[0].operating
    )
    assert operating.measured == "cross_validation"


def test_each_label_has_its_own_figures(every_kind, hospital, held_out):
    bundle = every_kind.bundle()
    outputs = assess(bundle, hospital, held_out[0], explain=False)["demo_findings"].outputs
    assert {one.operating.measured for one in outputs} == {"out_of_fold"}
    assert len({one.operating.threshold for one in outputs}) == len(outputs)
    assert [one.operating.ppv for one in outputs] == [
        Estimate(**row["ppv"]) for row in bundle.reference.operating["demo_findings"]
    ]
    others = [a for a in assess(bundle, hospital, held_out[0], explain=False).answers if "findings" not in a.task]
    assert all(one.operating is None for answer in others[1:] for one in answer.outputs)


def test_figures_of_labels_are_found_by_name(every_kind):
    bundle = every_kind.bundle()
    task = bundle.task("demo_findings")
    metrics = {task.name: every_kind.report[task.name].evaluation.to_dict()}
    found = Measurements(metrics, {}, crossed=False).operating(
        task, bundle.ensemble.tasks[task.name].thresholds, bundle.reference, 2, 0.5
    )
    row = next(one for one in every_kind.report[task.name].evaluation.classes if one.level == task.classes[2])
    assert found.measured == "held_out"
    assert found.ppv == row.figures["ppv"]


def test_cost_of_missing_inputs_is_that_of_the_subset(noted, trained):
    table = json.loads((trained.folder / "comparison.json").read_text())[TASK]["inputs"]
    rows = {row["name"]: row for row in table["contenders"]}
    cost = noted(trained.bundle())[TASK].cost
    assert cost.missing == ("structured", "series", "image")
    assert cost.figure == "auroc"
    assert cost.given == Estimate(**rows["note"]["figures"]["auroc"])
    assert cost.whole == Estimate(**rows["structured + series + note + image"]["figures"]["auroc"])
    assert cost.difference.figure == Estimate(**rows["note"]["differences"]["auroc"]["figure"])


@pytest.mark.parametrize(("low", "abstains"), [(0.49, True), (0.51, False)])
def test_inputs_no_better_than_chance_abstain(low, abstains, copy, trained, noted):
    def note_alone(plain):
        (row,) = (row for row in plain[TASK]["inputs"]["contenders"] if row["members"] == ["note"])
        row["figures"]["auroc"].update(value=0.7, low=low, high=0.9, reason="")

    change(copy, "comparison.json", note_alone)
    answer = noted(Bundle.load(copy, trained.cache))[TASK]
    reasons = [one.text for one in answer.abstentions if one.reason == "too_little"]
    assert bool(reasons) == abstains
    if abstains:
        assert "Only note recorded; with no more than that the model was not shown to be better" in reasons[0]


def test_no_cost_without_missing_inputs(trained, hospital, held_out):
    bundle = trained.bundle()
    for subject in held_out[:3]:
        found = assess(bundle, hospital, subject, explain=False)
        assert (found[TASK].cost is None) == (not found.records[0].missing)


@pytest.mark.parametrize("content", ["", "[]", "{", "\x00"])
def test_damaged_measurement_files_are_ignored(content, copy, trained, hospital, held_out):
    for name in ("metrics.json", "comparison.json"):
        (copy / name).write_text(content)
    found = assess(Bundle.load(copy, trained.cache), hospital, held_out[0], explain=False)
    assert found[TASK].outputs[0].operating.measured == "out_of_fold"
    assert "not measured on held-out subjects" in found.lacks[0]

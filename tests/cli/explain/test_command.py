"""`polyclinic explain`: scores, reliability and refusals."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from PIL import Image

from polyclinic import Bundle, Cohort, Study
from polyclinic.cli.explain.command import BASELINES, METHODS
from polyclinic.evaluation import Estimate
from polyclinic.explain.answer.attribution import attribute_answer
from polyclinic.explain.audit.record import Audit, Verdict
from polyclinic.explain.counterfactual import counterfactuals, plausible_ranges
from polyclinic.explain.display.labels import writer
from polyclinic.explain.inputs.baseline import NAMES
from polyclinic.explain.localisation.coordinates import region_in_picture
from polyclinic.explain.localisation.localisation import localise
from polyclinic.explain.localisation.operating_point import OperatingPoint
from polyclinic.explain.localisation.pixel_spacing import spacing_of
from polyclinic.explain.methods.registry import EXPLAINERS, attribute
from polyclinic.explain.sample import Sample
from polyclinic.explain.shapley.classical_models import explain_member, rule_path
from polyclinic.explain.shapley.modalities import modality_shapley
from polyclinic.tasks.prediction_times import NO_ANCHOR
from polyclinic.training.fit import fit_study
from tests.hospital import rewritten, times_of

TASK = "demo_deterioration"
RULES = Study(
    tasks=(TASK,),
    inputs=("structured", "note"),
    network=None,
    folds=2,
    classical=("decision_tree", "logistic_regression"),
)


@pytest.fixture(scope="module")
def rules(hospital, cache, tmp_path_factory):
    """Folder of a bundle without a network."""
    return fit_study(RULES, hospital, cache=cache).bundle.save(tmp_path_factory.mktemp("rules") / "bundle")


@pytest.fixture(scope="module")
def bundle(every_kind):
    return every_kind.bundle()


@pytest.fixture(scope="module")
def sample_with(bundle, hospital):
    """A function that finds a subject with some modalities and without others."""
    times = times_of(hospital)

    def find(*wanted: str, lacking: tuple[str, ...] = ()) -> Sample:
        for subject, at in times.select("subject_id", "prediction_time").iter_rows():
            sample = Sample.of(bundle, hospital.subject(subject), subject, at, hospital.blob)
            if set(wanted) <= set(sample.present) and not set(lacking) & set(sample.present):
                return sample
        raise AssertionError("no subject has these modalities")

    return find


def read(bundle: Bundle, hospital: Cohort, sample: Sample) -> Sample:
    """Return the sample as another bundle reads it."""
    subject = sample.subject_id
    return Sample.of(bundle, hospital.subject(subject), subject, sample.prediction_time, hospital.blob)


@pytest.fixture
def explain(polyclinic, every_kind, hospital):
    """A function that runs the verb for a sample."""

    def call(sample, *words, folder=every_kind.folder):
        return polyclinic("explain", folder, hospital.path, sample.subject_id, *words)

    return call


@pytest.fixture
def audited(every_kind, bundle, tmp_path):
    """Folder of a copy of the bundle whose audit chose `map_gradients` with a sensitivity, and failed Grad-CAM."""
    folder = shutil.copytree(every_kind.folder, tmp_path / "audited")
    share = Estimate.of("recall", 0.8, (0.7, 0.9), 20, "bootstrap")
    reasons = {"integrated_gradients": True, "map_gradients": True, "grad_cam": False}
    verdicts = tuple(Verdict(name, passed, f"is {passed} for a reason") for name, passed in reasons.items())
    chosen = OperatingPoint(bundle.digest, "map_gradients", 0.05, 0.3, 1.0, share, share, "tuning")
    Audit(bundle.digest, "", "held_out", (TASK,), 1, 1, 0, verdicts=verdicts, operating_point=chosen).save(folder)
    return folder


def test_the_methods_are_those_of_the_library():
    named = {method for methods in METHODS.values() for method in methods}
    assert named == {*EXPLAINERS, "shapley", "counterfactual"}
    assert BASELINES == NAMES


def test_all_gives_the_contribution_of_each_modality(bundle, explain, sample_with):
    sample = sample_with("structured", "note", lacking=("image",))
    found = modality_shapley(bundle, sample, TASK)
    done, result = explain(sample), explain(sample, "--json").json
    assert done.code == 0
    assert f"patient {sample.subject_id}, {sample.prediction_time:%Y-%m-%d %H:%M}" in done.out
    assert f"{TASK}: Will this patient deteriorate within seven days?" in done.out
    assert f"yes: {100 * found.answer.whole:.1f} %; contribution of each kind of input" in done.out
    assert "baseline: none" in done.out
    assert "completeness: exact" in done.out
    assert result["all"]["answer"]["values"] == pytest.approx(found.by_modality)
    assert result["answer"] == pytest.approx(found.answer.whole)
    assert (result["method"], result["output"], result["present"]) == ("shapley", "yes", list(sample.present))
    assert abs(result["residual"]) < 1e-5


def test_scores_of_each_modality_are_those_of_the_whole_answer(bundle, explain, sample_with):
    sample = sample_with("structured", "series", "note", lacking=("image",))
    found = attribute_answer(bundle, sample, TASK)
    result = {}
    for modality in ("structured", "series", "note"):
        result[modality] = explain(sample, "--modality", modality, "--json").json
        own = result[modality][modality]
        assert own["total"] == pytest.approx(found.by_modality[modality], abs=1e-6)
        columns = [column._asdict() for column in found.columns if column.modality == modality]
        assert own["columns"] == [
            {"name": one["name"], "value": pytest.approx(one["value"]), "score": pytest.approx(one["score"], abs=1e-6)}
            for one in columns
        ]
        assert own["score"] + sum(one["score"] for one in own["columns"]) == pytest.approx(own["total"], abs=1e-6)
        assert result[modality]["completeness"]["gap"] == pytest.approx(found.completeness.gap, abs=1e-6)
        assert result[modality]["sanity"] == {"checked": False, "passed": None, "reason": None}
    assert result["note"]["note"]["columns"]
    features = {one["name"]: one["score"] for one in result["structured"]["structured"]["features"]}
    known = dict(zip(found["structured"].names, found["structured"].scores.tolist(), strict=True))
    assert features == pytest.approx(known, abs=1e-6)
    done = explain(sample, "--modality", "note")
    assert f"a gap of {100 * found.completeness.gap:.1f} %" in done.out
    assert "the answer changed from" in done.out
    assert "baseline: usual" in done.out
    assert result["note"]["note"]["columns"][0]["name"] in done.out
    total = found.by_modality["note"]
    assert f"all contributions of the notes: {writer([total])(total)} log-odds" in done.out
    assert "integrated_gradients is not audited on this bundle; run `polyclinic explain-audit`" in done.out


def test_an_ecg_is_explained_by_lead_and_segment(bundle, explain, sample_with, tmp_path):
    sample = sample_with("structured", "waveform", lacking=("image",))
    found = attribute_answer(bundle, sample, TASK)
    result = explain(sample, "--modality", "waveform", "--json").json
    assert result["waveform"]["total"] == pytest.approx(found.by_modality["waveform"], abs=1e-6)
    assert len(result["waveform"]["recordings"]) == len(found["waveform"].recordings)
    done = explain(sample, "--modality", "waveform", "--out", tmp_path / "ecg.png")
    assert done.code == 0
    for shown in ("contributions of the electrocardiograms", "electrocardiogram 1 of", "V5", "largest segments", "gap"):
        assert shown in done.out
    with Image.open(tmp_path / "ecg.png") as drawn:
        assert np.ptp(np.asarray(drawn.convert("L"))) > 200


def test_an_absent_ecg_is_reported(explain, sample_with):
    done = explain(sample_with("structured", lacking=("waveform",)), "--modality", "waveform")
    assert done.code == 0
    assert "electrocardiograms" in done.out


def test_another_output_task_baseline_and_time(bundle, explain, sample_with):
    sample = sample_with("structured", "note", lacking=("image",))
    words = ("--modality", "note", "--json")
    result = explain(sample, *words, "--task", "demo_diagnosis", "--output", "sepsis", "--baseline", "mean").json
    assert (result["task"], result["output"], result["baseline"]) == ("demo_diagnosis", "sepsis", "mean")
    answers = bundle.ensemble.answer(sample.arrays)["demo_diagnosis"].answers[0]
    outputs = bundle.task("demo_diagnosis").outputs
    assert result["answer"] == pytest.approx(float(answers[outputs.index("sepsis")]))
    result = explain(sample, "--task", "demo_diagnosis", "--json").json
    assert result["output"] == outputs[int(answers.argmax())]
    at = sample.prediction_time.replace(second=0)
    assert explain(sample, "--at", at.isoformat(), "--json").json["prediction_time"] == at.isoformat()
    stay = explain(sample, "--task", "demo_stay")
    assert "days" in stay.out


def test_images_have_regions_in_pixels_and_millimetres(bundle, explain, sample_with, tmp_path):
    sample = sample_with("image")
    path = tmp_path / "map.png"
    words = ("--modality", "image", "--task", "demo_findings", "--method", "grad_cam", "--sensitivity", "0.4")
    result = explain(sample, *words, "--json").json
    found = attribute(bundle, sample, "demo_findings", result["output"], method="grad_cam")
    assert len(result["image"]["pictures"]) == len(found.pictures)
    for picture, one in zip(found.pictures, result["image"]["pictures"], strict=True):
        spacing = spacing_of(sample, picture.blob)
        regions = [region_in_picture(region, picture.canvas, (spacing.mm,) * 2)
                   for region in localise(picture.scores, 0.4)]  # fmt: skip
        assert one["regions"] == json.loads(json.dumps([region.to_dict() for region in regions if region]))
        assert one["spacing"] == {"mm": spacing.mm, "measured": "detector"}
        assert (one["width"], one["height"]) == (picture.canvas.width, picture.canvas.height)
    done = explain(sample, *words, "--out", path)
    first = result["image"]["pictures"][0]["regions"][0]
    y, x = first["circle"]["centre"]
    assert f"{x:.0f}, {y:.0f}, {first['circle']['radius']:.0f}" in done.out
    y, x = first["circle_mm"]["centre"]
    assert f"{x:.0f}, {y:.0f}, {first['circle_mm']['radius']:.0f}" in done.out
    assert "in the plane of the detector" in done.out
    assert "sensitivity 0.4: as requested" in done.out
    assert str(path) in "".join(done.out.split())
    drawn = np.asarray(Image.open(path).convert("RGB"), dtype=int)
    assert np.ptp(drawn, axis=2).max() > 60  # a map in colour on a grey picture


def test_images_use_the_sensitivity_of_the_audit(explain, sample_with, audited):
    sample, words = sample_with("image"), ("--modality", "image", "--task", "demo_findings")
    result = explain(sample, *words, "--json", folder=audited).json
    assert result["method"] == "map_gradients"
    assert (result["image"]["sensitivity"], result["image"]["smoothing"]) == (0.3, 0.05)
    assert result["image"]["sensitivity_is"].startswith("chosen by the audit on tuning")
    assert result["sanity"] == {"checked": True, "passed": True, "reason": "is True for a reason"}
    failed = explain(sample, *words, "--method", "grad_cam", folder=audited)
    assert "grad_cam FAILED the audit's sanity check: do not rely on it; it is False for a reason" in failed.out
    assert "sensitivity 0.5: default; the audit chose one for map_gradients only" in failed.out


def test_an_absent_modality_is_a_result(explain, sample_with, tmp_path):
    sample = sample_with("structured", lacking=("note",))
    done = explain(sample, "--modality", "note", "--out", tmp_path / "note.png")
    assert done.code == 0
    assert f"absent: no note was recorded by then; there are {', '.join(sample.present)}" in done.out
    assert not list(tmp_path.iterdir())
    result = explain(sample, "--modality", "note", "--json").json
    assert result["note"] is None
    assert result["absent"].startswith("no note was recorded by then")


def test_classical_models_and_the_rules_of_a_tree(explain, rules, hospital, sample_with, tmp_path):
    sample, loaded = sample_with("structured"), Bundle.load(rules)
    own = read(loaded, hospital, sample)
    words = ("--modality", "structured")
    path = tmp_path / "members.svg"
    done, result = (
        explain(sample, *words, "--out", path, folder=rules),
        explain(sample, *words, "--json", folder=rules).json,
    )
    assert result["method"] == "shapley"  # there is no network
    asked = [name for name, one in loaded.ensemble.tasks[TASK].members.items() if "structured" in one.design.modalities]
    assert [one["member"] for one in result["structured"]["members"]] == asked
    for one in result["structured"]["members"]:
        found = explain_member(loaded, own, TASK, one["member"])
        assert [row["score"] for row in one["columns"]] == pytest.approx([row.score for row in found.weightiest])
        assert one["base"] + sum(row["score"] for row in one["columns"]) == pytest.approx(one["value"], abs=1e-5)
    way = rule_path(loaded, own, TASK)
    assert [rule["name"] for rule in result["structured"]["rules"]["rules"]] == [rule.name for rule in way.rules]
    assert f"({way.samples:,} training samples)" in done.out
    assert path.read_text(encoding="utf-8").startswith("<?xml")


def test_counterfactual_changes(explain, rules, hospital, sample_with):
    sample, loaded = sample_with("structured"), Bundle.load(rules)
    own = read(loaded, hospital, sample)
    expected = counterfactuals(loaded, own, TASK, plausible_ranges(loaded, hospital))
    words = ("--modality", "structured", "--method", "counterfactual")
    result = explain(sample, *words, "--json", folder=rules).json["structured"]
    assert [one["code"] for one in result["counterfactuals"]] == [one.code for one in expected]
    assert [one["changed"] for one in result["counterfactuals"]] == [one.changed for one in expected]
    done = explain(sample, *words, folder=rules)
    expected_text = "changed to" if expected else "no plausible change of a single measurement"
    assert expected_text in done.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--modality", "smell"], "unknown modality 'smell': choose from all, structured, series, note, image"),
        (["--method", "lime"], "unknown method 'lime': choose from shapley"),
        (["--modality", "note", "--method", "grad_cam"], "grad_cam does not explain note: choose from"),
        (["--modality", "note", "--baseline", "black"], "unknown baseline 'black': choose from usual"),
        (["--baseline", "mean"], "only integrated_gradients has a baseline"),
        (["--modality", "note", "--sensitivity", "0.5"], "only images have regions"),
        (["--modality", "image", "--sensitivity", "2"], "give a number from 0"),
        (["--out", "plot.gif"], "name a file that ends in .png, .svg, .pdf"),
        (["--at", "yesterday"], "not a time: write it as 2024-03-05T08:15"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_invalid_options_are_refused(words, message, polyclinic):
    assert message in polyclinic("explain", "nowhere", "nowhere", 1, *words, "--json").usage


def test_refusals(polyclinic, rules, hospital, tmp_path):
    subject, words = hospital.subjects_in("held_out")[0], ("explain", rules, hospital.path)
    assert polyclinic(*words, 7).refusal.startswith(f"no such subject in {hospital.path}")
    assert "before the subject's first event" in polyclinic(*words, subject, "--at", "1999-12-31").refusal
    assert "has no task 'weather'" in polyclinic(*words, subject, "--task", "weather").refusal
    assert "has no output 'no': choose from yes" in polyclinic(*words, subject, "--output", "no").refusal
    assert "the bundle reads no image: choose from" in polyclinic(*words, subject, "--modality", "image").refusal
    assert "no network" in polyclinic(*words, subject, "--modality", "note").refusal
    assert polyclinic("explain", tmp_path, hospital.path, subject).refusal.startswith(f"no bundle at {tmp_path}")
    assert polyclinic("explain", rules, tmp_path, subject).refusal.startswith(f"no cohort at {tmp_path}")


def test_a_cohort_of_other_codes_is_refused(polyclinic, rules, hospital, tmp_path):
    other = rewritten(
        hospital,
        tmp_path,
        lambda events: (
            events.filter(~pl.col("code").str.starts_with("NOTE//"))
            .with_columns(
                code=pl.when(pl.col("code").str.starts_with("OUTCOME//") | pl.col("time").is_null())
                .then("code")
                .otherwise(pl.lit("LAB//theirs//g"))
            )
            .filter(pl.col("time").is_not_null())
        ),
    )
    subject = hospital.subjects_in("held_out")[0]
    assert "has no code that the bundle reads" in polyclinic("explain", rules, other.path, subject).refusal


def test_a_corrupt_image_is_named(polyclinic, every_kind, hospital, sample_with, tmp_path):
    sample = sample_with("image")
    copy = shutil.copytree(hospital.path, tmp_path / "cohort", symlinks=True)
    names = [str(blob) for blob in sample.arrays["image"]["blob"][0] if blob]
    for name in names:
        (damaged,) = copy.rglob(name)
        damaged.unlink()
        damaged.write_bytes(b"no picture")
    words = ("explain", every_kind.folder, copy, sample.subject_id, "--modality", "image", "--method", "grad_cam")
    done = polyclinic(*words)
    assert done.code == 0
    text = " ".join(done.out.split())
    assert "no usable image was recorded by then" in text
    assert all(f"image {name} is damaged" in text for name in names)
    assert "ingest its source again" in text


def test_an_inapplicable_task_is_a_result(polyclinic, rules, hospital, tmp_path):
    subject = hospital.subjects_in("held_out")[0]
    kept = (pl.col("subject_id") != subject) | pl.col("code").str.starts_with("OUTCOME//")
    words = ("explain", rules, rewritten(hospital, tmp_path, lambda events: events.filter(kept)).path, subject)
    done, result = polyclinic(*words), polyclinic(*words, "--json").json
    assert done.code == 0
    assert f"the task does not apply to this patient: {NO_ANCHOR}" in done.out
    assert result["absent"] == f"the task does not apply to this patient: {NO_ANCHOR}"
    assert result["prediction_time"] is None


def test_help_imports_nothing_heavy():
    script = """
import sys
sys.argv = ["polyclinic", "explain", "--help"]
from polyclinic.cli import main
try:
    main()
finally:
    print("LOADED", *(name for name in ("torch", "numpy", "polars", "matplotlib") if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=os.environ, check=True)
    assert done.stdout.splitlines()[-1].split() == ["LOADED"]
    assert "Example: polyclinic explain " in done.stdout


def test_an_audit_covers_only_its_baseline(audited, explain, sample_with):
    sample = sample_with("image")
    words = ("--modality", "image", "--method", "integrated_gradients", "--json")
    usual, zero = (explain(sample, *words, "--baseline", name, folder=audited).json for name in ("usual", "zero"))
    assert usual["sanity"]["checked"]
    shown = explain(sample, *words[:-1], folder=audited).out
    assert "the audit examined the explanations of the networks alone" in shown
    assert zero["sanity"] == {"checked": False, "passed": None, "reason": None}

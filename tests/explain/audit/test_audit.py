"""A whole audit: measures, skipped measures, verdicts, operating point, and page."""

import json
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from polyclinic import Bundle, Study
from polyclinic.evaluation import Estimate
from polyclinic.explain.audit.audit import RANDOM, audit
from polyclinic.explain.audit.faithfulness import KINDS, STAGES
from polyclinic.explain.audit.ground_truth import Truth
from polyclinic.explain.audit.lesions import (
    EDGES,
    LOCATORS,
    FindingMaps,
    LesionMapper,
    choose_operating_point,
    task_of_findings,
)
from polyclinic.explain.audit.page import audit_page
from polyclinic.explain.audit.record import AUDIT, Audit, Sanity, stored_verdicts, verdicts_of
from polyclinic.explain.localisation.operating_point import OPERATING_POINT_FILE, stored_operating_point
from polyclinic.explain.localisation.regions import Box
from polyclinic.explain.sample import ExplanationError
from polyclinic.training.fit import fit_study
from tests.hospital import SMALL

TASK = "demo_deterioration"
METHODS = ("integrated_gradients", "gradient_input")


@pytest.fixture(scope="module")
def folder(hospital):
    return hospital.path.parent / "truth"


def test_segments_of_ecgs_are_deleted_and_inserted(hospital, cache):
    study = Study(tasks=(TASK,), inputs=("structured", "waveform"), network=SMALL, folds=2, classical=())
    bundle = fit_study(study, hospital, cache=cache).bundle
    method = METHODS[1]
    found = audit(bundle, hospital, None, limit=12, methods=(method,))
    measured = {(curve.kind, curve.order): curve for curve in found.courses if curve.modality == "waveform"}
    assert set(measured) == {(kind, order) for kind in KINDS for order in (method, RANDOM)}
    assert all(0 < curve.area.n < 12 for curve in measured.values())
    assert {one.method for one in found.sanity if one.modality == "waveform"} == {method}
    assert {one.modality for one in found.stability} == {"structured", "waveform"}


@pytest.fixture(scope="module")
def small(hospital, cache, tmp_path_factory):
    """A saved, barely trained bundle with few inputs."""
    study = Study(tasks=(TASK,), inputs=("structured", "note"), network=SMALL, folds=2, classical=())
    bundle = fit_study(study, hospital, cache=cache).bundle
    bundle.save(tmp_path_factory.mktemp("audited") / "bundle")
    return bundle


@pytest.fixture(scope="module")
def audited(small, hospital, folder):
    return audit(small, hospital, None, truth=folder, limit=12, methods=METHODS)


def test_every_modality_is_measured_in_every_order_and_with_random_weights(audited, small, hospital):
    assert (audited.bundle, audited.cohort, audited.subjects) == (small.digest, hospital.fingerprint, 12)
    assert {(one.modality, one.order) for one in audited.courses} == {
        (modality, order) for modality in small.inputs for order in (*METHODS, RANDOM)
    }
    assert all(one.gain.value == 0 for one in audited.courses if one.order == RANDOM)
    assert {(one.method, one.modality, one.stage) for one in audited.sanity} == {
        (method, modality, stage) for method in METHODS for modality in small.inputs for stage in STAGES
    }
    assert {one.method for one in audited.verdicts} == set(METHODS)
    assert {one.of for one in audited.agreement} == {" · ".join(METHODS)}
    assert all(-1 <= (one.shown.value or 0) <= 1 for one in audited.stability)


def test_gains_match_the_curves(audited):
    areas = {(one.modality, one.kind, one.order): one.area.value for one in audited.courses}
    for one in audited.courses:
        sign = -1 if one.kind == "deletion" else 1
        chance = areas[one.modality, one.kind, RANDOM]
        assert one.gain.value == pytest.approx(sign * (one.area.value - chance), abs=1e-9)
        assert one.area.value == pytest.approx(np.trapezoid(one.curve.y, one.curve.x), abs=1e-9)


def test_words_and_causes_are_compared_with_the_truth(audited):
    measured = {(one.name, one.method): one for one in audited.known}
    every, anyone = (measured[f"{which} trigger word in the top 3", METHODS[0]] for which in ("every", "any"))
    assert 0 < every.chance.value <= anyone.chance.value < 1
    assert every.figure.value <= anyone.figure.value
    share = measured["share of scores on causes, structured", METHODS[0]]
    assert 0 < share.chance.value < 0.5
    assert 0 <= share.figure.value <= 1
    assert any("pictures" in reason for reason in audited.skipped)


def test_without_truth_skipped_measures_are_listed(small, hospital):
    audited = audit(small, hospital, None, limit=2, methods=("gradient_input",))
    assert not audited.known
    assert audited.operating_point is None
    (reason,) = audited.skipped
    assert "no truth was given" in reason


def test_json_round_trip_and_page(audited):
    assert Audit.from_json(audited.to_json()) == audited
    page = audit_page(audited, "Are they true?")
    assert page.count("<svg") == 2 * 2 + 1
    assert "src=" not in page
    assert "<script" not in page
    assert f"{audited.subjects} subjects" in page


def test_verdicts_apply_only_to_the_audited_weights(audited, small, tmp_path, cache):
    audited.save(small.folder)
    loaded = Bundle.load(small.folder, cache)
    assert stored_verdicts(loaded) == {one.method: one for one in audited.verdicts}
    assert stored_operating_point(loaded) is None
    shutil.copytree(small.folder, tmp_path / "other")
    changed = json.loads((tmp_path / "other" / AUDIT).read_text()) | {"bundle": "another"}
    (tmp_path / "other" / AUDIT).write_text(json.dumps(changed))
    assert stored_verdicts(Bundle.load(tmp_path / "other", cache)) == {}


def test_a_method_fails_if_similar_in_one_modality():
    def row(method, modality, value, stage=STAGES[-1]):
        figure = (
            Estimate.missing("r", 0, "no units") if value is None else Estimate("r", value, None, None, 9, "", "few")
        )
        return Sanity(method, modality, stage, figure, figure)

    rows = [row("good", "note", 0.1), row("good", "image", 0.49), row("good", "note", 0.99, STAGES[0])]
    rows += [row("bad", "note", 0.1), row("bad", "image", 0.5), row("mute", "note", None)]
    assert {one.method: one.passed for one in verdicts_of(rows, STAGES[-1])} == {
        "good": True,
        "bad": False,
        "mute": False,
    }
    (reason,) = [one.reason for one in verdicts_of(rows, STAGES[-1]) if one.method == "bad"]
    assert "image" in reason
    assert "note" not in reason


def test_truth_of_the_demo_is_read(hospital, folder, tmp_path):
    truth = Truth.read(folder, hospital)
    boxes = pl.read_parquet(folder / "boxes.parquet")
    assert sum(map(len, truth.lesions.values())) == boxes.height
    assert len(truth.lesions) == pl.read_parquet(folder / "pictures.parquet").height
    notes = hospital.events().filter(pl.col("code").str.starts_with("NOTE//")).collect()
    written = {
        (row[0], row[1].removeprefix("NOTE//")): row[2]
        for row in notes.select("subject_id", "code", "text_value").rows()
    }
    words = pl.read_parquet(folder / "triggers.parquet").filter(~pl.col("negated"))
    assert sum(map(len, truth.triggers.values())) == words.height > 20
    for subject, section, start, end, word in words.select("patient_id", "section", "start", "end", "word").rows():
        assert written[subject, section][start:end] == word
    with pytest.raises(ExplanationError, match="no truth in"):
        Truth.read(tmp_path, hospital)
    boxes.drop("x0").write_parquet(tmp_path / "boxes.parquet")
    shutil.copy(folder / "pictures.parquet", tmp_path)
    with pytest.raises(ExplanationError, match="lacks x0"):
        Truth.read(tmp_path, hospital)


def test_lesions_are_mapped_in_their_images(every_kind, hospital, folder):
    truth, bundle = Truth.read(folder, hospital), every_kind.bundle()
    task = task_of_findings(bundle.tasks, truth)
    assert task.name == "demo_findings"
    locators = {name: LOCATORS[name] for name in ("map_gradients", "grad_cam")}
    mapped = LesionMapper(bundle, hospital, truth, task, locators, limit=4, seed=0).maps_of(None)
    assert len({one.subject for one in mapped}) == 4
    for one in mapped:
        assert set(one.maps) == {*locators, EDGES}
        known = {
            lesion.finding for (who, _), lesions in truth.lesions.items() for lesion in lesions if who == one.subject
        }
        assert (one.finding in known) == bool(one.lesions) or not known
        assert all(0 <= at <= 224 for box in one.lesions for at in (*box.start, *box.stop))


def test_the_operating_point_is_of_the_best_map_whose_method_passed(audited, small):
    lesion, wrong = Box.of_xyxy(10, 10, 20, 20), np.zeros((64, 64))
    right = wrong.copy()
    right[12:15, 12:15], wrong[40:43, 40:43] = 1, 1
    cases = [FindingMaps(n, "nodule", [lesion], {"grad_cam": right, "map_gradients": wrong}) for n in range(12)]
    locators = {name: LOCATORS[name] for name in ("map_gradients", "grad_cam")}
    chosen = choose_operating_point(replace(audited, verdicts=()), cases, locators)
    assert (
        chosen.method,
        chosen.sensitivity,
        chosen.recall.value,
        chosen.chosen_on,
    ) == ("grad_cam", 0, 1, "tuning")
    failed = verdicts_of(
        [Sanity("grad_cam", "image", STAGES[-1], *[Estimate("r", 0.9, None, None, 9, "", "few")] * 2)], STAGES[-1]
    )
    assert choose_operating_point(replace(audited, verdicts=failed), cases, locators).method == "map_gradients"
    assert choose_operating_point(audited, [], locators) is None
    replace(audited, operating_point=chosen).save(small.folder)
    assert stored_operating_point(small) == chosen
    (small.folder / OPERATING_POINT_FILE).unlink()


def test_refusals(small, hospital, trained):
    with pytest.raises(ExplanationError, match="unknown method 'lime'"):
        audit(small, hospital, methods=("lime",))
    blind = trained.bundle()
    blind.ensemble.networks.clear()
    with pytest.raises(ExplanationError, match="no network"):
        audit(blind, hospital)

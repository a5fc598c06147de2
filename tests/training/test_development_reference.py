"""The development reference: from which samples it is computed, what it holds, and the coverage of conformal sets."""

import json
import math
import re

import numpy as np
import pytest
from scipy.stats import beta

from polyclinic import Study
from polyclinic.evaluation.metrics.conformal import conformal_quantile, left_out
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.bundle.development_reference import FILES
from polyclinic.models.ensemble.members import presence_of
from polyclinic.study import StudyError
from polyclinic.tasks import samples
from polyclinic.training.development_reference import OutOfFoldPredictions, conformity_of
from polyclinic.training.fit import fit_study
from tests.hospital import SIMPLE, build_hospital

TASK = "demo_deterioration"
RESERVING = SIMPLE.model_copy(update={"conformal": "tuning"})


@pytest.fixture(scope="module")
def reserving(hospital, cache):
    return fit_study(RESERVING, hospital, cache=cache)


def test_the_reserved_split_is_not_used_in_training(reserving, hospital):
    used = set(reserving.samples["subject_id"])
    assert used <= set(hospital.subjects_in("train"))
    assert reserving.bundle.origin["development"] == ["train"]
    assert reserving.bundle.origin["development_subjects"] == len(used)


def test_conformal_scores_are_those_of_the_reserved_subjects(reserving, hospital):
    conformity = reserving.bundle.reference.conformity[TASK]
    sampled = samples(hospital, SIMPLE.tasks)
    truth = dict(zip(sampled.frame["subject_id"], sampled.targets[TASK].values[:, 0], strict=True))
    predicted = reserving.bundle.predict(hospital, subjects=hospital.subjects_in("tuning")).frame
    rows = [row for row in predicted.iter_rows(named=True) if row["subject_id"] in truth and row["inputs"] != "none"]
    p = [(row["predicted_boolean_probability"], truth[row["subject_id"]]) for row in rows]
    assert conformity.split == "tuning"
    assert conformity.scores[0][0] == pytest.approx(sorted(value for value, happened in p if not happened))
    assert conformity.scores[0][1] == pytest.approx(sorted(1 - value for value, happened in p if happened))


def test_without_a_reserved_split_conformal_scores_are_out_of_fold(hospital, cache):
    fitted = fit_study(SIMPLE, hospital, cache=cache)
    task, target = fitted.bundle.ensemble.tasks[TASK], fitted.examples.targets[TASK]
    present = presence_of(fitted.examples.arrays)
    p = task.combine(fitted.member_predictions[TASK], present)[:, 0]
    able = np.logical_or.reduce(list(present.values()))
    used, positive = able & target.observed, target.values[:, 0] == 1
    conformity = fitted.bundle.reference.conformity[TASK]
    assert conformity.split is None
    assert conformity.scores[0][0] == pytest.approx(np.sort(p[used & ~positive]))
    assert conformity.scores[0][1] == pytest.approx(np.sort(1 - p[used & positive]))


def test_a_reserved_split_without_labels_is_refused(hospital, cache):
    train = hospital.subjects_in("train")
    with pytest.raises(
        StudyError, match=f"no subject in tuning has a label for {TASK}: reserve another split, or none"
    ):
        fit_study(RESERVING, hospital, subjects=train, cache=cache)


def test_reserving_the_only_development_split_is_refused():
    with pytest.raises(ValueError, match="conformal reserves train, and no other split is left for fitting"):
        Study(tasks=TASK, development=("train",), conformal="train")


def test_the_reference_is_saved_in_the_bundle(every_kind):
    bundle = every_kind.bundle()
    again = bundle.reference
    assert again.samples == bundle.origin["development_samples"]
    assert again.subjects == bundle.origin["development_subjects"]
    assert set(again.codes) >= {"DEMOGRAPHIC//sex", "VITAL//spo2//%"}
    assert all(0.5 <= share <= 1 for share in again.codes.values())
    single = ("demo_deterioration", "demo_diagnosis", "demo_stay")
    assert [len(again.conformity[name].scores) for name in single] == [1, 1, 1]
    assert len(again.conformity["demo_findings"].scores) == len(bundle.task("demo_findings").classes)
    assert {len(own) for own in again.conformity["demo_findings"].scores} == {2}
    assert len(again.conformity["demo_diagnosis"].scores[0]) == len(bundle.task("demo_diagnosis").classes)
    assert "demo_survival" not in again.conformity
    assert again.calibrators["demo_survival"] == again.calibrators["demo_stay"] == ()
    assert len(again.calibrators["demo_findings"]) == 100
    assert len(again.novelty.latents) == len(again.novelty.structured) == 2


def test_the_reference_holds_no_subject_ids(trained, hospital):
    text = (trained.folder / FILES[0]).read_text()
    whole_numbers = set(re.findall(r"(?<![\d.])\d+(?![\d.])", text))
    assert not whole_numbers & set(map(str, hospital.subjects["subject_id"]))


def test_a_bundle_without_a_reference_can_be_loaded(trained, tmp_path, hospital):
    bundle = trained.bundle()
    bundle.reference = None
    old = bundle.save(tmp_path / "old")
    assert not any((old / name).exists() for name in FILES)
    assert not set(FILES) & json.loads((old / "bundle.json").read_text())["files"].keys()
    read = Bundle.load(old, trained.cache)
    assert read.reference is None
    assert read.predict(hospital).frame.equals(trained.bundle().predict(hospital).frame)


def test_the_digest_does_not_depend_on_the_folder(trained, tmp_path):
    bundle = trained.bundle()
    digest = bundle.digest
    assert Bundle.load(bundle.save(tmp_path / "copy"), trained.cache).digest == digest
    unsaved = trained.bundle()
    unsaved._digest = ""
    assert unsaved.digest == digest
    assert unsaved.folder == trained.folder, "computing the digest does not change the folder"
    other = trained.bundle()
    other.study = other.study.model_copy(update={"seed": 99})
    other.save(tmp_path / "other")
    assert other.digest != digest


@pytest.mark.slow
def test_conformal_sets_have_the_stated_coverage_of_new_patients(tmp_path, cache):
    """A cohort of 300: scores of 150 held-out subjects, half of those of a class for its q̂, over 20 seeds."""
    cohort = build_hospital(tmp_path, 300, seed=3, radiographs=False)
    everyone = cohort.subjects["subject_id"].sort().to_list()
    bundle = fit_study(SIMPLE, cohort, subjects=everyone[::2], cache=cache).bundle
    sampled = samples(cohort, SIMPLE.tasks)
    unseen = sampled.take(sampled.rows(everyone[1::2]))
    arrays = bundle.arrays(cohort, unseen.frame)
    answers = {name: prediction.answers for name, prediction in bundle.ensemble.answer(arrays).items()}
    able = np.ones(unseen.frame.height, dtype=bool)
    by_class = conformity_of(
        bundle.tasks[0],
        OutOfFoldPredictions(unseen.frame["subject_id"].to_numpy(), unseen.targets, answers, able),
        "tuning",
    ).scores[0]
    for scores in by_class:
        n = len(scores) // 2
        covered = []
        for seed in range(20):
            drawn = np.random.default_rng(seed).permutation(scores)
            covered.append(float((drawn[n:] <= conformal_quantile(drawn[:n], 0.2)).mean()))
        above = left_out(n, 0.2)
        spread = beta(n + 1 - above, above).std() + math.sqrt(0.2 * 0.8 / (len(scores) - n))
        assert np.mean(covered) == pytest.approx(1 - above / (n + 1), abs=4 * spread / math.sqrt(20))


def test_the_usual_picture_is_the_mean_of_the_development_feature_maps(trained, hospital):
    bundle = trained.bundle()
    sampled = samples(hospital, bundle.tasks)
    chosen = {subject for split in bundle.origin["development"] for subject in hospital.subjects_in(split)}
    rows = np.flatnonzero([subject in chosen for subject in sampled.frame["subject_id"]])
    frame = sampled.take(rows).frame
    image = bundle.arrays(hospital, frame)["image"]
    maps = np.asarray(image["tokens"])[np.asarray(image["view_mask"])]
    np.testing.assert_allclose(bundle.reference.usual_picture, maps.mean(axis=0, dtype=np.float64), atol=1e-5)


def test_the_usual_words_are_the_shares_of_development_notes_that_affirm_or_deny_them(trained, hospital):
    bundle = trained.bundle()
    sampled = samples(hospital, bundle.tasks)
    chosen = {subject for split in bundle.origin["development"] for subject in hospital.subjects_in(split)}
    rows = np.flatnonzero([subject in chosen for subject in sampled.frame["subject_id"]])
    note = bundle.arrays(hospital, sampled.take(rows).frame)["note"]
    usual, vocabulary = bundle.reference.usual_words, bundle.features.featurizers["note"].vocabulary
    assert usual.shape == (2, len(vocabulary))
    for word, denied in (("with", False), ("immunosuppressed", False), ("immunosuppressed", True), ("unknown", False)):
        has = ((note["words"] == vocabulary.index(word)) & (note["word_denied"] == denied)).any(axis=1)
        assert usual[int(denied), vocabulary.index(word)] == pytest.approx(has[note["present"]].mean(), abs=1e-6)
    assert not usual[:, 0].any()
    assert 0 < usual.max() <= 1


def test_a_bundle_without_feature_maps_has_no_usual_picture(reserving):
    assert reserving.bundle.reference.usual_picture is None

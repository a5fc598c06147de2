"""Fitting a study: which samples are used, what is refused, thresholds and golden outputs."""

import numpy as np
import polars as pl
import pytest
import torch
from scipy.special import logit

from polyclinic import Study
from polyclinic.features.blobs import UNUSABLE
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.models.ensemble.group_calibration import GroupCalibration
from polyclinic.models.ensemble.members import presence_of
from polyclinic.progress import Silent
from polyclinic.study import StudyError
from polyclinic.tasks import TaskError
from polyclinic.training.data.folds import folds, groups_of, strata_of
from polyclinic.training.fit import fit, fit_study
from polyclinic.training.model_setup import designs
from tests.hospital import SIMPLE, SMALL, STUDY, files_of, rewritten


def keeping(cohort, into, rows):
    """Copy the cohort with only the events `rows`."""
    return rewritten(cohort, into, lambda events: events.filter(rows))


def test_only_development_subjects_are_used(hospital, cache):
    fitted = fit_study(SIMPLE, hospital, cache=cache)
    used = set(fitted.samples["subject_id"])
    assert not used & set(hospital.subjects_in("held_out"))
    assert used <= set(hospital.subjects_in("train") + hospital.subjects_in("tuning"))
    assert len(used) == len(fitted.examples) == fitted.bundle.origin["development_subjects"]


def test_a_fit_computes_in_one_thread(hospital, monkeypatch):
    """Beside the jobs too."""

    def threads(*_):
        raise StudyError(f"{torch.get_num_threads()} thread")

    monkeypatch.setattr("polyclinic.training.fit.samples", threads)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(StudyError, match="1 thread"):
            fit(SIMPLE, hospital)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_development_splits_can_be_chosen(hospital, cache):
    fitted = fit_study(SIMPLE.model_copy(update={"development": ("train",)}), hospital, cache=cache)
    assert set(fitted.samples["subject_id"]) <= set(hospital.subjects_in("train"))


def test_every_sample_has_out_of_fold_predictions(hospital, cache):
    fitted = fit_study(SIMPLE, hospital, cache=cache)
    for prediction in fitted.member_predictions["demo_deterioration"].values():
        assert prediction.answers.shape == (len(fitted.examples), 1)
        assert ((prediction.answers > 0) & (prediction.answers < 1))[prediction.able].all()


def test_members_are_the_methods_and_a_logistic_regression_per_input(hospital, cache):
    members = fit_study(SIMPLE, hospital, cache=cache).bundle.ensemble.tasks["demo_deterioration"].members
    assert list(members) == ["logistic_regression", "logistic_regression:note", "logistic_regression:structured"]
    unstacked = SIMPLE.model_copy(update={"stack": False})
    assert list(fit_study(unstacked, hospital, cache=cache).bundle.ensemble.tasks["demo_deterioration"].members) == [
        "logistic_regression"
    ]


def test_an_input_alone_is_no_second_member_where_the_joint_model_reads_nothing_else(hospital, cache):
    """Notes of which no term is frequent have no columns."""
    fitted = fit_study(SIMPLE, hospital, cache=cache)
    no_terms = {"note": {"present": fitted.examples.arrays["note"]["present"]}}
    members = designs(SIMPLE, fitted.bundle.features, {**fitted.examples.arrays, **no_terms})
    assert list(members) == ["logistic_regression", "logistic_regression:note"]


def test_series_have_a_member_of_their_own_beside_structured_features(hospital, cache):
    study = SIMPLE.model_copy(update={"inputs": ("structured", "series")})
    members = fit_study(study, hospital, cache=cache).bundle.ensemble.tasks["demo_deterioration"].members
    assert list(members) == ["logistic_regression", "logistic_regression:series", "logistic_regression:structured"]


def test_thresholds_are_fitted_after_the_calibration_by_group(hospital, cache, monkeypatch):
    """An offset that all have moves the threshold with the answers, and `calibration: none` has no offset."""
    plain = fit_study(SIMPLE, hospital, cache=cache).bundle.ensemble.tasks["demo_deterioration"]
    everyone = GroupCalibration("binary", {"sex": {"female": (1.0,), "male": (1.0,)}})
    monkeypatch.setattr(GroupCalibration, "fit", lambda *_: everyone)
    moved = fit_study(SIMPLE, hospital, cache=cache).bundle.ensemble.tasks["demo_deterioration"]
    assert moved.group_calibration is everyone
    assert logit(moved.thresholds) == pytest.approx(logit(plain.thresholds) + 1)
    off = SIMPLE.model_copy(update={"calibration": "none"})
    assert fit_study(off, hospital, cache=cache).bundle.ensemble.tasks["demo_deterioration"].group_calibration is None


def test_a_network_without_classical_models_can_be_fitted(hospital, cache):
    study = STUDY.model_copy(update={"classical": (), "inputs": ("structured",)})
    bundle = fit_study(study, hospital, cache=cache).bundle
    assert bundle.ensemble.tasks["demo_deterioration"].members == {}
    assert bundle.predict(hospital).frame["predicted_boolean_probability"].is_between(0, 1).all()


def test_a_rare_modality_gets_no_member_of_its_own(hospital, cache, tmp_path):
    """With one note in all, no model of notes alone can be fitted in every fold."""
    with_note = hospital.events().filter(pl.col("code").str.starts_with("NOTE//")).collect()["subject_id"]
    only = with_note.filter(with_note.is_in(hospital.subjects_in("train")))[0]
    few = keeping(hospital, tmp_path, ~pl.col("code").str.starts_with("NOTE//") | (pl.col("subject_id") == only))
    bundle = fit_study(SIMPLE, few, cache=cache).bundle
    assert list(bundle.ensemble.tasks["demo_deterioration"].members) == [
        "logistic_regression",
        "logistic_regression:structured",
    ]
    assert bundle.predict(few).frame.height == 72
    with pytest.raises(StudyError, match="too few labelled development samples have any of the inputs"):
        fit_study(SIMPLE.model_copy(update={"inputs": ("note",)}), few, cache=cache)


def test_an_input_without_data_is_refused(hospital, cache, tmp_path):
    none = keeping(hospital, tmp_path, ~pl.col("code").str.starts_with("NOTE//"))
    with pytest.raises(StudyError, match="no development subject has note: leave it out of the inputs"):
        fit_study(SIMPLE, none, cache=cache)


class Messages(Silent):
    def __init__(self):
        self.texts = []

    def message(self, text):
        self.texts.append(text)


def test_unusable_blobs_are_as_if_not_recorded(hospital, tmp_path):
    """Training goes on without them, with a caution that counts and names them."""
    copy = keeping(hospital, tmp_path / "copy", pl.lit(True))
    blobs = copy.events().filter(pl.col("blob").is_not_null()).collect()
    names = blobs.filter(pl.col("subject_id").is_in(hospital.subjects_in("train")))["blob"].unique(maintain_order=True)
    bad = [names.filter(names.str.ends_with(suffix))[place] for suffix in ("png", "arrow") for place in (0, 5)]
    copy.blob(bad[0]).write_bytes(b"damaged")
    copy.blob(bad[1]).unlink()
    copy.blob(bad[2]).write_bytes(b"damaged")
    copy.blob(bad[3]).unlink()
    without = keeping(hospital, tmp_path / "without", ~pl.col("blob").is_in(bad).fill_null(False))
    study = SIMPLE.model_copy(update={"inputs": ("image", "waveform")})
    messages = Messages()
    fitted = fit_study(study, copy, cache=EncoderCache(tmp_path / "cache"), progress=messages)
    expected = fit_study(study, without, cache=EncoderCache(tmp_path / "cache"))
    for modality, arrays in expected.examples.arrays.items():
        for name in set(arrays) - {UNUSABLE}:
            np.testing.assert_array_equal(fitted.examples.arrays[modality][name], arrays[name], err_msg=name)
    assert fitted.bundle.predict(copy).frame["predicted_boolean_probability"].is_between(0, 1).all()
    (caution,) = [text for text in messages.texts if text.startswith("caution")]
    assert "4 images or waveforms cannot be used and count as absent" in caution
    assert all(name in caution for name in bad)


def test_an_input_of_unusable_blobs_alone_is_refused(hospital, tmp_path):
    copy = keeping(hospital, tmp_path / "copy", pl.lit(True))
    for name in copy.events().filter(pl.col("blob").str.ends_with("arrow")).collect()["blob"].unique():
        copy.blob(name).write_bytes(b"damaged")
    with pytest.raises(StudyError, match="no development subject has usable waveform: leave it out of the inputs"):
        fit_study(SIMPLE.model_copy(update={"inputs": ("structured", "waveform")}), copy)


OUTCOME = pl.col("code") == "OUTCOME//deterioration"


def test_a_task_with_one_class_is_refused(hospital, cache, tmp_path):
    alike = keeping(hospital, tmp_path, ~(OUTCOME & (pl.col("numeric_value") == 1)))
    with pytest.raises(StudyError, match="demo_deterioration has the same label for all development samples"):
        fit_study(SIMPLE, alike, cache=cache)


def test_too_few_labels_are_refused(hospital, cache, tmp_path):
    noted = hospital.events().filter(pl.col("code") == "NOTE//indication").collect()["subject_id"]
    known = sorted(set(hospital.subjects_in("train")) & set(noted))[:3]
    few = keeping(hospital, tmp_path, ~OUTCOME | pl.col("subject_id").is_in(known))
    with pytest.raises(StudyError, match="labelled for only 3 development samples: too few to learn from"):
        fit_study(SIMPLE.model_copy(update={"inputs": ("note",)}), few, cache=cache)


def test_a_cohort_without_the_outcome_is_refused(hospital, cache, tmp_path):
    none = keeping(hospital, tmp_path, ~OUTCOME)
    with pytest.raises(TaskError, match="the cohort has no outcome of demo_deterioration"):
        fit_study(SIMPLE, none, cache=cache)


def test_no_development_subjects_are_refused(hospital, cache):
    with pytest.raises(StudyError, match="no development subject has a label"):
        fit_study(SIMPLE, hospital, subjects=[-1], cache=cache)


def out_of_fold(fitted, task: str) -> np.ndarray:
    """Return the combined and calibrated out-of-fold predictions."""
    return fitted.bundle.ensemble.tasks[task].combine(
        fitted.member_predictions[task], presence_of(fitted.examples.arrays)
    )


def test_fit_returns_the_bundle(hospital, cache):
    assert fit(SIMPLE, hospital, cache=cache).predict(hospital).frame.height == 72


@pytest.mark.parametrize("calibration", ["temperature", "isotonic", "none"])
def test_calibration_methods_can_be_chosen(calibration, hospital, cache):
    study = SIMPLE.model_copy(update={"calibration": calibration})
    task = fit_study(study, hospital, cache=cache).bundle.ensemble.tasks["demo_deterioration"]
    assert task.calibrator is not None
    assert task.calibrator.method == calibration


def test_the_threshold_reaches_the_target_sensitivity_out_of_fold(hospital, cache):
    thresholds = {}
    for sensitivity in (0.5, 0.9):
        fitted = fit_study(SIMPLE.model_copy(update={"target_sensitivity": sensitivity}), hospital, cache=cache)
        task = fitted.bundle.ensemble.tasks["demo_deterioration"]
        target = fitted.examples.targets["demo_deterioration"]
        sick = target.observed & (target.values[:, 0] == 1)
        called = (
            task.combine(fitted.member_predictions["demo_deterioration"], presence_of(fitted.examples.arrays))[:, 0]
            >= task.thresholds[0]
        )
        assert called[sick].mean() >= sensitivity
        thresholds[sensitivity] = task.thresholds[0]
    assert thresholds[0.9] < thresholds[0.5]


def test_the_threshold_has_the_highest_utility_out_of_fold(hospital, cache):
    thresholds = []
    for harm in (0.1, 1.0):
        study = Study.model_validate(SIMPLE.model_dump(exclude={"target_sensitivity"}) | {"harm_to_benefit": harm})
        fitted = fit_study(study, hospital, cache=cache)
        task, target = fitted.bundle.ensemble.tasks["demo_deterioration"], fitted.examples.targets["demo_deterioration"]
        risk = task.combine(fitted.member_predictions["demo_deterioration"], presence_of(fitted.examples.arrays))[
            target.observed, 0
        ]
        worth = np.where(target.values[target.observed, 0] == 1, 1, -harm)
        utility = {cut: worth[risk >= cut].sum() for cut in (*risk, *task.thresholds)}
        assert utility[task.thresholds[0]] == pytest.approx(max(utility.values()))
        thresholds += task.thresholds
    assert thresholds[0] < thresholds[1], "costlier false alarms raise the threshold"


def test_other_encoders_and_fusions_can_be_fitted(hospital, cache):
    network = SMALL.model_copy(
        update={
            "epochs": 1,
            "encoders": {"structured": "feature_tokens", "series": "triplet", "note": "cnn"},
            "fusion": "bottleneck",
            "series_scale": "quantile",
            "balance_classes": True,
        }
    )
    study = Study(
        tasks=("demo_deterioration",), inputs=("structured", "series", "note"), network=network, folds=2, classical=()
    )
    answers = fit_study(study, hospital, cache=cache).bundle.predict(hospital).frame["predicted_boolean_probability"]
    assert np.isfinite(answers.to_numpy()).all()
    assert answers.n_unique() > 30


def test_golden_outputs_do_not_change_the_fit(hospital, cache, tmp_path):
    study = STUDY.model_copy(update={"inputs": ("structured", "note"), "classical": ("logistic_regression",)})
    saved, random_state = {}, {}
    for golden in (True, False):
        torch.manual_seed(7)
        bundle = fit_study(study, hospital, cache=cache, golden=golden).bundle
        random_state[golden] = torch.get_rng_state()
        saved[golden] = files_of(bundle.save(tmp_path / str(golden)))
    assert torch.equal(random_state[True], random_state[False])
    assert saved[True].pop("golden.json")
    assert saved[True].pop("description.json")
    for files in saved.values():
        del files["bundle.json"]  # which lists the files
    assert saved[True] == saved[False]


def test_golden_outputs_of_an_image_study(hospital, cache):
    study = STUDY.model_copy(update={"inputs": ("image",), "classical": ()})
    _, members, _, attribution = fit_study(study, hospital, cache=cache).bundle.golden.parts
    assert attribution.values["image"] != 0
    assert members.values.keys() == {"network yes"}


def test_a_subject_named_twice_counts_twice_and_stays_in_one_fold(hospital, cache):
    subjects = hospital.subjects_in("train")
    once = fit_study(SIMPLE, hospital, subjects=subjects, cache=cache, golden=False)
    twice = fit_study(SIMPLE, hospital, subjects=subjects + subjects[:20], cache=cache, golden=False)
    counts = twice.samples["subject_id"].value_counts()
    copied = set(counts.filter(pl.col("count") > 1)["subject_id"])
    assert copied == set(subjects[:20]) & set(once.samples["subject_id"])
    assert twice.samples.height == once.samples.height + len(copied)
    assert twice.bundle.origin["development_subjects"] == once.bundle.origin["development_subjects"]
    for own in chosen_folds(twice, hospital):
        assert not set(twice.samples["subject_id"].gather(own.training)) & set(
            twice.samples["subject_id"].gather(own.validation)
        )


def chosen_folds(fitted, cohort):
    targets = fitted.examples.targets
    return folds(groups_of(cohort, fitted.examples.subjects), strata_of(SIMPLE.tasks, targets), SIMPLE.folds, 0)

"""Evaluation of a bundle on subjects that it was not fitted to."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from polyclinic.evaluation.prediction_sets import prediction_sets
from polyclinic.modalities import MODALITIES
from polyclinic.models.network.modality_dropout import keeping
from polyclinic.study import Study, StudyError
from polyclinic.tasks import samples
from polyclinic.training.evaluation.evaluate import UNIFIED, evaluate
from tests.hospital import STUDY, TASKS, rewritten


@pytest.fixture(scope="module")
def bundle(every_kind):
    return every_kind.bundle()


@pytest.fixture(scope="module")
def other_cohort(hospital, tmp_path_factory):
    """The same patients under other ids: a cohort that was not used in training."""
    return rewritten(
        hospital,
        tmp_path_factory.mktemp("other_cohort"),
        lambda events: events.with_columns(subject_id=pl.col("subject_id") + 1_000_000),
    )


def test_all_held_out_subjects_with_labels_are_evaluated(every_kind, hospital):
    report = every_kind.report
    assert set(report.samples["subject_id"]) == set(hospital.subjects_in("held_out"))
    assert list(report.tasks) == list(TASKS)
    assert report["demo_stay"].evaluation.n == len(hospital.subjects_in("held_out"))


def test_figures_follow_from_the_predictions(every_kind, hospital):
    """Recomputed from `predict`, with scikit-learn."""
    sampled = samples(hospital, every_kind.bundle().tasks)
    targets = sampled.take(sampled.rows(hospital.subjects_in("held_out"))).targets
    predicted = every_kind.bundle().predict(hospital, subjects=hospital.subjects_in("held_out")).frame
    risk = predicted.filter(pl.col("task") == "demo_deterioration")["predicted_boolean_probability"].to_numpy()
    target = targets["demo_deterioration"]
    auroc = roc_auc_score(target.values[target.observed, 0], risk[target.observed])
    assert every_kind.report["demo_deterioration"].evaluation["auroc"].value == pytest.approx(auroc)
    days = predicted.filter(pl.col("task") == "demo_stay")["predicted_float_value"].to_numpy()
    truth = targets["demo_stay"].values[:, 0]
    assert every_kind.report["demo_stay"].evaluation["mae"].value == pytest.approx(np.abs(days - truth).mean())


def test_the_bundle_is_compared_with_each_joint_member(trained):
    names = [contender.name for contender in trained.report["demo_deterioration"].comparison.contenders]
    assert set(names) == {UNIFIED, "network", "gradient_boosting", "logistic_regression"}


def test_every_subset_of_the_inputs_is_evaluated(every_kind):
    for measured in every_kind.report.tasks.values():
        assert measured.subsets is not None
        assert len(measured.subsets.contenders) == 2 ** len(MODALITIES) - 1


def test_the_complete_subset_equals_the_bundle(trained):
    measured = trained.report["demo_deterioration"]
    assert measured.subsets is not None
    given_all = next(
        contender for contender in measured.subsets.contenders if all(name in contender.name for name in STUDY.inputs)
    )
    assert given_all.figures["auroc"].value == measured.evaluation["auroc"].value


def test_keeping_some_inputs_changes_only_presence():
    arrays = {name: {"present": np.array([True, False]), "values": np.ones(2)} for name in MODALITIES}
    kept = keeping(arrays, ["note"])
    assert kept["note"]["present"].tolist() == [True, False]
    assert not any(kept[name]["present"].any() for name in MODALITIES if name != "note")
    assert all((kept[name]["values"] == 1).all() for name in MODALITIES)
    assert arrays["image"]["present"].any(), "the argument is not changed"


def test_subgroups_are_sex_age_inputs_and_chosen_codes(bundle, other_cohort):
    report = evaluate(
        bundle, other_cohort, None, by=["DICOM//view", "DIAGNOSIS//diabetes"], every_subset=False, resamples=100
    )
    groups = {row.table: set() for row in report["demo_stay"].evaluation.groups}
    for row in report["demo_stay"].evaluation.groups:
        groups[row.table].add(row.level)
    assert groups.keys() >= {"sex", "age", "recorded inputs", "DICOM//view", "DIAGNOSIS//diabetes"}
    assert {"female", "male"} <= groups["sex"]
    assert groups["DIAGNOSIS//diabetes"] == {"yes", "no", "not recorded"}


def test_subjects_can_be_selected(bundle, other_cohort):
    some = other_cohort.subjects_in("train")[:20]
    report = evaluate(bundle, other_cohort, subjects=some, every_subset=False, resamples=100)
    assert set(report.samples["subject_id"]) == set(some)
    assert report["demo_stay"].subsets is None


def test_tasks_can_be_selected(bundle, hospital):
    report = evaluate(bundle, hospital, tasks=["demo_stay"], every_subset=False, resamples=100)
    assert list(report.tasks) == ["demo_stay"]


def test_training_subjects_are_counted(every_kind, bundle, hospital, other_cohort):
    report = evaluate(bundle, hospital, "tuning", every_subset=False, resamples=100)
    assert report.training_subjects == len(hospital.subjects_in("tuning"))
    assert all("used in training, so the figures are optimistic" in card.data["measured on"] for card in report.cards)
    assert every_kind.report.training_subjects == 0
    assert evaluate(bundle, other_cohort, "tuning", every_subset=False, resamples=100).training_subjects == 0


def test_training_subjects_are_counted_in_another_cohort_that_has_them(bundle, hospital, tmp_path):
    extended = rewritten(hospital, tmp_path, lambda events: events.filter(pl.col("code") != "VITAL//heart_rate//bpm"))
    assert extended.fingerprint != bundle.origin["cohort"]
    report = evaluate(bundle, extended, "tuning", every_subset=False, resamples=100)
    assert report.training_subjects == len(extended.subjects_in("tuning"))
    assert all("with the id of a subject used in training" in card.data["measured on"] for card in report.cards)


def test_the_splits_of_another_cohort_are_not_those_of_development(bundle, hospital, other_cohort):
    inside, outside = (
        evaluate(bundle, cohort, "held_out", every_subset=False, resamples=100).cards[0]
        for cohort in (hospital, other_cohort)
    )
    assert inside.splits
    assert not outside.splits


def test_an_unknown_split_is_refused(bundle, hospital):
    with pytest.raises(StudyError, match="unknown split 'test': choose from train, tuning, held_out"):
        evaluate(bundle, hospital, "test")


def test_a_split_without_labels_is_refused(bundle, hospital, tmp_path):
    held_out = pl.col("subject_id").is_in(hospital.subjects_in("held_out"))
    unlabelled = rewritten(
        hospital,
        tmp_path,
        lambda events: events.filter(~(held_out & (pl.col("code") == "OUTCOME//length_of_stay//days"))),
    )
    with pytest.raises(StudyError, match="no subject in held_out has a label for demo_stay: choose another split"):
        evaluate(bundle, unlabelled)


def test_an_age_in_words_counts_as_unknown(trained, hospital, tmp_path):
    age = pl.col("code").str.starts_with("DEMOGRAPHIC//age")
    words = rewritten(
        hospital,
        tmp_path,
        lambda events: events.with_columns(
            text_value=pl.when(age).then(pl.lit("over ninety")).otherwise("text_value"),
            numeric_value=pl.when(age).then(None).otherwise("numeric_value"),
        ),
    )
    report = evaluate(trained.bundle(), words, every_subset=False, resamples=100)
    assert report["demo_deterioration"].evaluation.n > 0


def test_the_card_states_synthetic_data_and_evaluated_samples(trained, hospital):
    (card,) = trained.report.cards
    assert card.synthetic
    assert card.data["measured on"] == f"held_out, {card.evaluation.subjects} subjects"
    assert card.provenance["development cohort"] == card.provenance["measured cohort"] == hospital.fingerprint[:16]


def test_the_card_states_the_rule_of_the_threshold(trained, hospital):
    """For a study without the key `harm_to_benefit`, and for one that has it."""
    written = yaml.safe_load(STUDY.to_yaml())
    old = {key: value for key, value in written.items() if key != "harm_to_benefit"}
    weighed = written | {"target_sensitivity": None, "harm_to_benefit": 0.25}
    rules = [
        evaluate(
            replace(trained.bundle(), study=Study.model_validate(study)),
            hospital,
            every_subset=False,
            resamples=100,
        )["demo_deterioration"].card.operating
        for study in (old, weighed)
    ]
    assert rules[0].endswith("the highest threshold of at least 80% sensitivity in development.")
    assert rules[1].endswith("at a harm-to-benefit ratio of 0.25.")


def test_the_coverage_of_the_conformal_sets_is_measured(every_kind):
    report = every_kind.report
    tables = {name: {row.table for row in found.evaluation.sets} for name, found in report.tasks.items()}
    assert tables["demo_survival"] == set(), "there are no sets of time to event"
    assert {"everyone", "sex", "age"} <= tables["demo_deterioration"]
    assert {"everyone", "class", "sex"} <= tables["demo_diagnosis"]
    assert "label" in tables["demo_findings"]
    assert "everyone" in tables["demo_stay"]
    (everyone,) = [row for row in report["demo_deterioration"].evaluation.sets if row.table == "everyone"]
    p = report["demo_deterioration"].answers[:, 0]
    bundle = every_kind.bundle()
    (mask,) = prediction_sets(
        "binary",
        p[:, None],
        bundle.reference.conformity["demo_deterioration"].scores,
        bundle.ensemble.tasks["demo_deterioration"].thresholds,
    )
    assert mask[np.arange(len(p)), (p >= bundle.ensemble.tasks["demo_deterioration"].thresholds[0]).astype(int)].all()
    assert 0 < everyone.n <= len(p)
    if everyone.n == len(p):
        assert everyone.figures["set_undecided"].value == pytest.approx(mask.all(axis=1).mean())
    again = type(report["demo_findings"].evaluation).from_dict(report["demo_findings"].evaluation.to_dict())
    assert again == report["demo_findings"].evaluation


def test_sets_are_left_out_without_conformity_scores(trained, hospital):
    bundle = trained.bundle()
    bundle.reference = None
    found = evaluate(bundle, hospital, "held_out", tasks=["demo_deterioration"], every_subset=False, resamples=100)
    assert found["demo_deterioration"].evaluation.sets == ()

"""Explanations in an assessment."""

import shutil

import numpy as np
import pytest

from polyclinic.assess import Assessment, MapSetting, Trust, assess, assess_with_evidence
from polyclinic.assess.explain_answers import SENSITIVITY, similar_to
from polyclinic.assess.kept_scores import MOST_FEATURES, MOST_MEASUREMENTS
from polyclinic.evaluation import Estimate
from polyclinic.exchange.html import assessment_page, evidence_of
from polyclinic.explain import sample as sample_module
from polyclinic.explain.answer import attribution as answer_attribution
from polyclinic.explain.audit.record import Audit, Verdict
from polyclinic.explain.inputs.baseline import development_samples
from polyclinic.explain.localisation.coordinates import region_in_picture
from polyclinic.explain.localisation.localisation import localise
from polyclinic.explain.localisation.operating_point import OperatingPoint
from polyclinic.explain.methods.saliency_maps import blurred, saliency_map
from polyclinic.explain.sample import Sample
from polyclinic.features import NoteFeaturizer
from polyclinic.features.feature_set import FeatureSet
from polyclinic.models.bundle.bundle import Bundle
from tests.hospital import rewritten

TASK = "demo_deterioration"


@pytest.fixture(scope="module")
def explained(trained, hospital, held_out):
    """A patient with every input."""
    bundle = trained.bundle()
    subject = next(one for one in held_out if not assess(bundle, hospital, one, explain=False).records[0].missing)
    return assess(bundle, hospital, subject)


def test_modality_shares_sum_to_the_answer(explained):
    answer = explained[TASK]
    found = answer.explanation
    assert {one.modality for one in found.modalities} == set(explained.records[0].present)
    total = found.without_inputs + sum(one.share for one in found.modalities)
    assert total == pytest.approx(answer.outputs[0].value, abs=1e-6)


def test_the_largest_scores_are_kept(explained):
    found = explained[TASK].explanation
    assert found.method == "integrated_gradients"
    assert found.gap is not None
    assert 0 < len(found.features) <= MOST_FEATURES
    assert 0 < len(found.measurements) <= MOST_MEASUREMENTS
    assert [abs(one.score) for one in found.features] == sorted(
        (abs(one.score) for one in found.features), reverse=True
    )
    assert found.words
    assert all(one.text and one.end > one.start for one in found.words)


def test_regions_lie_within_their_image(explained):
    for picture in explained[TASK].explanation.pictures:
        assert picture.sensitivity == SENSITIVITY
        for region in picture.regions:
            assert region.mask.shape == (picture.height, picture.width)
            assert 0 <= region.box.start[0] < region.box.stop[0] <= picture.height


def test_unaudited_explanations_are_marked_and_use_the_default_sensitivity(explained):
    found = explained[TASK].explanation
    assert found.trust == Trust(verdict="not_audited")
    assert found.map == MapSetting(method="integrated_gradients", smoothing=0, sensitivity=SENSITIVITY, chosen_on=None)


def test_lengths_are_in_millimetres_if_the_spacing_is_known(explained):
    pictures = explained[TASK].explanation.pictures
    assert pictures
    for picture in pictures:
        assert picture.spacing == "detector"
        for region in picture.regions:
            assert region.circle_mm.radius / region.circle.radius == pytest.approx(
                region.box_mm.stop[0] / region.box.stop[0]
            )


@pytest.fixture
def audited(trained, tmp_path):
    """A bundle with an audit that chose an operating point and failed integrated gradients."""
    folder = tmp_path / "audited"
    shutil.copytree(trained.folder, folder)
    bundle = Bundle.load(folder, trained.cache)
    recall = Estimate("recall", 0.8, 0.7, 0.9, 40, "bootstrap")
    chosen = OperatingPoint(bundle.digest, "map_gradients", 0.05, 0.7, 1.0, recall, recall, "tuning")
    verdicts = Verdict("integrated_gradients", False, "stays alike"), Verdict("map_gradients", True, "changes")
    Audit(bundle.digest, "", "held_out", (TASK,), 1, 1, 0, verdicts=verdicts, operating_point=chosen).save(folder)
    return bundle


def test_regions_use_the_map_and_sensitivity_chosen_by_an_audit(audited, explained, hospital):
    evidenced = assess_with_evidence(audited, hospital, explained.subject_id)
    found = evidenced.assessment[TASK].explanation
    assert (found.map.method, found.map.sensitivity, found.map.chosen_on) == ("map_gradients", 0.7, "tuning")
    assert found.map.recall.value == 0.8
    assert found.map.trust == Trust(verdict="passed", reason="changes")
    sample = Sample.of(audited, hospital.subject(explained.subject_id), explained.subject_id,
                       explained[TASK].prediction_time, hospital.blob)  # fmt: skip
    maps = saliency_map(audited, sample, TASK, "yes").pictures
    for picture, one, shown in zip(found.pictures, maps, evidenced.attributions[TASK].pictures, strict=True):
        assert picture.sensitivity == 0.7
        np.testing.assert_allclose(shown.scores, blurred(one, 0.05).scores, rtol=1e-4, atol=1e-7)
        placed = [region_in_picture(region, one.canvas) for region in localise(shown.scores, 0.7)]
        assert [region.box for region in picture.regions] == [region.box for region in placed if region]
    assert Assessment.from_json(evidenced.assessment.to_json()) == evidenced.assessment


def test_a_method_that_failed_the_audit_is_marked(audited, explained, hospital):
    evidenced = assess_with_evidence(audited, hospital, explained.subject_id)
    assessment = evidenced.assessment
    assert assessment[TASK].explanation.trust == Trust(verdict="failed", reason="stays alike")
    page = assessment_page(assessment, evidence_of(audited, hospital, *evidenced))
    assert "failed the audit of this model" in page
    assert "The audit examined the explanations of the networks alone" in page
    assert "of the known lesions" in page
    assert "do not rely on where it points" not in page


def test_a_page_of_an_assessment_computes_no_attribution_again(explained, trained, hospital, monkeypatch):
    bundle = trained.bundle()
    assessment, attributions, samples = assess_with_evidence(bundle, hospital, explained.subject_id)
    assert assessment == explained

    def refused(*_):
        raise AssertionError("attributed twice")

    monkeypatch.setattr(answer_attribution, "integrate_each", refused)
    evidence = evidence_of(bundle, hospital, assessment, attributions, samples)
    assert evidence[TASK].attribution is attributions[TASK]
    with pytest.raises(AssertionError, match="twice"):
        evidence_of(bundle, hospital, assessment)


def test_the_sample_is_cut_and_transformed_once(trained, hospital, explained, monkeypatch):
    bundle, subject = trained.bundle(), explained.subject_id
    similar_to(bundle, hospital, Sample.of(bundle, hospital.subject(subject), subject,
                                           explained[TASK].prediction_time, hospital.blob))  # fmt: skip
    calls = []

    def counted(name, function, frame_of):
        def call(*args, **options):
            calls.extend(name for one in frame_of(args)["subject_id"] if one == subject)
            return function(*args, **options)

        return call

    monkeypatch.setattr(sample_module, "known_record", counted("cut", sample_module.known_record, lambda args: args[1]))
    monkeypatch.setattr(FeatureSet, "transform", counted("transform", FeatureSet.transform, lambda args: args[2]))
    for featurizer in bundle.features.featurizers.values():
        kind = type(featurizer)
        monkeypatch.setattr(kind, "transform", counted(kind.__name__, kind.transform, lambda args: args[2]))
    monkeypatch.setattr(NoteFeaturizer, "layouts", counted("layout", NoteFeaturizer.layouts, lambda args: args[2]))
    evidenced = assess_with_evidence(bundle, hospital, subject)
    evidence = evidence_of(bundle, hospital, *evidenced)
    assert evidence[TASK].notes
    expected = ["cut", "transform", *(type(one).__name__ for one in bundle.features.featurizers.values())]
    assert sorted(call for call in calls if call != "layout") == sorted(expected)
    assert calls.count("layout") == 2, "by the featurizer, and for the words that are explained"


def test_every_answer_is_explained(every_kind, hospital, held_out):
    bundle = every_kind.bundle()
    assessment, attributions, _ = assess_with_evidence(bundle, hospital, held_out[0])
    for answer in assessment.answers:
        assert (answer.explanation is not None) == bool(answer.outputs)
        if answer.outputs:
            best = max(answer.outputs, key=lambda output: output.value)
            whole = attributions[answer.task]
            assert (answer.explanation.output, whole.output, whole.task) == (best.output, best.output, answer.task)
            total = answer.explanation.without_inputs + sum(one.share for one in answer.explanation.modalities)
            assert total == pytest.approx(best.value, rel=1e-6, abs=1e-6)


def test_similar_patients_are_training_patients(explained, trained, hospital):
    bundle = trained.bundle()
    learnt = set(development_samples(bundle.tasks, bundle.origin, hospital)["subject_id"])
    similar = explained.records[0].similar
    assert len(similar) == 5
    assert {one.subject_id for one in similar} <= learnt
    assert [one.likeness for one in similar] == sorted((one.likeness for one in similar), reverse=True)
    assert {outcome.task for one in similar for outcome in one.outcomes} == {TASK}


def test_cached_neighbours_are_readable_only_by_the_owner(explained, cache):
    folder = cache.folder / "neighbours"
    assert folder.stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.iterdir())
    assert list(folder.iterdir())


def test_json_round_trip(explained):
    assert Assessment.from_json(explained.to_json()) == explained


def test_explanation_does_not_change_answers(explained, trained, hospital):
    plain = assess(trained.bundle(), hospital, explained.subject_id, explain=False)
    assert plain[TASK].explanation is None
    assert plain[TASK] == explained[TASK].model_copy(update={"explanation": None})


def test_the_whole_answer_is_explained(explained, trained, hospital):
    found = explained[TASK].explanation
    members = {one.member for one in found.members}
    assert members
    assert members <= {"network", *trained.bundle().ensemble.tasks[TASK].members}
    _, attributions, _ = assess_with_evidence(trained.bundle(), hospital, explained.subject_id)
    complete = attributions[TASK].completeness
    total = sum(one.share for one in found.members)
    assert total == pytest.approx(complete.total, abs=1e-4)
    value = explained[TASK].outputs[0].value
    assert complete.value == pytest.approx(np.log(value / (1 - value)), abs=0.05)


def test_without_a_network_classical_members_are_explained(simple, hospital, held_out):
    found = assess(simple, hospital, held_out[0])
    assert found[TASK].explanation.method == "shapley"
    assert found[TASK].explanation.members
    assert found[TASK].explanation.gap < 0.02
    assert found[TASK].explanation.modalities
    assert found.records[0].similar == ()


def test_another_cohort_has_no_similar_patients(trained, hospital, held_out, tmp_path):
    bundle = trained.bundle()
    time = assess(bundle, hospital, held_out[0], explain=False).records[0].prediction_time
    other = rewritten(hospital, tmp_path, lambda events: events.head(events.height - 1))
    for cohort, number in ((hospital, 5), (other, 0)):
        sample = Sample.of(bundle, hospital.subject(held_out[0]), held_out[0], time, cohort.blob)
        assert len(similar_to(bundle, cohort, sample)) == number

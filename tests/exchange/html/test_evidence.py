"""Evidence of a trained bundle agrees with its assessment."""

import dataclasses

import numpy as np
import pytest

from polyclinic.assess import assess
from polyclinic.exchange.html import assessment_page, evidence_of
from polyclinic.exchange.html.evidence import kept_evidence
from polyclinic.exchange.html.image_section import stops_of
from tests.hospital import times_of

TASK = "demo_deterioration"


@pytest.fixture(scope="module")
def bundle(trained):
    return trained.bundle()


@pytest.fixture(scope="module")
def assessment(bundle, hospital):
    """Assessment of a subject with an image and a note."""
    for subject in times_of(hospital)["subject_id"].to_list():
        found = assess(bundle, hospital, subject, explain=False)
        if {"image", "note"} <= set(found.records[0].present):
            return assess(bundle, hospital, subject)
    raise AssertionError("no subject has both")


@pytest.fixture(scope="module")
def evidence(bundle, hospital, assessment):
    return evidence_of(bundle, hospital, assessment)


def test_recomputed_attribution_equals_the_kept_one(assessment, evidence):
    explanation, whole = assessment[TASK].explanation, evidence[TASK].attribution
    kept = kept_evidence(assessment, assessment[TASK]).attribution
    assert [word.score for word in kept["note"].words] == pytest.approx([word.score for word in whole["note"].words])
    assert set(kept["structured"].names) <= set(whole["structured"].names)
    assert kept["structured"].scores[0] == pytest.approx(np.abs(whole["structured"].scores).max(), abs=1e-6) or (
        kept["structured"].scores[0] == pytest.approx(-np.abs(whole["structured"].scores).max(), abs=1e-6)
    )
    assert whole.completeness.gap == pytest.approx(explanation.gap, abs=1e-6)


def test_notes_contain_the_attributed_words(evidence):
    notes = evidence[TASK].notes
    for word in evidence[TASK].attribution["note"].words:
        assert notes[word.note].text[word.start : word.end] == word.text
        assert notes[word.note].section == word.section


def test_the_initial_stop_has_the_regions_of_the_assessment(assessment, evidence):
    (kept, *_), (picture, *_) = assessment[TASK].explanation.pictures, evidence[TASK].attribution.pictures
    stops = {round(stop.sensitivity, 6): stop.regions for stop in stops_of(picture)}
    shown = stops[kept.sensitivity]
    assert len(shown) == len(kept.regions)
    for one, other in zip(shown, kept.regions, strict=True):
        assert one.circle.xyr == pytest.approx(other.circle.xyr, abs=1e-3)


def test_the_page_of_a_bundle_has_all_sections(assessment, evidence):
    html = assessment_page(assessment, evidence)
    for title in ("Image", "Notes", "Measurements over time", "Structured record", "Accuracy of the explanation"):
        assert f"<h3>{title}" in html
    assert len(html) < 1_000_000


def test_another_bundle_or_cohort_is_refused(bundle, hospital, assessment):
    prints = assessment.fingerprints.model_copy(update={"cohort": "0" * 64})
    with pytest.raises(ValueError, match="another bundle or of another cohort"):
        evidence_of(bundle, hospital, assessment.model_copy(update={"fingerprints": prints}))


def test_evidence_is_immutable(evidence):
    with pytest.raises(dataclasses.FrozenInstanceError):
        evidence[TASK].images = {}

"""Scores of electrocardiograms that an assessment keeps."""

from dataclasses import replace

import numpy as np
import pytest

from polyclinic.assess import Assessment
from polyclinic.assess.kept_scores import MOST_SEGMENTS, WAVEFORM
from polyclinic.exchange.html.evidence import kept_evidence
from polyclinic.explain.attribution import WaveformAttribution
from tests.exchange import patients


@pytest.fixture
def kept():
    undated = replace(patients.recording(), hours=np.nan, scores=np.zeros_like(patients.recording().scores))
    return WAVEFORM.keep(WaveformAttribution((patients.recording(), undated)), None)["recordings"]


def test_the_largest_segments_of_each_recording_are_kept(kept):
    first, second = kept
    recording = patients.recording()
    assert [segment.score for segment in first.segments] == [one.score for one in recording.segments()[:MOST_SEGMENTS]]
    assert first.score == pytest.approx(recording.total)
    assert (first.blob, first.hours, first.leads) == (recording.blob, recording.hours, recording.leads)
    assert all(0 <= segment.start_ms < segment.end_ms <= 10_000 for segment in first.segments)
    assert (second.hours, second.segments) == (None, ())


def test_json_round_trip(kept):
    explanation = patients.explanation().model_copy(update={"recordings": kept})
    assessment = patients.assessment((patients.answer(explanation=explanation),))
    loaded = Assessment.from_json(assessment.to_json())
    assert loaded == assessment
    assert loaded[patients.TASK].explanation.recordings == kept


def test_segments_are_not_restored_as_traces(kept):
    explanation = patients.explanation().model_copy(update={"recordings": kept})
    assessment = patients.assessment((patients.answer(explanation=explanation),))
    assert kept_evidence(assessment, assessment[patients.TASK]).attribution.get("waveform") is None

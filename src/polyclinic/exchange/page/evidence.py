"""What an assessment does not hold of what it rests on, and a page shows: maps, measurements, texts and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from polyclinic.assess import Answer, Assessment, Explanation
from polyclinic.assess.explaining import explanation_of
from polyclinic.cohort import Cohort
from polyclinic.explain.attribution import (
    Attribution,
    Measurement,
    NoteAttribution,
    SeriesAttribution,
    StructuredAttribution,
    WordScore,
)
from polyclinic.explain.sample import Sample
from polyclinic.features import NoteFeaturizer
from polyclinic.features.note_layout import Note
from polyclinic.models.bundle import Bundle


@dataclass(frozen=True, eq=False)
class Evidence:
    """The whole attribution of one answer, and what to show it on."""

    attribution: Attribution
    films: Mapping[str, bytes] = field(default_factory=dict)  # content of the pictures' files, by blob
    notes: tuple[Note, ...] = ()  # as the attribution numbers them
    whole: bool = True  # no score was left out


def evidence_of(
    bundle: Bundle, cohort: Cohort, assessment: Assessment, attributions: Mapping[str, Attribution] | None = None
) -> dict[str, Evidence]:
    """Give the evidence of the answers that an assessment explains, by task.

    Bundle and cohort are those of the assessment. What is not among `attributions` (see `assess_with_evidence`) is
    attributed once more; the scores then are the same.

    Raises:
        ValueError: they are others.
        PictureError: a picture is missing or damaged.
    """
    prints = assessment.fingerprints
    if (bundle.digest, cohort.fingerprint) != (prints.bundle, prints.cohort):
        raise ValueError("the assessment was made by another bundle or of another cohort: assess the patient again")
    events = cohort.subject(assessment.subject_id)
    found = {}
    for answer in assessment.answers:
        if answer.explanation and answer.explanation.method and answer.prediction_time:
            sample = Sample.of(bundle, events, assessment.subject_id, answer.prediction_time, cohort.blob)
            given = (attributions or {}).get(answer.task)
            found[answer.task] = _evidence(bundle, sample, given or _attributed(bundle, sample, answer))
    return found


def kept_evidence(assessment: Assessment, answer: Answer) -> Evidence | None:
    """Give what the assessment itself keeps: the weightiest scores, and all words without their text."""
    explanation = answer.explanation
    if explanation is None or explanation.method is None or answer.prediction_time is None:
        return None
    attribution = Attribution(
        assessment.subject_id,
        answer.prediction_time,
        answer.task,
        explanation.output,
        explanation.method,
        explanation.baseline,
        None,
        _structured(explanation),
        _series(explanation),
        _note(explanation),
    )
    return Evidence(attribution, whole=False)


def _attributed(bundle: Bundle, sample: Sample, answer: Answer) -> Attribution:
    _, attribution = explanation_of(bundle, sample, answer.task, answer.outputs)
    assert attribution is not None  # the explanation has a method
    return attribution


def _evidence(bundle: Bundle, sample: Sample, attribution: Attribution) -> Evidence:
    films = {picture.blob: sample.blobs(picture.blob).read_bytes() for picture in attribution.pictures}
    return Evidence(attribution, films, _notes(bundle, sample) if attribution.note else ())


def _notes(bundle: Bundle, sample: Sample) -> tuple[Note, ...]:
    featurizer = bundle.features.featurizers["note"]
    assert isinstance(featurizer, NoteFeaturizer)
    (layout,) = featurizer.layouts(sample.known, sample.frame)
    return layout.notes


def _structured(explanation: Explanation) -> StructuredAttribution | None:
    rows = explanation.features
    if not rows:
        return None
    values = [np.nan if row.value is None else row.value for row in rows]
    return StructuredAttribution(
        tuple(row.name for row in rows),
        tuple(row.code for row in rows),
        np.array(values, dtype=np.float64),
        np.array([row.score for row in rows]),
    )


def _series(explanation: Explanation) -> SeriesAttribution | None:
    rows = sorted(explanation.measurements, key=lambda one: (-one.hours, one.code))
    kept = tuple(Measurement(one.code, one.hours, one.value, one.score) for one in rows)
    return SeriesAttribution(kept) if kept else None


def _note(explanation: Explanation) -> NoteAttribution | None:
    words = [WordScore(one.text, one.section, one.note, one.start, one.end, one.score) for one in explanation.words]
    return NoteAttribution(tuple(words)) if words else None

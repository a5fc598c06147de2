"""Evidence that a page shows and an assessment does not keep: maps, measurements, note texts and images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from polyclinic.assess import Answer, Assessment
from polyclinic.assess.explain_answers import KEPT_SCORES
from polyclinic.cohort import Cohort
from polyclinic.explain.answer.attribution import attribute_answers
from polyclinic.explain.attribution import Attribution
from polyclinic.explain.inputs.baseline import usual_of
from polyclinic.explain.methods.saliency_maps import displayed_maps
from polyclinic.explain.sample import Sample, output_of
from polyclinic.features.note.layout import Note
from polyclinic.modalities import MODALITIES
from polyclinic.models.bundle.bundle import Bundle


@dataclass(frozen=True, eq=False)
class Evidence:
    """The attribution of one answer, with the images and notes to show it on."""

    attribution: Attribution
    images: Mapping[str, bytes] = field(default_factory=dict)  # contents of the image files, by blob
    notes: tuple[Note, ...] = ()  # as the attribution numbers them
    whole: bool = True  # false: only the largest scores


def evidence_of(
    bundle: Bundle,
    cohort: Cohort,
    assessment: Assessment,
    attributions: Mapping[str, Attribution] | None = None,
    samples: Mapping[datetime, Sample] | None = None,
) -> dict[str, Evidence]:
    """Return the evidence of the explained answers of an assessment, by task.

    Attributions and samples (see `assess_with_evidence`) that are not
    given are computed again, with the same result.

    Raises:
        ValueError: bundle or cohort are not those of the assessment.
    """
    prints = assessment.fingerprints
    if (bundle.digest, cohort.fingerprint) != (prints.bundle, prints.cohort):
        raise ValueError("the assessment is of another bundle or of another cohort: assess the patient again")
    by_time: dict[datetime, list[Answer]] = {}
    for answer in assessment.answers:
        if answer.explanation and answer.explanation.method and answer.prediction_time:
            by_time.setdefault(answer.prediction_time, []).append(answer)
    found: dict[str, Evidence] = {}
    for time, answers in by_time.items():
        sample = (samples or {}).get(time) or Sample.of(
            bundle, cohort.subject(assessment.subject_id), assessment.subject_id, time, cohort.blob
        )
        found |= _evidence(bundle, sample, answers, attributions or {})
    return {answer.task: found[answer.task] for answer in assessment.answers if answer.task in found}


def kept_evidence(assessment: Assessment, answer: Answer) -> Evidence | None:
    """Return the evidence kept by the assessment: the largest scores, and all words without their notes."""
    explanation = answer.explanation
    if explanation is None or explanation.method is None or answer.prediction_time is None:
        return None
    restored = ((name, KEPT_SCORES[name].restore(explanation)) for name in MODALITIES)
    attribution = Attribution(
        assessment.subject_id,
        answer.prediction_time,
        answer.task,
        explanation.output,
        explanation.method,
        explanation.baseline,
        None,
        {name: part for name, part in restored if part is not None},
    )
    return Evidence(attribution, whole=False)


def _evidence(
    bundle: Bundle, sample: Sample, answers: Sequence[Answer], given: Mapping[str, Attribution]
) -> dict[str, Evidence]:
    """Return the evidence of the answers for one sample, by task."""
    made = _attributed(bundle, sample, [answer for answer in answers if answer.task not in given])
    images: dict[str, bytes] = {}
    notes = sample.note_layout.notes if "note" in sample.present else ()
    found: dict[str, Evidence] = {}
    for answer in answers:
        attribution = given.get(answer.task) or made[answer.task]
        names = [picture.blob for picture in attribution.pictures]
        images |= {name: sample.blobs(name).read_bytes() for name in names if name not in images}
        shown = {name: images[name] for name in names}
        found[answer.task] = Evidence(attribution, shown, notes if attribution.get("note") else ())
    return found


def _attributed(bundle: Bundle, sample: Sample, answers: Sequence[Answer]) -> dict[str, Attribution]:
    """Compute the attributions of the answers again, with the maps that their explanations name."""
    explained = [(answer.task, answer.explanation) for answer in answers if answer.explanation]
    if not explained:
        return {}
    outputs = [output_of(bundle, task, explanation.output) for task, explanation in explained]
    found = attribute_answers(bundle.ensemble, sample, outputs, usual_of(bundle.reference))
    setting = next((explanation.map for _, explanation in explained if explanation.map), None)
    maps = displayed_maps(bundle, sample, found, setting)
    return {
        attribution.task: attribution.with_pictures(pictures) for attribution, pictures in zip(found, maps, strict=True)
    }

"""Explains the answers of an assessment: modalities, scores, words, regions, and similar patients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from polyclinic.assess.assessment import Answer, Record, Said
from polyclinic.assess.explanation import (
    Explanation,
    FeatureScore,
    InCommon,
    MeasurementScore,
    ModalityShare,
    Outcome,
    PictureRegions,
    Similar,
    WordScore,
)
from polyclinic.assess.reading import Reading
from polyclinic.cohort import Cohort
from polyclinic.explain.attribution import (
    Attribution,
    NoteAttribution,
    PictureAttribution,
    SeriesAttribution,
    StructuredAttribution,
)
from polyclinic.explain.integrated_gradients import integrated_gradients
from polyclinic.explain.localisation import localise
from polyclinic.explain.modality_shapley import modality_shapley
from polyclinic.explain.placing import region_in_picture
from polyclinic.explain.sample import Sample
from polyclinic.explain.similar import Neighbourhood, SimilarPatient
from polyclinic.features.cache import EncoderCache
from polyclinic.models.bundle import Bundle

MOST_FEATURES, MOST_MEASUREMENTS = 12, 24
"""Scores that an assessment keeps, of each kind."""
SENSITIVITY = 0.5
"""Of the regions: what speaks at least half as strongly as the peak."""

_REMEMBERED: dict[tuple[str, str], Neighbourhood] = {}


def explained(
    bundle: Bundle,
    cohort: Cohort,
    readings: Mapping[datetime, Reading],
    records: Mapping[datetime, Record],
    answers: Sequence[Answer],
) -> tuple[dict[datetime, Record], list[Answer]]:
    """Add similar patients to the records, and to each answer what it rests on, if it was given."""
    samples = {time: reading.sample(cohort) for time, reading in readings.items()}
    near = {time: similar_to(bundle, cohort, sample) for time, sample in samples.items()}
    told = {
        answer.task: explanation_of(bundle, samples[answer.prediction_time], answer.task, answer.outputs)
        for answer in answers
        if answer.prediction_time is not None and answer.outputs
    }
    return (
        {time: record.model_copy(update={"similar": near[time]}) for time, record in records.items()},
        [answer.model_copy(update={"explanation": told.get(answer.task)}) for answer in answers],
    )


def explanation_of(bundle: Bundle, sample: Sample, task: str, said: Sequence[Said]) -> Explanation:
    """Explain the most probable output of an answer."""
    output = max(said, key=lambda one: one.value).output
    shapley = modality_shapley(bundle, sample, task, output)
    shares = tuple(ModalityShare(modality=name, share=share) for name, share in shapley.by_modality.items())
    explained = {"output": output, "without_inputs": shapley.answer.nothing, "modalities": shares}
    if not bundle.ensemble.networks:
        return Explanation(**explained, method=None)
    found = integrated_gradients(bundle, sample, task, output)
    return Explanation(**explained, **_scores(found))


def similar_to(bundle: Bundle, cohort: Cohort, sample: Sample) -> tuple[Similar, ...]:
    """Give the patients of the training cohort who are most like the sample; none if the cohort is another."""
    if not bundle.ensemble.networks or cohort.fingerprint != bundle.origin.get("cohort") or not sample.present:
        return ()
    return tuple(_similar(one) for one in _neighbourhood(bundle, cohort).nearest(bundle, sample))


def _neighbourhood(bundle: Bundle, cohort: Cohort) -> Neighbourhood:
    """Place the patients of the training cohort; the last such is remembered, its latents also by later processes."""
    key = bundle.digest[:32], cohort.fingerprint[:32]
    if key not in _REMEMBERED:
        _REMEMBERED.clear()
        folder = EncoderCache().folder / "neighbours"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # it names patients
        _REMEMBERED[key] = Neighbourhood.of(bundle, cohort, folder / f"{'-'.join(key)}.arrow")
    return _REMEMBERED[key]


def _similar(one: SimilarPatient) -> Similar:
    return Similar(
        subject_id=one.subject_id,
        prediction_time=one.prediction_time,
        likeness=one.likeness,
        outcomes=tuple(Outcome(task=task, value=value) for task, value in one.outcomes.items()),
        shares=tuple(InCommon(name=each.name, mine=each.mine, theirs=each.theirs) for each in one.shares),
    )


def _scores(found: Attribution) -> dict[str, Any]:
    gap = found.completeness.gap if found.completeness else math.inf
    return {
        "method": found.method,
        "baseline": found.baseline,
        "gap": gap if math.isfinite(gap) else None,
        "features": _features(found.structured) if found.structured else (),
        "measurements": _measurements(found.series) if found.series else (),
        "words": _words(found.note) if found.note else (),
        "pictures": tuple(_picture(one) for one in found.pictures),
    }


def _features(found: StructuredAttribution) -> tuple[FeatureScore, ...]:
    order = np.argsort(-np.abs(found.scores), kind="stable")[:MOST_FEATURES].tolist()
    return tuple(
        FeatureScore(
            name=found.names[k],
            code=found.codes[k],
            value=None if np.isnan(found.values[k]) else float(found.values[k]),
            score=float(found.scores[k]),
        )
        for k in order
        if found.scores[k]
    )


def _measurements(found: SeriesAttribution) -> tuple[MeasurementScore, ...]:
    order = sorted(found.measurements, key=lambda one: -abs(one.score))[:MOST_MEASUREMENTS]
    return tuple(MeasurementScore(**one._asdict()) for one in order if one.score)


def _words(found: NoteAttribution) -> tuple[WordScore, ...]:
    return tuple(WordScore(**word._asdict(), negates=word.negates) for word in found.words)


def _picture(found: PictureAttribution) -> PictureRegions:
    regions = (region_in_picture(one, found.canvas) for one in localise(found.scores, SENSITIVITY))
    return PictureRegions(
        blob=found.blob,
        view=found.view,
        width=found.canvas.width,
        height=found.canvas.height,
        score=found.total,
        sensitivity=SENSITIVITY,
        regions=tuple(one for one in regions if one is not None),
    )

"""Explains the answers of an assessment: modalities, scores, words, regions, and similar patients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np

from polyclinic.assess.assessment import Answer, Record, Said
from polyclinic.assess.explanation import (
    Explanation,
    FeatureScore,
    InCommon,
    MapSetting,
    MeasurementScore,
    ModalityShare,
    Outcome,
    PictureRegions,
    Similar,
    Trust,
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
from polyclinic.explain.audit_record import Dial, stored_dial, stored_verdicts
from polyclinic.explain.integrated_gradients import integrated_gradients
from polyclinic.explain.localisation import localise
from polyclinic.explain.maps import located
from polyclinic.explain.modality_shapley import modality_shapley
from polyclinic.explain.placing import region_in_picture, spacing_of
from polyclinic.explain.sample import Sample
from polyclinic.explain.similar import Neighbourhood, SimilarPatient
from polyclinic.features.cache import EncoderCache
from polyclinic.models.bundle import Bundle

MOST_FEATURES, MOST_MEASUREMENTS = 12, 24
"""Scores that an assessment keeps, of each kind."""
SENSITIVITY = 0.5
"""Of the regions, where no audit chose one: what speaks at least half as strongly as the peak."""

_REMEMBERED: dict[tuple[str, str], Neighbourhood] = {}


def explained(
    bundle: Bundle,
    cohort: Cohort,
    readings: Mapping[datetime, Reading],
    records: Mapping[datetime, Record],
    answers: Sequence[Answer],
) -> tuple[dict[datetime, Record], list[Answer], dict[str, Attribution]]:
    """Add similar patients to the records, and to each answer what it rests on, if it was given.

    Give also the whole attributions, by task; their pictures are the maps on which regions were looked for.
    """
    samples = {time: reading.sample(cohort) for time, reading in readings.items()}
    near = {time: similar_to(bundle, cohort, sample) for time, sample in samples.items()}
    told = {
        answer.task: explanation_of(bundle, samples[answer.prediction_time], answer.task, answer.outputs)
        for answer in answers
        if answer.prediction_time is not None and answer.outputs
    }
    return (
        {time: record.model_copy(update={"similar": near[time]}) for time, record in records.items()},
        [
            answer.model_copy(update={"explanation": told[answer.task][0]} if answer.task in told else {})
            for answer in answers
        ],
        {task: attribution for task, (_, attribution) in told.items() if attribution is not None},
    )


def explanation_of(
    bundle: Bundle, sample: Sample, task: str, said: Sequence[Said]
) -> tuple[Explanation, Attribution | None]:
    """Explain the most probable output of an answer; the attribution is None where the bundle has no network."""
    output = max(said, key=lambda one: one.value).output
    shapley = modality_shapley(bundle, sample, task, output)
    shares = tuple(ModalityShare(modality=name, share=share) for name, share in shapley.by_modality.items())
    explained = {"output": output, "without_inputs": shapley.answer.nothing, "modalities": shares}
    if not bundle.ensemble.networks:
        return Explanation(**explained, method=None), None
    found, dial = integrated_gradients(bundle, sample, task, output), stored_dial(bundle)
    found = replace(found, pictures=located(bundle, sample, found, dial))
    scores = _scores(found) | {"trust": _trust(bundle, found.method)}
    if found.pictures:
        setting = _setting(dial, found.method)
        scores |= {
            "map": setting,
            "pictures": tuple(_picture(sample, one, setting.sensitivity) for one in found.pictures),
        }
    return Explanation(**explained, **scores), found


def _trust(bundle: Bundle, method: str) -> Trust:
    verdict = stored_verdicts(bundle).get(method)
    if verdict is None:
        return Trust(verdict="not_audited")
    return Trust(verdict="passed" if verdict.passed else "failed", reason=verdict.reason)


def _setting(dial: Dial | None, method: str) -> MapSetting:
    if dial is None:
        return MapSetting(method=method, smoothing=0.0, sensitivity=SENSITIVITY, chosen_on=None)
    return MapSetting(
        method=dial.method,
        smoothing=dial.smoothing,
        sensitivity=dial.sensitivity,
        chosen_on=dial.chosen_on,
        recall=dial.recall,
        false_regions=dial.false_regions,
    )


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


def _picture(sample: Sample, found: PictureAttribution, sensitivity: float) -> PictureRegions:
    spacing = spacing_of(sample, found.blob)
    mm = None if spacing is None else (spacing.mm, spacing.mm)
    regions = (region_in_picture(one, found.canvas, mm) for one in localise(found.scores, sensitivity))
    return PictureRegions(
        blob=found.blob,
        view=found.view,
        width=found.canvas.width,
        height=found.canvas.height,
        score=found.total,
        sensitivity=sensitivity,
        spacing=None if spacing is None else spacing.measured,
        regions=tuple(one for one in regions if one is not None),
    )

"""Explains the answers of an assessment: modalities, scores, words, regions, and similar patients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from polyclinic.assess.assessment import Answer, Record
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
from polyclinic.cohort import Cohort
from polyclinic.explain.attribution import (
    Attribution,
    NoteAttribution,
    PictureAttribution,
    SeriesAttribution,
    StructuredAttribution,
)
from polyclinic.explain.audit.record import Verdict, stored_verdicts
from polyclinic.explain.inputs.baseline import usual_of
from polyclinic.explain.localisation.coordinates import region_in_picture
from polyclinic.explain.localisation.localisation import localise
from polyclinic.explain.localisation.operating_point import OperatingPoint, stored_operating_point
from polyclinic.explain.localisation.pixel_spacing import spacing_of
from polyclinic.explain.methods.integrated_gradients import METHOD, integrated_gradients_of_each
from polyclinic.explain.methods.saliency_maps import located
from polyclinic.explain.neighbours.similar_patients import Neighbourhood, SimilarPatient
from polyclinic.explain.sample import Sample, output_of
from polyclinic.explain.shapley.modalities import ModalityShapley, modality_shapley_of_each
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.models.bundle.bundle import Bundle

MOST_FEATURES, MOST_MEASUREMENTS = 12, 24
"""Scores that an assessment keeps, of each kind."""
SENSITIVITY = 0.5
"""Of the regions, where no audit chose one: what speaks at least half as strongly as the peak."""

_REMEMBERED: dict[tuple[str, str], Neighbourhood] = {}


class Explained(NamedTuple):
    """What an assessment keeps of an explanation, and the whole; None where the bundle has no network."""

    explanation: Explanation
    attribution: Attribution | None = None


def explained(
    bundle: Bundle,
    cohort: Cohort,
    samples: Mapping[datetime, Sample],
    records: Mapping[datetime, Record],
    answers: Sequence[Answer],
) -> tuple[dict[datetime, Record], list[Answer], dict[str, Attribution]]:
    """Add similar patients to the records, and to each answer what it rests on, if it was given.

    Give also the whole attributions, by task; their pictures are the maps on which regions were looked for.
    """
    near = {time: similar_to(bundle, cohort, sample) for time, sample in samples.items()}
    told: dict[str, Explained] = {}
    for time, sample in samples.items():
        told |= explanations_of(bundle, sample, [one for one in answers if one.prediction_time == time])
    return (
        {time: record.model_copy(update={"similar": near[time]}) for time, record in records.items()},
        [
            answer.model_copy(update={"explanation": told[answer.task].explanation} if answer.task in told else {})
            for answer in answers
        ],
        {task: one.attribution for task, one in told.items() if one.attribution is not None},
    )


def explanations_of(bundle: Bundle, sample: Sample, answers: Sequence[Answer]) -> dict[str, Explained]:
    """Explain the most probable output of each answer about one sample, by task; of one without numbers, nothing.

    All are explained at once: what frozen encoders make of the sample serves them all.
    """
    outputs = [
        output_of(bundle, answer.task, max(answer.outputs, key=lambda one: one.value).output)
        for answer in answers
        if answer.outputs
    ]
    if not outputs:
        return {}
    shares = [_shares(one) for one in modality_shapley_of_each(bundle.ensemble, sample, outputs)]
    if not bundle.ensemble.networks:
        return {
            one.task: Explained(Explanation(**share, method=None)) for one, share in zip(outputs, shares, strict=True)
        }
    found = integrated_gradients_of_each(bundle.ensemble.networks, sample, outputs, usual_of(bundle.reference))
    operating_point, verdicts = stored_operating_point(bundle), stored_verdicts(bundle)
    maps = located(bundle, sample, found, operating_point)
    trust, setting = _trust(verdicts, METHOD), _setting(verdicts, operating_point)
    told = {}
    for one, shown, share in zip(found, maps, shares, strict=True):
        parts = _scores(one) | _regions(sample, one.pictures, shown, setting)
        told[one.task] = Explained(Explanation(**share, **parts, trust=trust), replace(one, pictures=shown))
    return told


def _shares(found: ModalityShapley) -> dict[str, Any]:
    shares = tuple(ModalityShare(modality=name, share=share) for name, share in found.by_modality.items())
    return {"output": found.output.name, "without_inputs": found.answer.nothing, "modalities": shares}


def _regions(
    sample: Sample,
    scored: Sequence[PictureAttribution],
    shown: Sequence[PictureAttribution],
    setting: MapSetting,
) -> dict[str, Any]:
    """Find the regions of pictures on the maps that are shown; their scores are those of the attribution."""
    if not scored:
        return {}
    pairs = zip(scored, shown, strict=True)
    return {
        "map": setting,
        "pictures": tuple(_picture(sample, one, score.total, setting.sensitivity) for score, one in pairs),
    }


def _trust(verdicts: Mapping[str, Verdict], method: str) -> Trust:
    verdict = verdicts.get(method)
    if verdict is None:
        return Trust(verdict="not_audited")
    return Trust(verdict="passed" if verdict.passed else "failed", reason=verdict.reason)


def _setting(verdicts: Mapping[str, Verdict], operating_point: OperatingPoint | None) -> MapSetting:
    if operating_point is None:
        trust = _trust(verdicts, METHOD)
        return MapSetting(method=METHOD, smoothing=0.0, sensitivity=SENSITIVITY, chosen_on=None, trust=trust)
    return MapSetting(
        method=operating_point.method,
        smoothing=operating_point.smoothing,
        sensitivity=operating_point.sensitivity,
        chosen_on=operating_point.chosen_on,
        recall=operating_point.recall,
        false_regions=operating_point.false_regions,
        trust=_trust(verdicts, operating_point.method),
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


def _picture(sample: Sample, found: PictureAttribution, score: float, sensitivity: float) -> PictureRegions:
    spacing = spacing_of(sample, found.blob)
    mm = None if spacing is None else (spacing.mm, spacing.mm)
    regions = (region_in_picture(one, found.canvas, mm) for one in localise(found.scores, sensitivity))
    return PictureRegions(
        blob=found.blob,
        view=found.view,
        width=found.canvas.width,
        height=found.canvas.height,
        score=score,
        sensitivity=sensitivity,
        spacing=None if spacing is None else spacing.measured,
        regions=tuple(one for one in regions if one is not None),
    )

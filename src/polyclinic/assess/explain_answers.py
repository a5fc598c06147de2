"""Explain the answers of an assessment: modalities, scores, words, regions, and similar patients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from polyclinic.assess.assessment import Answer, Record
from polyclinic.assess.explanation import (
    ColumnScore,
    Explanation,
    InCommon,
    MapSetting,
    MemberShare,
    ModalityShare,
    Outcome,
    Similar,
    Trust,
)
from polyclinic.assess.kept_scores import Displayed, KeptScores
from polyclinic.cohort import Cohort
from polyclinic.explain.answer.attribution import attribute_answers
from polyclinic.explain.attribution import (
    Attribution,
)
from polyclinic.explain.audit.record import Verdict, stored_verdicts
from polyclinic.explain.inputs.baseline import usual_of
from polyclinic.explain.localisation.operating_point import OperatingPoint, stored_operating_point
from polyclinic.explain.methods.integrated_gradients import METHOD
from polyclinic.explain.methods.saliency_maps import displayed_maps
from polyclinic.explain.neighbours.similar_patients import Neighbourhood, SimilarPatient
from polyclinic.explain.sample import Sample, output_of
from polyclinic.explain.shapley.modalities import ModalityShapley, modality_shapley_of_each
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.modalities import MODALITIES, References
from polyclinic.models.bundle.bundle import Bundle

SENSITIVITY = 0.5
"""Default sensitivity of the regions, without an audit: attribution of at least half the maximum."""

MOST_COLUMNS = 12

KEPT_SCORES: Mapping[str, KeptScores] = References({name: row.kept for name, row in MODALITIES.items()})
_NEIGHBOURHOODS: dict[tuple[str, str], Neighbourhood] = {}


class Explained(NamedTuple):
    """The part of an explanation that an assessment keeps, and the complete one."""

    explanation: Explanation
    attribution: Attribution | None = None


def explained(
    bundle: Bundle,
    cohort: Cohort,
    samples: Mapping[datetime, Sample],
    records: Mapping[datetime, Record],
    answers: Sequence[Answer],
) -> tuple[dict[datetime, Record], list[Answer], dict[str, Attribution]]:
    """Add similar patients to the records, and an explanation to each answer with outputs.

    Also return the complete attributions by task; their pictures are the maps on which regions were searched.
    """
    similar = {time: similar_to(bundle, cohort, sample) for time, sample in samples.items()}
    explanations: dict[str, Explained] = {}
    for time, sample in samples.items():
        explanations |= explanations_of(bundle, sample, [a for a in answers if a.prediction_time == time])
    return (
        {time: record.model_copy(update={"similar": similar[time]}) for time, record in records.items()},
        [
            answer.model_copy(update={"explanation": explanations[answer.task].explanation})
            if answer.task in explanations
            else answer
            for answer in answers
        ],
        {task: one.attribution for task, one in explanations.items() if one.attribution is not None},
    )


def explanations_of(bundle: Bundle, sample: Sample, answers: Sequence[Answer]) -> dict[str, Explained]:
    """Explain the most probable output of each answer for one sample, by task; answers without outputs are skipped.

    All are explained together, so that frozen encoders run once.
    """
    outputs = [
        output_of(bundle, answer.task, max(answer.outputs, key=lambda output: output.value).output)
        for answer in answers
        if answer.outputs
    ]
    if not outputs:
        return {}
    shares = [_shares(shapley) for shapley in modality_shapley_of_each(bundle.ensemble, sample, outputs)]
    attributions = attribute_answers(bundle.ensemble, sample, outputs, usual_of(bundle.reference))
    operating_point, verdicts = stored_operating_point(bundle), stored_verdicts(bundle)
    maps = displayed_maps(bundle, sample, attributions, operating_point)
    trust, setting = _trust(verdicts, attributions[0].method), _setting(verdicts, operating_point)
    explanations = {}
    for attribution, shown, share in zip(attributions, maps, shares, strict=True):
        parts = _scores(attribution, Displayed(sample, shown, setting))
        complete = attribution.with_pictures(shown)
        explanations[attribution.task] = Explained(Explanation(**share, **parts, trust=trust), complete)
    return explanations


def _shares(shapley: ModalityShapley) -> dict[str, Any]:
    shares = tuple(ModalityShare(modality=name, share=share) for name, share in shapley.by_modality.items())
    return {"output": shapley.output.name, "without_inputs": shapley.answer.nothing, "modalities": shares}


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
    """Return the training patients most similar to the sample; none if the cohort is another."""
    if not bundle.ensemble.networks or cohort.fingerprint != bundle.origin.get("cohort") or not sample.present:
        return ()
    return tuple(_similar(patient) for patient in _neighbourhood(bundle, cohort).nearest(bundle, sample))


def _neighbourhood(bundle: Bundle, cohort: Cohort) -> Neighbourhood:
    """Return the neighbourhood of the training cohort; the last is kept in memory, and its latents in a file."""
    key = bundle.digest[:32], cohort.fingerprint[:32]
    if key not in _NEIGHBOURHOODS:
        _NEIGHBOURHOODS.clear()
        folder = EncoderCache().folder / "neighbours"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # the file holds subject ids
        _NEIGHBOURHOODS[key] = Neighbourhood.of(bundle, cohort, folder / f"{'-'.join(key)}.arrow")
    return _NEIGHBOURHOODS[key]


def _similar(patient: SimilarPatient) -> Similar:
    return Similar(
        subject_id=patient.subject_id,
        prediction_time=patient.prediction_time,
        likeness=patient.likeness,
        outcomes=tuple(Outcome(task=task, value=value) for task, value in patient.outcomes.items()),
        shares=tuple(InCommon(name=shared.name, mine=shared.mine, theirs=shared.theirs) for shared in patient.shares),
    )


def _scores(attribution: Attribution, displayed: Displayed) -> dict[str, Any]:
    gap = attribution.completeness.gap if attribution.completeness else math.inf
    found: dict[str, Any] = {
        "method": attribution.method,
        "baseline": attribution.baseline,
        "gap": gap if math.isfinite(gap) else None,
        "columns": tuple(
            ColumnScore(modality=one.modality, name=one.name, score=one.score)
            for one in attribution.columns[:MOST_COLUMNS]
        ),
        "members": tuple(MemberShare(member=name, share=share) for name, share in attribution.members.items()),
    }
    for modality, part in attribution.parts.items():
        found |= KEPT_SCORES[modality].keep(part, displayed)
    return found

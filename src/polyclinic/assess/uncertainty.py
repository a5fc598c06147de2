"""The outputs of one answer, their intervals, and its conformal sets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from polyclinic.assess.assessment import Basis, ConformalSet, OutputEstimate
from polyclinic.assess.bundle_performance import Measurements
from polyclinic.evaluation.arrays import CONFIDENCE
from polyclinic.evaluation.metrics.conformal import coverage_interval, left_out
from polyclinic.evaluation.prediction_sets import ALPHA, NO_YES, prediction_sets
from polyclinic.models.bundle.development_reference import Conformity, Reference
from polyclinic.models.ensemble.calibration import Calibrator, calibrate_with_each
from polyclinic.models.ensemble.ensemble import NETWORK, Ensemble, EnsemblePredictions, TaskEnsemble
from polyclinic.models.ensemble.members import MemberPrediction
from polyclinic.tasks import Task

TAIL = (1 - CONFIDENCE) / 2
SAME = 1e-9
"""Tolerance below which networks count as equal."""


def output_estimates(
    ensemble: Ensemble,
    reference: Reference | None,
    task: Task,
    predictions: EnsemblePredictions,
    measurements: Measurements,
) -> tuple[OutputEstimate, ...]:
    """Return the outputs of a task for the one sample of `predictions`."""
    combined, bins = ensemble.tasks[task.name], ensemble.bins(task.name)
    names = [f"by {end:g} {task.target.unit}" for end in bins] if bins else list(task.outputs)
    answers = combined.combine(predictions.member_predictions[task.name], predictions.present)[0]
    calibrators = reference.calibrators.get(task.name, ()) if reference else ()
    low, high, basis = interval_of(combined, calibrators, _mixed(combined, task, predictions), answers)
    return tuple(
        OutputEstimate(
            output=name,
            value=float(answers[place]),
            low=None if basis is None else float(low[place]),
            high=None if basis is None else float(high[place]),
            basis=basis,
            operating=measurements.operating(task, combined.thresholds, reference, place, float(answers[place])),
        )
        for place, name in enumerate(names)
    )


def interval_of(
    ensemble: TaskEnsemble,
    calibrators: Sequence[Calibrator],
    mixed: Float[np.ndarray, "network output"],
    answers: Float[np.ndarray, " output"],
) -> tuple[Float[np.ndarray, " output"], Float[np.ndarray, " output"], Basis | None]:
    """Return the ends of each output's interval, which contains the output itself, and its basis.

    The uncalibrated answer with each network alone (`mixed`) is calibrated by each calibrator fitted on resampled
    subjects; the interval is the central 95 %. Without calibrators it is the range over the networks, if they differ.
    """
    if calibrators:
        draws = calibrate_with_each(calibrators, mixed).reshape(-1, len(answers))
        low, high = np.quantile(draws, [TAIL, 1 - TAIL], axis=0)
        basis: Basis | None = "calibration_and_networks" if len(mixed) > 1 else "calibration"
    else:
        own = ensemble.calibrator
        draws = mixed if own is None else own(mixed)
        low, high = draws.min(axis=0), draws.max(axis=0)
        basis = "networks" if np.any(high - low > SAME) else None
    return np.minimum(low, answers), np.maximum(high, answers), basis


def _mixed(ensemble: TaskEnsemble, task: Task, predictions: EnsemblePredictions) -> Float[np.ndarray, "network output"]:
    """Combine the members once per network, as if it were the only one; uncalibrated."""
    member_predictions = predictions.member_predictions[task.name]
    if predictions.network_predictions is None or NETWORK not in member_predictions:
        return ensemble.mix(member_predictions, predictions.present)
    each = predictions.network_predictions.answers[task.name][:, 0]
    times = len(each)
    repeated = {
        name: MemberPrediction(np.repeat(one.answers, times, axis=0), np.repeat(one.able, times))
        for name, one in member_predictions.items()
    }
    present = {modality: np.repeat(there, times) for modality, there in predictions.present.items()}
    return ensemble.mix(repeated | {NETWORK: MemberPrediction(each, repeated[NETWORK].able)}, present)


def sets_of(
    ensemble: TaskEnsemble, reference: Reference | None, task: Task, outputs: tuple[OutputEstimate, ...]
) -> tuple[ConformalSet, ...]:
    """Return the conformal sets of an answer; none for time to event, nor without conformity scores."""
    conformity = reference.conformity.get(task.name) if reference else None
    if conformity is None:
        return ()
    values = np.array([[output.value for output in outputs]])
    sets = [one[0] for one in prediction_sets(task.kind, values, conformity.scores, ensemble.thresholds)]
    if task.kind == "regression":
        return (_of_number(conformity, sets[0]),)
    if task.kind == "multiclass":
        return (_of_classes(conformity, 0, sets[0], task.outputs, None),)
    labels = task.classes if task.kind == "multilabel" else (None,)
    return tuple(
        _of_classes(conformity, place, included, NO_YES, label)
        for place, (included, label) in enumerate(zip(sets, labels, strict=True))
    )


def _of_classes(
    conformity: Conformity,
    place: int,
    included: Bool[np.ndarray, " answer"],
    names: tuple[str, ...],
    label: str | None,
) -> ConformalSet:
    counts = [len(scores) for scores in conformity.scores[place]]
    return ConformalSet(
        output=label,
        answers=tuple(compress(names, included.tolist())),
        everything=bool(included.all()),
        never_excluded=tuple(name for name, count in zip(names, counts, strict=True) if not left_out(count, ALPHA)),
        **_coverage(conformity, counts),
    )


def _of_number(conformity: Conformity, ends: Float[np.ndarray, "2"]) -> ConformalSet:
    unbounded = not np.isfinite(ends).all()
    return ConformalSet(
        output=None,
        answers=(),
        low=None if unbounded else float(ends[0]),
        high=None if unbounded else float(ends[1]),
        everything=unbounded,
        **_coverage(conformity, [len(conformity.scores[0][0])]),
    )


def _coverage(conformity: Conformity, counts: Sequence[int]) -> dict[str, Any]:
    """Return the coverage of such sets, from the lowest to the highest of the answers, and the subjects behind it."""
    ends = [coverage_interval(count, ALPHA) for count in counts] if conformity.split else []
    return {
        "level": 1 - ALPHA,
        "subjects": sum(counts),
        "split": conformity.split,
        "coverage_low": min((low for low, _ in ends), default=None),
        "coverage_high": max((high for _, high in ends), default=None),
    }

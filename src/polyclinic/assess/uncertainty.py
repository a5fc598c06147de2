"""The outputs of one answer, their intervals, and its conformal sets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from polyclinic.assess.assessment import Basis, ConformalSet, OutputEstimate
from polyclinic.assess.bundle_performance import Measurements
from polyclinic.evaluation.arrays import CONFIDENCE
from polyclinic.evaluation.metrics.conformal import (
    binary_probabilities,
    class_set,
    conformal_quantile,
    coverage_interval,
)
from polyclinic.models.bundle.development_reference import Conformity, Reference
from polyclinic.models.ensemble.calibration import Calibrator, calibrate_with_each
from polyclinic.models.ensemble.ensemble import NETWORK, Ensemble, EnsemblePredictions, TaskEnsemble
from polyclinic.models.ensemble.members import MemberPrediction
from polyclinic.tasks import Task

ALPHA = 0.1
"""Miscoverage of the conformal sets."""
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


def sets_of(reference: Reference | None, task: Task, outputs: tuple[OutputEstimate, ...]) -> tuple[ConformalSet, ...]:
    """Return the conformal sets of an answer; none for time to event, nor without conformity scores."""
    conformity = reference.conformity.get(task.name) if reference else None
    if conformity is None:
        return ()
    values = np.array([output.value for output in outputs])
    if task.kind == "regression":
        return (_of_number(conformity, 0, float(values[0])),)
    if task.kind == "multiclass":
        return (_of_classes(conformity, 0, values, task.outputs, None),)
    labels = task.classes if task.kind == "multilabel" else (None,)
    return tuple(
        _of_classes(conformity, place, binary_probabilities(values[place]), ("no", "yes"), label)
        for place, label in enumerate(labels)
    )


def _of_classes(
    conformity: Conformity, place: int, p: Float[np.ndarray, " answer"], names: tuple[str, ...], label: str | None
) -> ConformalSet:
    included = class_set(p, conformal_quantile(conformity.scores[place], ALPHA))
    return ConformalSet(
        output=label,
        answers=tuple(name for name, kept in zip(names, included.tolist(), strict=True) if kept),
        everything=bool(included.all()),
        **_coverage(conformity, place),
    )


def _of_number(conformity: Conformity, place: int, value: float) -> ConformalSet:
    reach = conformal_quantile(conformity.scores[place], ALPHA)
    unbounded = math.isinf(reach)
    return ConformalSet(
        output=None,
        answers=(),
        low=None if unbounded else value - reach,
        high=None if unbounded else value + reach,
        everything=unbounded,
        **_coverage(conformity, place),
    )


def _coverage(conformity: Conformity, place: int) -> dict[str, Any]:
    """Return the coverage of such sets and the subjects that it is based on."""
    subjects = len(conformity.scores[place])
    low, high = coverage_interval(subjects, ALPHA) if conformity.split else (None, None)
    return {
        "level": 1 - ALPHA,
        "subjects": subjects,
        "split": conformity.split,
        "coverage_low": low,
        "coverage_high": high,
    }

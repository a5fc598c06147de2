"""The outputs of one answer, their intervals, and its conformal sets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from polyclinic.assess.abstention import uncertain_call
from polyclinic.assess.assessment import Basis, ConformalSet, Operating, OutputEstimate
from polyclinic.assess.bundle_performance import Measurements
from polyclinic.evaluation.metrics.conformal import coverage_interval, left_out
from polyclinic.evaluation.prediction_sets import ALPHA, NO_YES, prediction_sets
from polyclinic.models.bundle.development_reference import Conformity, Reference
from polyclinic.models.ensemble.answer_spread import disagreement, from_scale, to_scale
from polyclinic.models.ensemble.calibration import calibrate_with_each
from polyclinic.models.ensemble.ensemble import NETWORK, Ensemble, EnsemblePredictions, TaskEnsemble
from polyclinic.models.ensemble.members import MemberPrediction
from polyclinic.tasks import Task

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
    members, groups = predictions.member_predictions[task.name], predictions.groups
    answers = combined.combine(members, predictions.present, groups)[0]
    lows, highs, basis = intervals_of(combined, reference, task, predictions, answers[None])
    low, high = lows[0], highs[0]
    return tuple(
        OutputEstimate(
            output=name,
            value=float(answers[place]),
            low=None if basis is None else float(low[place]),
            high=None if basis is None else float(high[place]),
            basis=basis,
            operating=_judged(
                measurements.operating(task, combined.thresholds, reference, place, float(answers[place])),
                None if basis is None else (float(low[place]), float(high[place])),
            ),
        )
        for place, name in enumerate(names)
    )


def _judged(operating: Operating | None, interval: tuple[float, float] | None) -> Operating | None:
    """Note whether the call is uncertain, given the interval of its probability."""
    if operating is None or interval is None:
        return operating
    return operating.model_copy(update={"uncertain": uncertain_call(*interval, operating.threshold)})


def intervals_of(
    ensemble: TaskEnsemble,
    reference: Reference | None,
    task: Task,
    predictions: EnsemblePredictions,
    answers: Float[np.ndarray, "sample output"],
) -> tuple[Float[np.ndarray, "sample output"], Float[np.ndarray, "sample output"], Basis | None]:
    """Return the ends of each answer's interval, which contains the answer itself, and its basis.

    The interval holds the answer of a refit to other development subjects with about 95 % probability: it adds the
    spread between the models of cross-fitting to that between calibrations fitted to resampled subjects. Without a
    reference it is the range over the networks, if they differ.
    """
    spread = reference.spreads.get(task.name) if reference else None
    if reference is None or spread is None:
        return _range_of_networks(ensemble, task, predictions, answers)
    each, further = _each_network(task, predictions), np.zeros_like(answers)
    apart = np.zeros_like(answers) if each is None else disagreement(task.kind, each)
    calibrators = reference.calibrators.get(task.name, ())
    if calibrators:
        mixed = ensemble.mix(predictions.member_predictions[task.name], predictions.present)
        further = to_scale(task.kind, calibrate_with_each(calibrators, mixed)).std(axis=0)
    middle, reach = to_scale(task.kind, answers), spread.reach(apart, further)
    low, high = from_scale(task.kind, middle - reach), from_scale(task.kind, middle + reach)
    return np.minimum(low, answers), np.maximum(high, answers), "refits"


def _range_of_networks(
    ensemble: TaskEnsemble, task: Task, predictions: EnsemblePredictions, answers: Float[np.ndarray, "sample output"]
) -> tuple[Float[np.ndarray, "sample output"], Float[np.ndarray, "sample output"], Basis | None]:
    each = _each_network(task, predictions)
    draws = (
        answers[None] if each is None else np.stack([_with_network(ensemble, task, predictions, one) for one in each])
    )
    low, high = np.minimum(draws.min(axis=0), answers), np.maximum(draws.max(axis=0), answers)
    return low, high, "networks" if np.any(high - low > SAME) else None


def _each_network(task: Task, predictions: EnsemblePredictions) -> Float[np.ndarray, "network sample output"] | None:
    """Return the answers of each network; None without one."""
    if predictions.network_predictions is None or NETWORK not in predictions.member_predictions[task.name]:
        return None
    each: np.ndarray = predictions.network_predictions.answers[task.name]
    return each


def _with_network(
    ensemble: TaskEnsemble, task: Task, predictions: EnsemblePredictions, answers: Float[np.ndarray, "sample output"]
) -> Float[np.ndarray, "sample output"]:
    """Combine and calibrate the members as if a network's answers were those of all."""
    members = dict(predictions.member_predictions[task.name])
    members[NETWORK] = MemberPrediction(answers, members[NETWORK].able)
    return ensemble.combine(members, predictions.present, predictions.groups)


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

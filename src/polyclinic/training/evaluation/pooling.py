"""Pool the predictions of the models of a cross-validation: each sample is predicted by the fold that left it out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from polyclinic.cohort import Cohort
from polyclinic.compute.threads import one_thread
from polyclinic.evaluation.metrics.survival import risks_at
from polyclinic.evaluation.prediction_sets import PredictionSets
from polyclinic.features import Arrays
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.progress import Progress
from polyclinic.tasks import Samples, Targets, Task
from polyclinic.training.evaluation.evaluate import TaskPredictions, answers_by_subset, sets_of
from polyclinic.training.model_setup import head_config

Bins = Mapping[str, tuple[float, ...]]
"""By task: the ends of the bins of time to event, empty for tasks of other kinds."""


@dataclass(frozen=True)
class FoldPredictions:
    """The predictions of one fold's bundle for the samples that the fold left out."""

    rows: Int[np.ndarray, " row"]  # of the samples, among all
    tasks: Mapping[str, TaskPredictions]
    arrays: Mapping[str, Arrays]  # only `present` of each modality
    development_subjects: int


def common_bins(tasks: Sequence[Task], targets: Mapping[str, Targets]) -> Bins:
    """Return the bins of a bundle fitted to all samples, at whose ends the risks of all folds are read off."""
    return {task.name: head_config(task, targets[task.name], balance=False).bins for task in tasks}


@one_thread()
def predict_fold(
    bundle: Bundle, cohort: Cohort, sampled: Samples, rows: Int[np.ndarray, " row"], bins: Bins, progress: Progress
) -> FoldPredictions:
    """Predict the samples in `rows` with a bundle that was not fitted to them, at its own thresholds."""
    arrays = bundle.arrays(cohort, sampled.take(rows).frame, progress)
    answers = bundle.ensemble.answer(arrays, every_member=True)
    by_subset = answers_by_subset(bundle, arrays, progress) if len(bundle.inputs) > 1 else {}
    tasks = {}
    for name, found in answers.items():
        ends = bundle.ensemble.bins(name)
        tasks[name] = TaskPredictions(
            _at_bins(found.answers, ends, bins[name]),
            {member: _at_bins(one.answers, ends, bins[name]) for member, one in found.members.items()},
            {subset: _at_bins(by_task[name], ends, bins[name]) for subset, by_task in by_subset.items()},
            tuple(np.full(len(rows), threshold) for threshold in bundle.ensemble.tasks[name].thresholds),
            bins[name],
            sets_of(bundle, bundle.task(name), found.answers, arrays),
        )
    present = {modality: {"present": np.asarray(of_modality["present"])} for modality, of_modality in arrays.items()}
    return FoldPredictions(rows, tasks, present, bundle.origin["development_subjects"])


def _at_bins(risks: np.ndarray, ends: Sequence[float], bins: Sequence[float]) -> np.ndarray:
    """Return the risks by the ends of `bins`; predictions of tasks without bins as they are."""
    return np.asarray(risks_at(risks, ends, bins)) if bins else risks


def pooled_predictions(folds: Sequence[FoldPredictions]) -> dict[str, TaskPredictions]:
    """Put the predictions of all folds in the order of the samples; members that some fold lacks are left out."""
    order = _order(folds)

    def join(parts: Iterable[np.ndarray]) -> np.ndarray:
        joined: np.ndarray = np.concatenate(list(parts))[order]
        return joined

    pooled = {}
    for name, first in folds[0].tasks.items():
        parts = [fold.tasks[name] for fold in folds]
        members = {
            member: join(part.members[member] for part in parts)
            for member in first.members
            if all(member in part.members for part in parts)
        }
        pooled[name] = TaskPredictions(
            join(part.answers for part in parts),
            {member: values for member, values in members.items() if not np.isnan(values).any()},
            {subset: join(part.given[subset] for part in parts) for subset in first.given},
            tuple(
                join(np.asarray(part) for part in column) for column in zip(*(p.thresholds for p in parts), strict=True)
            ),
            first.bins,
            _pooled_sets([part.sets for part in parts], join),
        )
    return pooled


def _pooled_sets(
    parts: Sequence[PredictionSets | None], join: Callable[[Iterable[np.ndarray]], np.ndarray]
) -> PredictionSets | None:
    """Join the sets of all folds; None if some fold has none."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    sets = zip(*(part.sets for part in known), strict=True)
    return PredictionSets(tuple(join(of_output) for of_output in sets), join(part.answered for part in known))


def pooled_presence(folds: Sequence[FoldPredictions]) -> dict[str, Any]:
    """Return the `present` array of each modality, in the order of the samples."""
    order = _order(folds)
    return {
        modality: {"present": np.concatenate([fold.arrays[modality]["present"] for fold in folds])[order]}
        for modality in folds[0].arrays
    }


def _order(folds: Sequence[FoldPredictions]) -> Int[np.ndarray, " sample"]:
    return np.argsort(np.concatenate([fold.rows for fold in folds]), kind="stable")

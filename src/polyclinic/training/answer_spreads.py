"""Measure how much answers vary between the models of cross-fitting: see `polyclinic.models.ensemble.answer_spread`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from polyclinic.models.ensemble.answer_spread import AnswerSpread
from polyclinic.models.ensemble.ensemble import NETWORK, Ensemble
from polyclinic.models.ensemble.members import DesignCache, Member, MemberPrediction, presence_of
from polyclinic.models.ensemble.network_outputs import NetworkPredictions, predict_each_network
from polyclinic.study import Study
from polyclinic.tasks import Targets, Task
from polyclinic.training.data.dataset import Examples
from polyclinic.training.data.folds import Fold

MAX_SAMPLES = 2000
"""Development samples that are predicted by the models of every fold."""


@dataclass(frozen=True)
class FoldModels:
    """The models of cross-fitting, each fitted without a fold, and what they were fitted to."""

    study: Study
    examples: Examples
    read: Examples | None  # with the arrays that networks read; None without a network
    folds: Sequence[Fold]
    ensemble: Ensemble
    by_fold: Mapping[str, Mapping[str, tuple[Member, ...]]]  # by task and classical member
    design_rows: DesignCache
    of_networks: NetworkPredictions | None = None  # of all samples, where they are known


def answer_spreads(models: FoldModels) -> dict[str, AnswerSpread]:
    """Return how much the answers of each task vary over refits; none of a task without any answer."""
    rows = _rows(models)
    networks = _network_predictions(models, rows)
    unseen = np.array([np.isin(rows, fold.validation) for fold in models.folds])
    spreads = {}
    for task in models.study.tasks:
        alone = networks.answers[task.name] if networks else None
        replicates = [_replicate(models, task.name, number, rows, networks) for number in range(len(models.folds))]
        if len(rows):
            cases = cases_of(task, models.examples.targets[task.name], models.examples.subjects)
            spreads[task.name] = AnswerSpread.fit(task.kind, np.stack(replicates), alone, unseen, cases)
    return spreads


def cases_of(task: Task, target: Targets, subjects: Int[np.ndarray, " sample"]) -> Float[np.ndarray, " output"]:
    """Return the number of subjects with the rarer outcome, of each output; of a number, the number of subjects.

    A subject with several samples counts once for each outcome that it has: its samples are no further evidence.
    """
    values, subjects = target.values[target.observed], subjects[target.observed]
    if task.kind == "regression":
        return _subjects_with(np.ones((len(values), 1), dtype=bool), subjects)
    if task.kind == "time_to_event":
        return _subjects_with(values[:, 1:2] > 0.5, subjects)
    positive = values > 0.5
    cases: np.ndarray = np.minimum(_subjects_with(positive, subjects), _subjects_with(~positive, subjects))
    return cases


def _subjects_with(
    having: Bool[np.ndarray, "sample output"], subjects: Int[np.ndarray, " sample"]
) -> Float[np.ndarray, " output"]:
    return np.array([len(np.unique(subjects[of_output])) for of_output in having.T], dtype=np.float64)


def _rows(models: FoldModels) -> Int[np.ndarray, " row"]:
    """Draw development samples with any input."""
    present = presence_of(models.examples.arrays)
    able = np.flatnonzero(np.logical_or.reduce(list(present.values())))
    return np.sort(np.random.default_rng(models.study.seed).permutation(able)[:MAX_SAMPLES])


def _network_predictions(models: FoldModels, rows: Int[np.ndarray, " row"]) -> NetworkPredictions | None:
    """Return the predictions of each network; None without a network."""
    if models.read is None:
        return None
    if models.of_networks is not None:
        return models.of_networks.select(rows)
    return predict_each_network(models.ensemble.networks, models.read.arrays, rows=rows)


def _replicate(
    models: FoldModels, task: str, number: int, rows: Int[np.ndarray, " row"], networks: NetworkPredictions | None
) -> Float[np.ndarray, "sample output"]:
    """Predict with the models fitted without a fold, combined and calibrated as the final ones are.

    Members without a weight need not predict.
    """
    ensemble = models.ensemble.tasks[task]
    present = {modality: mask[rows] for modality, mask in presence_of(models.examples.arrays).items()}
    predictions = {}
    if networks is not None:
        predictions[NETWORK] = MemberPrediction(networks.answers[task][number], networks.able)
    if networks is None or ensemble.combination is not None:
        for name in ensemble.required_members(present, every_member=False):
            member = models.by_fold[task][name][number]
            predictions[name] = member.predict(models.design_rows[member.design].select(rows))
    return ensemble.combine(predictions, present)

"""Cross-fitting: every development subject is judged by models not fitted to it, and all of them teach the bundle.

Fold by fold a network and the classical models are fitted without the fold and asked about it. From these out-of-fold
answers come the combination of the members, its calibration and the operating thresholds. The networks of the folds are
kept and averaged; the classical models are fitted once more on everyone. A fold tells its network when to stop, so
that the network's out-of-fold answers are a little better than new subjects would get: reported figures are never
made of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int

from polyclinic.modalities import in_order
from polyclinic.models import ModelConfig, UnifiedModel
from polyclinic.models.classical import ClassicalConfig, ClassicalModel, Design
from polyclinic.models.ensemble.calibration import Calibrator
from polyclinic.models.ensemble.ensemble import NETWORK, Ensemble, TaskEnsemble
from polyclinic.models.ensemble.members import DesignCache, Member, MemberPrediction, presence_of
from polyclinic.models.ensemble.network_outputs import average_network_predictions
from polyclinic.models.ensemble.stacker_by_subset import Combination, Present, Subset
from polyclinic.models.ensemble.thresholds import Utility, threshold_for_sensitivity, threshold_for_utility
from polyclinic.models.network.modality_dropout import keeping, subsets
from polyclinic.progress import SILENT, Advance, Progress
from polyclinic.study import Study, StudyError
from polyclinic.tasks import Targets, Task
from polyclinic.training.data.dataset import Examples
from polyclinic.training.data.folds import Fold
from polyclinic.training.network.trainer import Rows, fit_network

MemberPredictions = dict[str, dict[str, MemberPrediction]]
"""By task, then member."""


@dataclass(frozen=True)
class Crossfitter:
    """Fits the ensemble of a study on its examples."""

    study: Study
    examples: Examples
    config: ModelConfig | None
    designs: Mapping[str, Design]  # by member: those of the joint models, and of each modality alone
    folder: Path  # where networks leave their checkpoints
    logger: str = "csv"
    progress: Progress = SILENT

    @cached_property
    def network_examples(self) -> Examples:
        """The arrays that the network reads, and no others."""
        assert self.config is not None
        reads = UnifiedModel(self.config).reads
        arrays = {
            m: {name: self.examples.arrays[m][name] for name in (*names, "present")} for m, names in reads.items()
        }
        return Examples(arrays, self.examples.targets, self.examples.subjects)

    @cached_property
    def shown(self) -> DesignCache:
        """What classical models read of every example."""
        return DesignCache(self.examples.arrays)

    @cached_property
    def present(self) -> Present:
        """Which examples have each modality."""
        return presence_of(self.examples.arrays)

    @cached_property
    def views(self) -> list[Subset]:
        """The subsets of the inputs that members are asked about: all of them where members are combined."""
        everything = in_order(self.examples.arrays)
        combined = self.study.stack or self.config is None
        timed = all(task.kind == "time_to_event" for task in self.study.tasks)
        return list(subsets(everything)) if combined and not timed else [everything]

    def fit(self, folds: Sequence[Fold]) -> tuple[Ensemble, MemberPredictions]:
        """Fit, and give also what each member said of every example out of fold."""
        networks = [self._network(number, fold) for number, fold in enumerate(folds)] if self.config else []
        said = {view: self._network_out_of_fold(networks, folds, view) for view in self.views}
        members = self._classical(folds, said)
        ensembles = {task.name: self._combine(task, said, members[task.name]) for task in self.study.tasks}
        return Ensemble(networks, ensembles), said[self.views[-1]]

    def _network(self, number: int, fold: Fold) -> UnifiedModel:
        assert self.study.network is not None
        assert self.config is not None
        return fit_network(
            self.config,
            self.network_examples,
            Rows(fold.training, fold.validation),
            self.study.network,
            seed=self.study.seed * 1000 + number,
            folder=self.folder / f"fold{number}",
            logger=self.logger,
            progress=self.progress,
            description=f"network, fold {number + 1}",
        )

    def _network_out_of_fold(
        self, networks: Sequence[UnifiedModel], folds: Sequence[Fold], view: Subset
    ) -> MemberPredictions:
        """Ask each fold's network about the fold, as if only the modalities of the view had been recorded."""
        if not networks:
            return {task.name: {} for task in self.study.tasks}
        arrays, rows = keeping(self.network_examples.arrays, view), [fold.validation for fold in folds]
        said = [
            average_network_predictions([network], arrays, rows=one)
            for network, one in zip(networks, rows, strict=True)
        ]
        return {task: {NETWORK: _assembled(rows, [one[task] for one in said])} for task in said[0]}

    def _classical(
        self, folds: Sequence[Fold], said: Mapping[Subset, MemberPredictions]
    ) -> dict[str, dict[str, Member]]:
        """Fit every classical model without each fold and on everyone; note in `said` what it says out of fold."""
        jobs = [(task, name) for task in self.study.tasks for name in self.designs if self._can(task, name, folds)]
        members: dict[str, dict[str, Member]] = {task.name: {} for task in self.study.tasks}
        with self.progress.task("classical models", total=len(jobs) * (len(folds) + 1)) as advance:
            for task, name in jobs:
                for view, prediction in self._out_of_fold(task, name, folds, advance).items():
                    said[view][task.name][name] = prediction
                model = self._fitted(task, name, np.arange(len(self.examples)))
                advance(1)
                members[task.name][name] = Member(model, self.designs[name])
        return members

    def _can(self, task: Task, name: str, folds: Sequence[Fold]) -> bool:
        """Tell whether a classical model can answer a task, and has someone to learn it from whichever fold is out."""
        rows = self._taught(task, name)
        return task.kind != "time_to_event" and all(rows[fold.training].any() for fold in folds)

    def _taught(self, task: Task, name: str) -> Bool[np.ndarray, " sample"]:
        """Tell which samples have any of a model's modalities, and an answer."""
        able, observed = self.shown[self.designs[name]].able, self.examples.targets[task.name].observed
        taught: np.ndarray = able & observed
        return taught

    def _out_of_fold(
        self, task: Task, name: str, folds: Sequence[Fold], advance: Advance
    ) -> dict[Subset, MemberPrediction]:
        """Ask a model fitted without each fold about the fold, once for each view."""
        design, said = self.designs[name], []
        for fold in folds:
            member = Member(self._fitted(task, name, fold.training), design)
            shown = self.shown[design].some(fold.validation)
            present = {modality: there[fold.validation] for modality, there in self.present.items()}
            said.append({view: member.predict(shown.keeping(design, present, view)) for view in self.views})
            advance(1)
        rows = [fold.validation for fold in folds]
        return {view: _assembled(rows, [one[view] for one in said]) for view in self.views}

    def _fitted(self, task: Task, name: str, rows: Int[np.ndarray, " row"]) -> ClassicalModel:
        """Fit one model on the rows that have any of its modalities and an answer."""
        design, target = self.designs[name], self.examples.targets[task.name]
        matrix = self.shown[design].matrix
        assert matrix is not None
        rows = rows[self._taught(task, name)[rows]]
        config = ClassicalConfig(
            name=method_of(name),
            kind=task.kind,
            outputs=target.values.shape[1],
            balanced=False,
            seed=self.study.seed,
        )
        model = ClassicalModel(config, design.columns, design.blocks)
        return model.fit(matrix[rows], target.values[rows], target.observed[rows], self.examples.subjects[rows])

    def _combine(
        self, task: Task, said: Mapping[Subset, MemberPredictions], members: dict[str, Member]
    ) -> TaskEnsemble:
        """Learn from out-of-fold answers how the members are combined, what their odds mean, and where to act."""
        whole = said[self.views[-1]][task.name]
        if not whole:
            raise StudyError(f"{task.name}: too few development samples with an answer have any of the inputs")
        target = self.examples.targets[task.name]
        ensemble = TaskEnsemble(kind=task.kind, members=members)
        if task.kind == "time_to_event":
            return ensemble
        if self.study.stack or NETWORK not in whole:
            ensemble.combination = self._combination(task, said)
        if task.kind == "regression":
            return ensemble
        combined = ensemble.combine(whole, self.present)
        ensemble.calibrator = Calibrator.fit(
            task.kind, answers=combined, targets=target.values, observed=target.observed, method=self.study.calibration
        )
        calibrated = ensemble.calibrator(combined)[target.observed]
        ensemble.thresholds = _thresholds(task, calibrated, target, self.study)
        return ensemble

    def _combination(self, task: Task, said: Mapping[Subset, MemberPredictions]) -> Combination:
        target = self.examples.targets[task.name]
        member_predictions = {view: of_tasks[task.name] for view, of_tasks in said.items()}
        taught = {
            view: (
                {name: prediction.answers for name, prediction in of_members.items()},
                {name: prediction.able for name, prediction in of_members.items()},
            )
            for view, of_members in member_predictions.items()
        }
        return Combination.fit(task.kind, taught, self.present, target.values, target.observed)


def method_of(member: str) -> str:
    """Give the classical method of a member: `logistic_regression` of `logistic_regression:note`."""
    return member.partition(":")[0]


def _assembled(rows: Sequence[Int[np.ndarray, " row"]], said: Sequence[MemberPrediction]) -> MemberPrediction:
    order = np.argsort(np.concatenate(rows), kind="stable")
    return MemberPrediction(
        np.concatenate([prediction.answers for prediction in said])[order],
        np.concatenate([prediction.able for prediction in said])[order],
    )


def _thresholds(task: Task, p: np.ndarray, target: Targets, study: Study) -> tuple[float, ...]:
    """Give the operating threshold of each output that is a yes or no; 1 where nobody has said yes."""
    if task.kind not in ("binary", "multilabel"):
        return ()
    truth = target.values[target.observed] > 0.5
    return tuple(
        _threshold(column, happened, study) if happened.any() else 1.0
        for column, happened in zip(p.T, truth.T, strict=True)
    )


def _threshold(p: np.ndarray, happened: np.ndarray, study: Study) -> float:
    """Give the threshold that the study's rule chooses."""
    if study.harm_to_benefit is not None:
        return threshold_for_utility(p, happened, Utility.of(study.harm_to_benefit))
    assert study.target_sensitivity is not None
    return threshold_for_sensitivity(p, happened, study.target_sensitivity)

"""Cross-fitting: fit an ensemble so that its combination and calibration use out-of-fold predictions only.

For each fold, a network and the classical models are fitted without the fold and predict it. The combination of the
members, its calibration and the operating thresholds are fitted to these predictions. The networks of all folds are
kept and averaged; the classical models are refitted on all samples.

The combination is learnt from predictions made as they will be used. A fold also decides when its network stops
training, so the fold is predicted with the network's weights of the epoch that the other folds chose. One network
predicts each fold where the mean of all will be used: the noise that the mean lacks is measured, and left out of the
loss to which the weights are fitted.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from polyclinic.compute.devices import CPU
from polyclinic.compute.ray_cluster import completed_on_ray
from polyclinic.compute.resources import RAY, Resources
from polyclinic.compute.workers import Done, Job, completed
from polyclinic.features.structured.demographics import DemographicFeatures, Groups
from polyclinic.modalities import in_order
from polyclinic.models import ModelConfig, UnifiedModel
from polyclinic.models.classical import Design
from polyclinic.models.ensemble.calibration import Calibrator
from polyclinic.models.ensemble.ensemble import NETWORK, Ensemble, TaskEnsemble
from polyclinic.models.ensemble.group_calibration import GroupCalibration
from polyclinic.models.ensemble.members import DesignCache, Member, MemberPrediction, presence_of
from polyclinic.models.ensemble.network_noise import noise_of_one
from polyclinic.models.ensemble.network_outputs import averaged, predict_from_subsets
from polyclinic.models.ensemble.stacker_by_subset import Combination, Present, Subset
from polyclinic.models.ensemble.thresholds import Utility, threshold_for_sensitivity, threshold_for_utility
from polyclinic.models.network.modality_dropout import subsets
from polyclinic.progress import SILENT, Advance, Progress
from polyclinic.study import Study, StudyError
from polyclinic.tasks import Targets, Task
from polyclinic.training.data.dataset import Examples
from polyclinic.training.data.folds import Fold
from polyclinic.training.members import (
    NETWORK_FIT,
    ClassicalFit,
    FittedModel,
    MemberData,
    NetworkFiles,
    NetworkFit,
    fit_member,
    fit_member_elsewhere,
    write_network,
)
from polyclinic.training.network.epochs import network_of_other_folds
from polyclinic.training.network.trainer import EPOCHS

MemberPredictions = dict[str, dict[str, MemberPrediction]]
"""By task, then member."""
NOISE_ROWS = 200
"""Samples from which the noise of one network is measured."""


class FittedMember(NamedTuple):
    """A classical model fitted to all samples, and the out-of-fold predictions of its counterparts."""

    member: Member
    predictions: dict[Subset, MemberPrediction]  # by the inputs that were given
    by_fold: tuple[Member, ...]  # fitted without each fold


class CrossFitted(NamedTuple):
    """The fitted ensemble, and what cross-fitting knows of its members beside it."""

    ensemble: Ensemble
    predictions: MemberPredictions  # out of fold, from all inputs
    by_fold: dict[str, dict[str, tuple[Member, ...]]]  # by task and classical member: fitted without each fold


@dataclass(frozen=True)
class Crossfitter:
    """Fits the ensemble of a study on its examples."""

    study: Study
    examples: Examples
    config: ModelConfig | None
    designs: Mapping[str, Design]  # by member: those of the joint models, and of each modality alone
    folder: Path  # of the networks' checkpoints
    demographics: DemographicFeatures | None = None  # for calibration by group
    logger: str = "csv"
    progress: Progress = SILENT
    resources: Resources = field(default_factory=Resources)
    network_s: float = 0.0  # about how long one network is fitted
    each_bytes: int = 0  # memory of a process that fits a member

    @cached_property
    def network_examples(self) -> Examples:
        """The examples, with only the arrays that the network reads."""
        assert self.config is not None
        reads = UnifiedModel(self.config).reads
        arrays = {
            m: {name: self.examples.arrays[m][name] for name in (*names, "present")} for m, names in reads.items()
        }
        return Examples(arrays, self.examples.targets, self.examples.subjects)

    @cached_property
    def design_rows(self) -> DesignCache:
        """The design matrices of all examples."""
        return DesignCache(self.examples.arrays)

    @cached_property
    def present(self) -> Present:
        """Which examples have each modality."""
        return presence_of(self.examples.arrays)

    @cached_property
    def groups(self) -> Groups:
        """The groups of all examples, as far as the inputs contain them."""
        return self.demographics.read(self.examples.arrays["structured"]) if self.demographics else {}

    @cached_property
    def input_subsets(self) -> list[Subset]:
        """The subsets of the inputs to predict from; all of them where members are combined. The last is complete."""
        everything = in_order(self.examples.arrays)
        combined = self.study.stack or self.config is None
        timed = all(task.kind == "time_to_event" for task in self.study.tasks)
        return list(subsets(everything)) if combined and not timed else [everything]

    def fit(self, folds: Sequence[Fold]) -> CrossFitted:
        """Fit the ensemble."""
        stage = self.resources.stages.stage
        with stage("members"):
            data = self._member_data(folds)
            models = self._fit_members(data)
            networks = [data.fit_network(number) for number in data.network_folds]
        fitted = {task.name: self._fitted_members(task, models, folds) for task in self.study.tasks}
        with stage("out-of-fold predictions of networks"):
            judged = [self._network_of_other_folds(data, number, network) for number, network in enumerate(networks)]
            of_network = self._with_noise(self._predict_out_of_fold(judged, folds), networks, folds)
        predictions = {
            given: {task: by_member | _from_inputs(fitted[task], given) for task, by_member in by_task.items()}
            for given, by_task in of_network.items()
        }
        with stage("combination and calibration"):
            ensembles = {
                task.name: self._combine(task, predictions, fitted[task.name], folds) for task in self.study.tasks
            }
        by_fold = {task: {name: one.by_fold for name, one in members.items()} for task, members in fitted.items()}
        return CrossFitted(
            Ensemble(networks, ensembles, self.demographics), predictions[self.input_subsets[-1]], by_fold
        )

    def _member_data(self, folds: Sequence[Fold]) -> MemberData:
        return MemberData(
            self.study,
            self.config,
            self.network_examples if self.config else None,
            self.examples.targets,
            self.examples.subjects,
            self.present,
            self.designs,
            {name: self.design_rows[design] for name, design in self.designs.items()},
            folds,
            self.input_subsets,
            self.folder,
            self.logger,
            self.resources.device,
        )

    def _fit_members(self, data: MemberData) -> dict[ClassicalFit, FittedModel]:
        """Fit all members, side by side; return the classical ones. Networks are in their folders."""
        models = dict[ClassicalFit, FittedModel]()
        if self.resources.device != CPU:  # networks take turns on the device; the jobs then find them finished
            for number in data.network_folds:
                data.fit_network(number, self.progress)
        jobs = [job for job in data.jobs() if self.resources.on != RAY or not data.is_finished(job.item)]
        with closing(self._running(data, jobs)) as running, ExitStack() as bars:
            advance: Advance | None = None
            for done in running:
                job = jobs[done.place]
                self.resources.stages.add(job.kind, done.spent, here=done.here)
                if isinstance(job.item, NetworkFit):
                    if isinstance(done.result, dict):
                        write_network(done.result, data.folder_of(job.item.fold))
                elif isinstance(done.result, FittedModel):
                    models[job.item] = done.result
                    total = len(jobs) - len(data.network_folds)
                    advance = advance or bars.enter_context(self.progress.task("classical models", total=total))
                    advance(1)
        return models

    def _running(
        self, data: MemberData, jobs: Sequence[Job[NetworkFit | ClassicalFit]]
    ) -> Generator[Done[FittedModel | NetworkFiles | None], None, None]:
        """Run the fits where the resources say."""
        if self.resources.on == RAY:
            return completed_on_ray(
                fit_member_elsewhere,
                data.in_memory(),
                jobs,
                self.resources,
                each_bytes=self.each_bytes,
                progress=self.progress,
            )
        return completed(
            fit_member,
            data,
            jobs,
            self.resources,
            folder=self.folder,
            expected_s={NETWORK_FIT: self.network_s} if self.resources.device == CPU else {},
            progress=self.progress,
        )

    def _fitted_members(
        self, task: Task, models: Mapping[ClassicalFit, FittedModel], folds: Sequence[Fold]
    ) -> dict[str, FittedMember]:
        """Put together the classical members of a task, with their out-of-fold predictions."""
        validation, members = [fold.validation for fold in folds], {}
        for name in (name for name in self.designs if ClassicalFit(task.name, name, None) in models):
            model, design = models[ClassicalFit(task.name, name, None)].model, self.designs[name]
            by_fold = [models[ClassicalFit(task.name, name, number)] for number in range(len(folds))]
            predictions = {
                given: _assembled(validation, [fold.predictions[given] for fold in by_fold])
                for given in self.input_subsets
            }
            without = tuple(Member(fold.model, design) for fold in by_fold)
            members[name] = FittedMember(Member(model, design), predictions, without)
        return members

    def _network_of_other_folds(self, data: MemberData, number: int, network: UnifiedModel) -> UnifiedModel:
        """Return the network with which a fold is predicted: at the epoch that the other folds chose."""
        assert self.config is not None
        folders = [data.folder_of(place) / EPOCHS for place in data.network_folds]
        return network_of_other_folds(network, self.config, number, folders)

    def _with_noise(
        self, predictions: Mapping[Subset, MemberPredictions], networks: Sequence[UnifiedModel], folds: Sequence[Fold]
    ) -> dict[Subset, MemberPredictions]:
        """Measure the variance of one network's scores that the mean of all lacks, and note it in its predictions."""
        if len(networks) < 2 or not self.study.stack:
            return dict(predictions)
        own = np.zeros(len(self.examples), dtype=np.int64)
        for number, fold in enumerate(folds):
            own[fold.validation] = number
        noise = dict[Subset, dict[str, float]]()
        for rows, of_rows in self._noise_rows():
            measured = predict_from_subsets(networks, self.network_examples.arrays, of_rows, rows=rows)
            for given, found in measured.items():
                noise[given] = {
                    task.name: noise_of_one(task.kind, found.answers[task.name], own[rows]) for task in self.study.tasks
                }
        return {
            given: {
                task: {name: one._replace(noise=noise.get(given, {}).get(task, 0.0)) for name, one in by_member.items()}
                for task, by_member in by_task.items()
            }
            for given, by_task in predictions.items()
        }

    def _noise_rows(self) -> Iterator[tuple[Int[np.ndarray, " row"], list[Subset]]]:
        """Draw samples that have any input of each subset; yield them with all subsets for which they were drawn."""
        drawn: dict[bytes, tuple[Int[np.ndarray, " row"], list[Subset]]] = {}
        for given in self.input_subsets:
            able = np.flatnonzero(np.any([self.present[modality] for modality in given], axis=0))
            rows = np.sort(np.random.default_rng(self.study.seed).permutation(able)[:NOISE_ROWS])
            if len(rows):
                drawn.setdefault(rows.tobytes(), (rows, []))[1].append(given)
        yield from drawn.values()

    def _predict_out_of_fold(
        self, networks: Sequence[UnifiedModel], folds: Sequence[Fold]
    ) -> dict[Subset, MemberPredictions]:
        """Predict each fold with its network, from each subset; no members where there is no network."""
        if not networks:
            return {given: {task.name: {} for task in self.study.tasks} for given in self.input_subsets}
        arrays, rows = self.network_examples.arrays, [fold.validation for fold in folds]
        by_fold = [
            predict_from_subsets([network], arrays, self.input_subsets, rows=fold_rows)
            for network, fold_rows in zip(networks, rows, strict=True)
        ]
        return {given: self._of_network(rows, [averaged(fold[given]) for fold in by_fold]) for given in by_fold[0]}

    def _of_network(
        self, rows: Sequence[Int[np.ndarray, " row"]], by_fold: Sequence[Mapping[str, MemberPrediction]]
    ) -> MemberPredictions:
        return {
            task.name: {NETWORK: _assembled(rows, [fold[task.name] for fold in by_fold])} for task in self.study.tasks
        }

    def _combine(
        self,
        task: Task,
        predictions: Mapping[Subset, MemberPredictions],
        fitted: Mapping[str, FittedMember],
        folds: Sequence[Fold],
    ) -> TaskEnsemble:
        """Fit the combination, calibrations and thresholds of a task to out-of-fold predictions."""
        complete = predictions[self.input_subsets[-1]][task.name]
        if not complete:
            raise StudyError(f"{task.name}: too few labelled development samples have any of the inputs")
        target = self.examples.targets[task.name]
        ensemble = TaskEnsemble(kind=task.kind, members={name: found.member for name, found in fitted.items()})
        if task.kind == "time_to_event":
            return ensemble
        if self.study.stack or NETWORK not in complete:
            ensemble.combination = self._combination(task, predictions)
        if task.kind == "regression":
            return ensemble
        combined = ensemble.combine(complete, self.present)
        ensemble.calibrator = Calibrator.fit(
            task.kind, answers=combined, targets=target.values, observed=target.observed, method=self.study.calibration
        )
        if self.study.calibration != "none":
            ensemble.group_calibration = self._calibrate_groups(task, ensemble.calibrator(combined), folds)
        calibrated = ensemble.combine(complete, self.present, self.groups)[target.observed]
        ensemble.thresholds = _thresholds(task, calibrated, target, self.study)
        return ensemble

    def _calibrate_groups(self, task: Task, calibrated: np.ndarray, folds: Sequence[Fold]) -> GroupCalibration | None:
        target = self.examples.targets[task.name]
        return GroupCalibration.fit(
            task.kind,
            calibrated,
            self.groups,
            target.values,
            target.observed,
            self.examples.subjects,
            [fold.validation for fold in folds],
        )

    def _combination(self, task: Task, predictions: Mapping[Subset, MemberPredictions]) -> Combination:
        target = self.examples.targets[task.name]
        by_subset = {
            given: (
                {name: prediction.answers for name, prediction in by_task[task.name].items()},
                {name: prediction.able for name, prediction in by_task[task.name].items()},
            )
            for given, by_task in predictions.items()
        }
        noise = {
            given: {name: prediction.noise for name, prediction in by_task[task.name].items()}
            for given, by_task in predictions.items()
        }
        return Combination.fit(task.kind, by_subset, self.present, target.values, target.observed, noise)


def _from_inputs(fitted: Mapping[str, FittedMember], given: Subset) -> dict[str, MemberPrediction]:
    return {name: found.predictions[given] for name, found in fitted.items()}


def _assembled(rows: Sequence[Int[np.ndarray, " row"]], parts: Sequence[MemberPrediction]) -> MemberPrediction:
    order = np.argsort(np.concatenate(rows), kind="stable")
    return MemberPrediction(
        np.concatenate([part.answers for part in parts])[order],
        np.concatenate([part.able for part in parts])[order],
    )


def _thresholds(task: Task, p: np.ndarray, target: Targets, study: Study) -> tuple[float, ...]:
    """Return the operating threshold of each binary output; 1 where there are no positives."""
    if task.kind not in ("binary", "multilabel"):
        return ()
    truth = target.values[target.observed] > 0.5
    return tuple(
        _threshold(column, positive, study) if positive.any() else 1.0
        for column, positive in zip(p.T, truth.T, strict=True)
    )


def _threshold(p: np.ndarray, positive: np.ndarray, study: Study) -> float:
    """Return the threshold that the study's rule selects."""
    if study.harm_to_benefit is not None:
        return threshold_for_utility(p, positive, Utility.of(study.harm_to_benefit))
    assert study.target_sensitivity is not None
    return threshold_for_sensitivity(p, positive, study.target_sensitivity)

"""Fits of the members of an ensemble, one by one: a network for each fold, classical models without each and with all.

Every fit draws its random numbers from a seed of its own, so that fits can run in any order and in any process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from polyclinic.compute.devices import CPU
from polyclinic.compute.workers import Job
from polyclinic.files import replacing
from polyclinic.models import ModelConfig, UnifiedModel
from polyclinic.models.classical import ClassicalConfig, ClassicalModel, Design
from polyclinic.models.ensemble.members import DesignRows, Member, MemberPrediction, SubsetPredictor
from polyclinic.models.ensemble.stacker_by_subset import Present, Subset
from polyclinic.progress import SILENT, Progress
from polyclinic.study import Study
from polyclinic.tasks import Targets, Task
from polyclinic.training.data.dataset import Examples
from polyclinic.training.data.folds import Fold
from polyclinic.training.network.trainer import CHECKPOINT, FINISHED, Rows, fit_network

NETWORK_FIT = "network"
"""Kind of the jobs that fit a network; those of classical models have the name of their method."""


class NetworkFit(NamedTuple):
    """Fit the network of one fold."""

    fold: int


class ClassicalFit(NamedTuple):
    """Fit one classical model without a fold, or to all samples."""

    task: str
    member: str
    fold: int | None


NetworkFiles = dict[str, bytes]
"""The content of a fitted network's files, by their names within its folder."""


class FittedModel(NamedTuple):
    """A classical model, and its predictions of the fold that it was fitted without, by the inputs that were given."""

    model: ClassicalModel
    predictions: dict[Subset, MemberPrediction]


@dataclass(frozen=True)
class MemberData:
    """What the members are fitted to."""

    study: Study
    config: ModelConfig | None
    network_examples: Examples | None  # with only the arrays that the network reads
    targets: Mapping[str, Targets]  # by task
    subjects: Int[np.ndarray, " sample"]
    present: Present
    designs: Mapping[str, Design]  # by member
    design_rows: Mapping[str, DesignRows]  # of all samples, by member
    folds: Sequence[Fold]
    input_subsets: Sequence[Subset]
    folder: Path  # of the networks' checkpoints
    logger: str = "csv"
    device: str = CPU  # of the networks

    def jobs(self) -> list[Job[NetworkFit | ClassicalFit]]:
        """Return all fits: those of networks first, since they are the longest; then fold by fold."""
        networks = [Job[NetworkFit | ClassicalFit](NETWORK_FIT, NetworkFit(number)) for number in self.network_folds]
        return networks + [
            Job(method_of(name), ClassicalFit(task.name, name, number))
            for number in (*range(len(self.folds)), None)
            for task in self.study.tasks
            for name in self.designs
            if self.can_fit(task, name)
        ]

    @property
    def network_folds(self) -> range:
        """The folds for which a network is fitted."""
        return range(len(self.folds) if self.config is not None else 0)

    def can_fit(self, task: Task, name: str) -> bool:
        """Return whether a classical model supports a task and has samples to learn from without any one fold."""
        rows = self._learnable(task.name, name)
        return task.kind != "time_to_event" and all(rows[fold.training].any() for fold in self.folds)

    def fit_network(self, number: int, progress: Progress = SILENT) -> UnifiedModel:
        """Fit the network of a fold, or load it if it is finished."""
        assert self.study.network is not None
        assert self.config is not None
        assert self.network_examples is not None
        fold = self.folds[number]
        return fit_network(
            self.config,
            self.network_examples,
            Rows(fold.training, fold.validation),
            self.study.network,
            seed=self.study.seed * 1000 + number,
            folder=self.folder_of(number),
            logger=self.logger,
            progress=progress,
            description=f"network, fold {number + 1}",
            device=self.device,
        )

    def folder_of(self, number: int) -> Path:
        """Return the folder of the checkpoints of a fold's network."""
        return self.folder / f"fold{number}"

    def is_finished(self, fit: NetworkFit | ClassicalFit) -> bool:
        """Return whether a fit is a network that is in its folder."""
        return isinstance(fit, NetworkFit) and (self.folder_of(fit.fold) / FINISHED).is_file()

    def in_memory(self) -> MemberData:
        """Return the same without references to files of this machine."""
        if self.network_examples is None:
            return self
        arrays = {
            modality: {name: np.asarray(array) for name, array in own.items()}
            for modality, own in self.network_examples.arrays.items()
        }
        return replace(self, network_examples=replace(self.network_examples, arrays=arrays))

    def fit_classical(self, fit: ClassicalFit) -> FittedModel:
        """Fit a classical model; where it was fitted without a fold, also predict it from each subset of the inputs."""
        if fit.fold is None:
            return FittedModel(self._fit_model(fit, np.arange(len(self.subjects))), {})
        fold, design = self.folds[fit.fold], self.designs[fit.member]
        member = Member(self._fit_model(fit, fold.training), design)
        rows = self.design_rows[fit.member].select(fold.validation)
        present = {modality: mask[fold.validation] for modality, mask in self.present.items()}
        predict = SubsetPredictor(lambda _: rows, present)
        return FittedModel(member.model, {given: predict(given, member) for given in self.input_subsets})

    def _fit_model(self, fit: ClassicalFit, rows: Int[np.ndarray, " row"]) -> ClassicalModel:
        """Fit one classical model on those of the rows that it can learn from."""
        design, target = self.designs[fit.member], self.targets[fit.task]
        (task,) = (task for task in self.study.tasks if task.name == fit.task)
        matrix = self.design_rows[fit.member].matrix
        assert matrix is not None
        rows = rows[self._learnable(fit.task, fit.member)[rows]]
        config = ClassicalConfig(
            name=method_of(fit.member),
            kind=task.kind,
            outputs=target.values.shape[1],
            balanced=False,
            seed=self.study.seed,
        )
        model = ClassicalModel(config, design.columns, design.blocks)
        return model.fit(matrix[rows], target.values[rows], target.observed[rows], self.subjects[rows])

    def _learnable(self, task: str, name: str) -> Bool[np.ndarray, " sample"]:
        """Return the mask of samples that have any of a model's modalities and an observed target."""
        learnable: np.ndarray = self.design_rows[name].able & self.targets[task].observed
        return learnable


def fit_member(data: MemberData, fit: NetworkFit | ClassicalFit, progress: Progress) -> FittedModel | None:
    """Fit one member. A network is left in its folder, from which `MemberData.fit_network` loads it."""
    if isinstance(fit, ClassicalFit):
        return data.fit_classical(fit)
    data.fit_network(fit.fold, progress)
    return None


def fit_member_elsewhere(
    data: MemberData, fit: NetworkFit | ClassicalFit, progress: Progress
) -> FittedModel | NetworkFiles:
    """Fit one member where the folder of the networks is not; a network comes as the files of its folder."""
    if isinstance(fit, ClassicalFit):
        return data.fit_classical(fit)
    with TemporaryDirectory() as temporary:
        elsewhere = replace(data, folder=Path(temporary))
        elsewhere.fit_network(fit.fold, progress)
        folder = elsewhere.folder_of(fit.fold)
        files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != CHECKPOINT)
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def write_network(files: NetworkFiles, folder: Path) -> None:
    """Write the files of a network that was fitted elsewhere; the one that says that it is finished comes last."""
    for name in sorted(files, key=lambda name: name == FINISHED):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as part:
            part.write_bytes(files[name])


def method_of(member: str) -> str:
    """Return the classical method of a member: `logistic_regression` of `logistic_regression:note`."""
    return member.partition(":")[0]

"""Ensembles of the networks of all folds and classical models, with their combination and calibration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from polyclinic.features import Arrays
from polyclinic.features.structured.demographics import DemographicFeatures, Groups
from polyclinic.models.classical.design_matrix import Design
from polyclinic.models.ensemble.calibration import Calibrator
from polyclinic.models.ensemble.group_calibration import GroupCalibration
from polyclinic.models.ensemble.members import DesignCache, Member, MemberPrediction, SubsetPredictor, presence_of
from polyclinic.models.ensemble.network_outputs import (
    NetworkPredictions,
    averaged,
    predict_each_network,
    predict_from_subsets,
)
from polyclinic.models.ensemble.stacked_networks import StackedNetworks
from polyclinic.models.ensemble.stacker_by_subset import Combination, Present, Subset
from polyclinic.models.network.modality_dropout import keeping
from polyclinic.models.network.unified import UnifiedModel

NETWORK = "network"


class Answers(NamedTuple):
    """Calibrated predictions of an ensemble for one task, and those of each member."""

    answers: Float[np.ndarray, "sample output"]
    members: dict[str, MemberPrediction]


class EnsemblePredictions(NamedTuple):
    """Predictions of the members for some samples, before they are combined."""

    member_predictions: dict[str, dict[str, MemberPrediction]]  # by task, then member
    present: Present
    network_predictions: NetworkPredictions | None  # None without a network
    groups: Groups | None = None  # band of age and sex of each sample, as far as the inputs contain them


@dataclass
class TaskEnsemble:
    """The ensemble of one task: classical members, combination with the network, calibrations, thresholds."""

    kind: str
    members: dict[str, Member] = field(default_factory=dict)
    combination: Combination | None = None
    calibrator: Calibrator | None = None
    group_calibration: GroupCalibration | None = None
    thresholds: tuple[float, ...] = ()  # operating point of each output, for binary and multilabel tasks

    def combine(
        self, member_predictions: Mapping[str, MemberPrediction], present: Present, groups: Groups | None = None
    ) -> Float[np.ndarray, "sample output"]:
        """Combine the members' predictions and calibrate, also by group if given; zero-weight members are ignored."""
        combined = self.mix(member_predictions, present)
        calibrated = combined if self.calibrator is None else self.calibrator(combined)
        if self.group_calibration is None or groups is None:
            return calibrated
        return self.group_calibration(calibrated, groups)

    def mix(
        self, member_predictions: Mapping[str, MemberPrediction], present: Present
    ) -> Float[np.ndarray, "sample output"]:
        """Combine the members' predictions, without calibration."""
        if self.combination is None:
            return next(iter(member_predictions.values())).answers
        names = self.combination.nonzero_members(member_predictions, present)
        answers = {name: member_predictions[name].answers for name in names}
        return self.combination(answers, {name: member_predictions[name].able for name in names}, present)

    def required_members(self, present: Present, every_member: bool) -> list[str]:
        """Return the classical members with a weight, or all of them."""
        if every_member or self.combination is None:
            return list(self.members)
        return self.combination.nonzero_members(self.members, present)


@dataclass
class Ensemble:
    """The networks of the folds, whose predictions are averaged, and the ensemble of each task."""

    networks: list[UnifiedModel]
    tasks: dict[str, TaskEnsemble]
    demographics: DemographicFeatures | None = None  # where the inputs contain age and sex, for calibration by group

    def answer(self, arrays: Mapping[str, Arrays], every_member: bool = False) -> dict[str, Answers]:
        """Predict every task for every sample; zero-weight members predict only if `every_member`."""
        return self.combine(self.predict(arrays, every_member))

    def answer_from_subsets(
        self, arrays: Mapping[str, Arrays], subsets: Sequence[Subset]
    ) -> dict[Subset, dict[str, Answers]]:
        """Predict as `answer` does, as if only each of the subsets of the inputs had been recorded.

        Samples are encoded once for all subsets, and a member predicts once from the same inputs.
        """
        of_networks = (
            predict_from_subsets(self.networks, arrays, subsets, self._stacked_networks) if self.networks else {}
        )
        members, answers = SubsetPredictor(DesignCache(arrays).__getitem__, presence_of(arrays)), {}
        for given in subsets:
            restricted, own = keeping(arrays, given), of_networks.get(given)
            present, network = presence_of(restricted), averaged(own) if own else {}
            member_predictions = {
                name: self._member_predictions(task, network.get(name), partial(members, given), present, False)
                for name, task in self.tasks.items()
            }
            groups = self.groups_of(restricted)
            answers[given] = self.combine(EnsemblePredictions(member_predictions, present, own, groups))
        return answers

    def combine(self, predictions: EnsemblePredictions) -> dict[str, Answers]:
        """Combine the members' predictions of every task, and calibrate."""
        return {
            name: Answers(
                task.combine(predictions.member_predictions[name], predictions.present, predictions.groups),
                predictions.member_predictions[name],
            )
            for name, task in self.tasks.items()
        }

    def predict(self, arrays: Mapping[str, Arrays], every_member: bool = False) -> EnsemblePredictions:
        """Return the predictions of the networks and the classical members, not combined."""
        network_predictions = (
            predict_each_network(self.networks, arrays, self._stacked_networks) if self.networks else None
        )
        network = averaged(network_predictions) if network_predictions else {}
        designs, present = DesignCache(arrays), presence_of(arrays)

        def predict(member: Member) -> MemberPrediction:
            return member.predict(designs[member.design])

        member_predictions = {
            name: self._member_predictions(task, network.get(name), predict, present, every_member)
            for name, task in self.tasks.items()
        }
        return EnsemblePredictions(member_predictions, present, network_predictions, self.groups_of(arrays))

    def groups_of(self, arrays: Mapping[str, Arrays]) -> Groups | None:
        """Return the groups of the samples; None where no task is calibrated by group."""
        if self.demographics is None or all(task.group_calibration is None for task in self.tasks.values()):
            return None
        return self.demographics.read(arrays["structured"])

    def bins(self, task: str) -> tuple[float, ...]:
        """Return the ends of the bins of a time-to-event task."""
        return self.networks[0].config.heads[task].bins if self.networks else ()

    @property
    def designs(self) -> list[Design]:
        """The distinct designs of all members."""
        members = (member for task in self.tasks.values() for member in task.members.values())
        return list({id(member.design): member.design for member in members}.values())

    @cached_property
    def _stacked_networks(self) -> StackedNetworks | None:
        """The stacked networks, if there are several and they support it."""
        return (
            StackedNetworks(self.networks)
            if len(self.networks) > 1 and StackedNetworks.supports(self.networks)
            else None
        )

    def _member_predictions(
        self,
        task: TaskEnsemble,
        network: MemberPrediction | None,
        predict: Callable[[Member], MemberPrediction],
        present: Present,
        every_member: bool,
    ) -> dict[str, MemberPrediction]:
        member_predictions = {} if network is None else {NETWORK: network}
        if every_member or task.combination is not None or network is None:
            members = {name: task.members[name] for name in task.required_members(present, every_member)}
            member_predictions |= {name: predict(member) for name, member in members.items()}
        return member_predictions

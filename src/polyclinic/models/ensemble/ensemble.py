"""Several models that answer as one: the networks of the folds, classical models, and how they are combined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from polyclinic.features import Arrays
from polyclinic.models.classical.design_matrix import Design
from polyclinic.models.ensemble.calibration import Calibrator
from polyclinic.models.ensemble.members import DesignCache, Member, MemberPrediction, presence_of
from polyclinic.models.ensemble.network_outputs import NetworkPredictions, averaged, predict_each_network
from polyclinic.models.ensemble.stacked_networks import StackedNetworks
from polyclinic.models.ensemble.stacker_by_subset import Combination, Present
from polyclinic.models.network.unified import UnifiedModel

NETWORK = "network"


class Answers(NamedTuple):
    """What an ensemble says of one task: calibrated answers, and each member's own."""

    answers: Float[np.ndarray, "sample output"]
    members: dict[str, MemberPrediction]


class EnsemblePredictions(NamedTuple):
    """What everyone who is asked says of some samples, before it is combined."""

    member_predictions: dict[str, dict[str, MemberPrediction]]  # by task, then member
    present: Present
    network_predictions: NetworkPredictions | None  # None: there is no network


@dataclass
class TaskEnsemble:
    """How one task is answered: its classical members, their combination with the network, calibration, threshold."""

    kind: str
    members: dict[str, Member] = field(default_factory=dict)
    combination: Combination | None = None
    calibrator: Calibrator | None = None
    thresholds: tuple[float, ...] = ()  # operating point of each output, for binary and multilabel tasks

    def combine(
        self, member_predictions: Mapping[str, MemberPrediction], present: Present
    ) -> Float[np.ndarray, "sample output"]:
        """Combine the members' opinions and calibrate; whoever has no weight is not heard, asked or not."""
        combined = self.mix(member_predictions, present)
        return combined if self.calibrator is None else self.calibrator(combined)

    def mix(
        self, member_predictions: Mapping[str, MemberPrediction], present: Present
    ) -> Float[np.ndarray, "sample output"]:
        """Combine the members' opinions, without calibration."""
        if self.combination is None:
            return next(iter(member_predictions.values())).answers
        predictions = self.combination.nonzero_members(member_predictions, present)
        answers = {name: member_predictions[name].answers for name in predictions}
        return self.combination(answers, {name: member_predictions[name].able for name in predictions}, present)

    def asked(self, present: Present, every_member: bool) -> list[str]:
        """Give the classical members whose opinion is needed, or all that are there."""
        if every_member or self.combination is None:
            return list(self.members)
        return self.combination.nonzero_members(self.members, present)


@dataclass
class Ensemble:
    """The networks of the folds, whose answers are averaged, and what answers each task beside them."""

    networks: list[UnifiedModel]
    tasks: dict[str, TaskEnsemble]

    def answer(self, arrays: Mapping[str, Arrays], every_member: bool = False) -> dict[str, Answers]:
        """Answer every task for every sample; members without weight are asked only if `every_member`."""
        predictions = self.predict(arrays, every_member)
        return {
            name: Answers(
                task.combine(predictions.member_predictions[name], predictions.present),
                predictions.member_predictions[name],
            )
            for name, task in self.tasks.items()
        }

    def predict(self, arrays: Mapping[str, Arrays], every_member: bool = False) -> EnsemblePredictions:
        """Ask the networks and the classical members, and combine nothing yet."""
        network_predictions = (
            predict_each_network(self.networks, arrays, self._stacked_networks) if self.networks else None
        )
        network = averaged(network_predictions) if network_predictions else {}
        shown, present = DesignCache(arrays), presence_of(arrays)
        member_predictions = {
            name: self._member_predictions(task, network.get(name), shown, present, every_member)
            for name, task in self.tasks.items()
        }
        return EnsemblePredictions(member_predictions, present, network_predictions)

    def bins(self, task: str) -> tuple[float, ...]:
        """Give the ends of the bins of a time-to-event task."""
        return self.networks[0].config.heads[task].bins if self.networks else ()

    @property
    def designs(self) -> list[Design]:
        """The designs of all members, each once."""
        members = (member for task in self.tasks.values() for member in task.members.values())
        return list({id(member.design): member.design for member in members}.values())

    @cached_property
    def _stacked_networks(self) -> StackedNetworks | None:
        """The networks as one, where there are several and they can be asked so."""
        return (
            StackedNetworks(self.networks)
            if len(self.networks) > 1 and StackedNetworks.can_be_made_of(self.networks)
            else None
        )

    def _member_predictions(
        self,
        task: TaskEnsemble,
        network: MemberPrediction | None,
        shown: DesignCache,
        present: Present,
        every_member: bool,
    ) -> dict[str, MemberPrediction]:
        member_predictions = {} if network is None else {NETWORK: network}
        if every_member or task.combination is not None or network is None:
            members = {name: task.members[name] for name in task.asked(present, every_member)}
            member_predictions |= {name: member.predict(shown[member.design]) for name, member in members.items()}
        return member_predictions

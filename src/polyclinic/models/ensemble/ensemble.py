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
from polyclinic.models.ensemble.members import Member, Opinion, Shown, presence_of
from polyclinic.models.ensemble.network_outputs import Voices, averaged, network_voices
from polyclinic.models.ensemble.stacked_networks import Committee
from polyclinic.models.ensemble.stacker_by_subset import Combination, Present
from polyclinic.models.network.unified import UnifiedModel

NETWORK = "network"


class Answers(NamedTuple):
    """What an ensemble says of one task: calibrated answers, and each member's own."""

    answers: Float[np.ndarray, "sample output"]
    members: dict[str, Opinion]


class Heard(NamedTuple):
    """What everyone who is asked says of some samples, before it is combined."""

    opinions: dict[str, dict[str, Opinion]]  # by task, then member
    present: Present
    voices: Voices | None  # None: there is no network


@dataclass
class TaskEnsemble:
    """How one task is answered: its classical members, their combination with the network, calibration, threshold."""

    kind: str
    members: dict[str, Member] = field(default_factory=dict)
    combination: Combination | None = None
    calibrator: Calibrator | None = None
    thresholds: tuple[float, ...] = ()  # operating point of each output, for binary and multilabel tasks

    def combine(self, opinions: Mapping[str, Opinion], present: Present) -> Float[np.ndarray, "sample output"]:
        """Combine the members' opinions and calibrate; whoever has no weight is not heard, asked or not."""
        combined = self.mix(opinions, present)
        return combined if self.calibrator is None else self.calibrator(combined)

    def mix(self, opinions: Mapping[str, Opinion], present: Present) -> Float[np.ndarray, "sample output"]:
        """Combine the members' opinions, without calibration."""
        if self.combination is None:
            return next(iter(opinions.values())).answers
        heard = self.combination.weighty(opinions, present)
        answers = {name: opinions[name].answers for name in heard}
        return self.combination(answers, {name: opinions[name].able for name in heard}, present)

    def asked(self, present: Present, every_member: bool) -> list[str]:
        """Give the classical members whose opinion is needed, or all that are there."""
        if every_member or self.combination is None:
            return list(self.members)
        return self.combination.weighty(self.members, present)


@dataclass
class Ensemble:
    """The networks of the folds, whose answers are averaged, and what answers each task beside them."""

    networks: list[UnifiedModel]
    tasks: dict[str, TaskEnsemble]

    def answer(self, arrays: Mapping[str, Arrays], every_member: bool = False) -> dict[str, Answers]:
        """Answer every task for every sample; members without weight are asked only if `every_member`."""
        heard = self.hear(arrays, every_member)
        return {
            name: Answers(task.combine(heard.opinions[name], heard.present), heard.opinions[name])
            for name, task in self.tasks.items()
        }

    def hear(self, arrays: Mapping[str, Arrays], every_member: bool = False) -> Heard:
        """Ask the networks and the classical members, and combine nothing yet."""
        voices = network_voices(self.networks, arrays, self._committee) if self.networks else None
        network = averaged(voices) if voices else {}
        shown, present = Shown(arrays), presence_of(arrays)
        opinions = {
            name: self._opinions(task, network.get(name), shown, present, every_member)
            for name, task in self.tasks.items()
        }
        return Heard(opinions, present, voices)

    def bins(self, task: str) -> tuple[float, ...]:
        """Give the ends of the bins of a time-to-event task."""
        return self.networks[0].config.heads[task].bins if self.networks else ()

    @property
    def designs(self) -> list[Design]:
        """The designs of all members, each once."""
        members = (member for task in self.tasks.values() for member in task.members.values())
        return list({id(member.design): member.design for member in members}.values())

    @cached_property
    def _committee(self) -> Committee | None:
        """The networks as one, where there are several and they can be asked so."""
        return Committee(self.networks) if len(self.networks) > 1 and Committee.can_be_made_of(self.networks) else None

    def _opinions(
        self, task: TaskEnsemble, network: Opinion | None, shown: Shown, present: Present, every_member: bool
    ) -> dict[str, Opinion]:
        opinions = {} if network is None else {NETWORK: network}
        if every_member or task.combination is not None or network is None:
            members = {name: task.members[name] for name in task.asked(present, every_member)}
            opinions |= {name: member.judge(shown[member.design]) for name, member in members.items()}
        return opinions

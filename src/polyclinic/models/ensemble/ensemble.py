"""Several models that answer as one: the networks of the folds, classical models, and how they are combined."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from polyclinic.features import Arrays
from polyclinic.models.classical.design_matrix import Design
from polyclinic.models.classical.model import ClassicalModel
from polyclinic.models.ensemble.calibration import Calibrator
from polyclinic.models.ensemble.stacked_networks import Committee, Spoken
from polyclinic.models.ensemble.stacker_by_subset import Combination, Present
from polyclinic.models.network.batch import Batch
from polyclinic.models.network.unified import UnifiedModel

NETWORK = "network"
ROWS_AT_ONCE = 256
FEW = 8
"""Samples, up to which the networks are asked at once; of more, each network has enough to do."""


class Opinion(NamedTuple):
    """What one member says of one task, and of which samples it can say anything."""

    answers: Float[np.ndarray, "sample output"]
    able: Bool[np.ndarray, " sample"]


class Answers(NamedTuple):
    """What an ensemble says of one task: calibrated answers, and each member's own."""

    answers: Float[np.ndarray, "sample output"]
    members: dict[str, Opinion]


class Voices(NamedTuple):
    """What each network says by itself, of which samples any can say something, and where each places them."""

    answers: dict[str, Float[np.ndarray, "network sample output"]]  # by task
    able: Bool[np.ndarray, " sample"]
    latents: Float[np.ndarray, "network sample width"]


class Heard(NamedTuple):
    """What everyone who is asked says of some samples, before it is combined."""

    opinions: dict[str, dict[str, Opinion]]  # by task, then member
    present: Present
    voices: Voices | None  # None: there is no network


class Seen(NamedTuple):
    """What members of one design are shown: their matrix, None where nobody is able to answer, and who is."""

    matrix: Float[np.ndarray, "sample column"] | None
    able: Bool[np.ndarray, " sample"]

    @classmethod
    def through(cls, design: Design, arrays: Mapping[str, Arrays]) -> Self:
        """Make the design's matrix of some samples."""
        able = design.able(arrays)
        return cls(design.matrix(arrays) if able.any() else None, able)

    def some(self, rows: Int[np.ndarray, " row"]) -> Self:
        """Keep some samples."""
        return type(self)(None if self.matrix is None else self.matrix[rows], self.able[rows])

    def keeping(self, design: Design, present: Present, members: Collection[str]) -> Self:
        """Give what the samples show if only the modalities `members` had been recorded."""
        kept = [present[modality] for modality in design.modalities if modality in members]
        able = np.logical_or.reduce(kept) if kept else np.zeros_like(self.able)
        if self.matrix is None or not able.any():
            return type(self)(None, able)
        return type(self)(design.without(self.matrix, set(design.modalities) - set(members)), able)


@dataclass
class Member:
    """A classical model and the design of its matrix; able to answer where any of its modalities is present."""

    model: ClassicalModel
    design: Design

    def opinion(self, arrays: Mapping[str, Arrays]) -> Opinion:
        """Answer for each sample."""
        return self.judge(Seen.through(self.design, arrays))

    def judge(self, seen: Seen) -> Opinion:
        """Answer for each sample from what its design shows."""
        if seen.matrix is None:
            return Opinion(np.zeros((len(seen.able), self.model.config.outputs)), seen.able)
        return Opinion(self.model.predict_proba(seen.matrix), seen.able)


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


def presence_of(arrays: Mapping[str, Arrays]) -> dict[str, Bool[np.ndarray, " sample"]]:
    """Tell by modality which samples have it."""
    return {modality: np.asarray(one["present"], dtype=bool) for modality, one in arrays.items()}


class Shown:
    """What members are shown of some samples; a design that several members share is made once."""

    def __init__(self, arrays: Mapping[str, Arrays]) -> None:
        self._arrays = arrays
        self._seen: dict[int, Seen] = {}

    def __getitem__(self, design: Design) -> Seen:
        if id(design) not in self._seen:
            self._seen[id(design)] = Seen.through(design, self._arrays)
        return self._seen[id(design)]


def network_opinions(
    networks: Sequence[UnifiedModel],
    arrays: Mapping[str, Arrays],
    committee: Committee | None = None,
    rows: Int[np.ndarray, " row"] | None = None,
) -> dict[str, Opinion]:
    """Average the networks' answers to each task, of all samples or some; they can answer where anything is present.

    `committee` is the networks as one, to answer for few samples.
    """
    return averaged(network_voices(networks, arrays, committee, rows))


def averaged(voices: Voices) -> dict[str, Opinion]:
    """Average what each network says."""
    return {task: Opinion(answers.mean(axis=0), voices.able) for task, answers in voices.answers.items()}


def network_voices(
    networks: Sequence[UnifiedModel],
    arrays: Mapping[str, Arrays],
    committee: Committee | None = None,
    rows: Int[np.ndarray, " row"] | None = None,
) -> Voices:
    """Ask each network about all samples or some; see `network_opinions`."""
    first = networks[0]
    read = {m: {name: arrays[m][name] for name in (*names, "present")} for m, names in first.reads.items()}
    able = np.logical_or.reduce([arrays["present"] for arrays in read.values()])
    rows = np.arange(len(able)) if rows is None else rows
    parts: list[Spoken] = []
    for start in range(0, len(rows), ROWS_AT_ONCE):
        batch = Batch.from_arrays(read, rows[start : start + ROWS_AT_ONCE])
        few = committee is not None and len(rows) <= FEW
        parts.append(committee.hear(batch) if committee is not None and few else _in_turn(networks, batch))
    answers = {
        task: torch.cat([part.answers[task] for part in parts], dim=1).double().numpy()
        for task in (first.heads if parts else ())
    }
    latents = torch.cat([part.latents for part in parts], dim=1) if parts else torch.zeros(len(networks), 0, 0)
    return Voices(answers, able[rows], latents.double().numpy())


def _in_turn(networks: Sequence[UnifiedModel], batch: Batch) -> Spoken:
    with torch.inference_mode():
        outputs = [network(batch) for network in networks]
        said = [network.probabilities(one) for network, one in zip(networks, outputs, strict=True)]
    answers = {task: torch.stack([one[task] for one in said]) for task in said[0]}
    return Spoken(answers, torch.stack([one.latent for one in outputs]))

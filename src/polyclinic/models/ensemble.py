"""Several models that answer as one: the networks of the folds, classical models, and how they are combined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float

from polyclinic.features import Arrays
from polyclinic.models.batch import Batch
from polyclinic.models.calibration import Calibrator
from polyclinic.models.classical.design import Design
from polyclinic.models.classical.model import ClassicalModel
from polyclinic.models.stacking import Stacker
from polyclinic.models.unified import UnifiedModel

NETWORK = "network"
ROWS_AT_ONCE = 256


class Opinion(NamedTuple):
    """What one member says of one task, and of which samples it can say anything."""

    answers: Float[np.ndarray, "sample output"]
    able: Bool[np.ndarray, " sample"]


class Answers(NamedTuple):
    """What an ensemble says of one task: calibrated answers, and each member's own."""

    answers: Float[np.ndarray, "sample output"]
    members: dict[str, Opinion]


@dataclass
class Member:
    """A classical model and the design of its matrix; able to answer where any of its modalities is present."""

    model: ClassicalModel
    design: Design

    def opinion(self, arrays: Mapping[str, Arrays]) -> Opinion:
        """Answer for each sample."""
        able = self.design.able(arrays)
        if not able.any():
            return Opinion(np.zeros((len(able), self.model.config.outputs)), able)
        return Opinion(self.model.predict_proba(self.design.matrix(arrays)), able)


@dataclass
class TaskEnsemble:
    """How one task is answered: its classical members, their combination with the network, calibration, threshold."""

    kind: str
    members: dict[str, Member] = field(default_factory=dict)
    stacker: Stacker | None = None
    calibrator: Calibrator | None = None
    thresholds: tuple[float, ...] = ()  # operating point of each output, for binary and multilabel tasks

    def combine(self, opinions: Mapping[str, Opinion]) -> Float[np.ndarray, "sample output"]:
        """Combine the members' opinions and calibrate."""
        if self.stacker is None:
            combined = next(iter(opinions.values())).answers
        else:
            combined = self.stacker(
                {name: opinion.answers for name, opinion in opinions.items()},
                {name: opinion.able for name, opinion in opinions.items()},
            )
        return combined if self.calibrator is None else self.calibrator(combined)


@dataclass
class Ensemble:
    """The networks of the folds, whose answers are averaged, and what answers each task beside them."""

    networks: list[UnifiedModel]
    tasks: dict[str, TaskEnsemble]

    def answer(self, arrays: Mapping[str, Arrays], every_member: bool = False) -> dict[str, Answers]:
        """Answer every task for every sample; members without weight are asked only if `every_member`."""
        network = network_opinions(self.networks, arrays) if self.networks else {}
        return {name: self._answer(task, network.get(name), arrays, every_member) for name, task in self.tasks.items()}

    def bins(self, task: str) -> tuple[float, ...]:
        """Give the ends of the bins of a time-to-event task."""
        return self.networks[0].config.heads[task].bins if self.networks else ()

    def _answer(
        self, task: TaskEnsemble, network: Opinion | None, arrays: Mapping[str, Arrays], every_member: bool
    ) -> Answers:
        wanted = task.members if every_member or task.stacker is None else task.stacker.weighty(task.members)
        opinions = {} if network is None else {NETWORK: network}
        if every_member or task.stacker is not None or network is None:
            opinions |= {name: task.members[name].opinion(arrays) for name in wanted}
        return Answers(task.combine(opinions), opinions)


def network_opinions(networks: Sequence[UnifiedModel], arrays: Mapping[str, Arrays]) -> dict[str, Opinion]:
    """Average the networks' answers to each task; all can answer where anything is present."""
    first = networks[0]
    read = {m: {name: arrays[m][name] for name in (*names, "present")} for m, names in first.reads.items()}
    n = len(next(iter(read.values()))["present"])
    sums: dict[str, list[np.ndarray]] = {task: [] for task in first.heads}
    for start in range(0, n, ROWS_AT_ONCE):
        rows = np.arange(start, min(start + ROWS_AT_ONCE, n))
        batch = Batch.from_arrays(read, rows)
        with torch.inference_mode():
            said = [network.probabilities(network(batch)) for network in networks]
        for task, parts in sums.items():
            parts.append(torch.stack([one[task] for one in said]).double().mean(dim=0).numpy())
    able = np.logical_or.reduce([arrays["present"] for arrays in read.values()])
    return {task: Opinion(np.concatenate(parts), able) for task, parts in sums.items() if parts}

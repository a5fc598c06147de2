"""The whole answer to some tasks as a differentiable function of the inputs of one sample.

Its inputs are those of the networks, and the scores of the classical members: all members are combined by the ensemble
itself. Its value is the log-odds of the answer, for a regression the number. The calibration of a single number (all
but several classes, and the risk over time) is left out: it is monotone, and applied to the scores afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from polyclinic.explain.answer.baseline_row import baseline_row
from polyclinic.explain.answer.member_scores import MemberScores, member_scores
from polyclinic.explain.inputs.base import DifferentiableInput
from polyclinic.explain.inputs.baseline import Baseline
from polyclinic.explain.inputs.logit_function import LogitFunction, Points
from polyclinic.explain.inputs.registry import differentiable_inputs
from polyclinic.explain.sample import Output, Sample
from polyclinic.features.structured.demographics import Groups
from polyclinic.models.ensemble.ensemble import NETWORK, Ensemble
from polyclinic.models.ensemble.link_functions import LINKS, MIN_PROBABILITY, log_odds
from polyclinic.models.ensemble.members import MemberPrediction, presence_of
from polyclinic.models.network.batch import Batch

MEMBERS = "classical members"
"""Name of the scores of the classical members among the inputs."""
CALIBRATED_TOGETHER = ("multiclass", "time_to_event")
"""Kinds of tasks whose outputs are calibrated together."""
STEP = 1e-4
"""Of the central differences by the members' scores."""

Combine = Callable[[np.ndarray], np.ndarray]


class AnswerFunction(LogitFunction):
    """The answers of an ensemble to some tasks, from the baseline to a sample."""

    def __init__(self, ensemble: Ensemble, sample: Sample, outputs: Sequence[Output], baseline: Baseline) -> None:
        sample.require_input()
        self.ensemble, self.sample, self.output = ensemble, sample, outputs[0]
        self.present = {name: bool(present[0]) for name, present in presence_of(sample.arrays).items()}
        self.networks, self.groups = ensemble.networks, ensemble.groups_of(sample.arrays)
        self.inputs = differentiable_inputs(self.networks[0], sample, baseline) if self.networks else {}
        if any(input_.hooks for input_ in self.inputs.values()):
            self.networks = deepcopy(self.networks)  # hooks must not affect concurrent predictions
        self.by_network = tuple(self.inputs)
        self.members: dict[str, dict[str, MemberScores]] = {}  # by task
        self.weighted: dict[str, list[str]] = {}  # by task: the classical members with a weight, able or not
        rows: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for task in dict.fromkeys(output.task for output in outputs):
            own = ensemble.tasks[task]
            single = {name: np.array([present]) for name, present in self.present.items()}
            answers = own.combination is not None or not self.networks
            self.weighted[task] = own.required_members(single, every_member=False) if answers else []
            self.members[task] = {}
            for name in self.weighted[task]:
                member = own.members[name]
                if not bool(member.design.able(sample.arrays)[0]):
                    continue
                if id(member.design) not in rows:
                    ends = member.design.matrix(sample.arrays)[0], baseline_row(member.design, sample, baseline)
                    rows[id(member.design)] = ends
                self.members[task][name] = member_scores(member.model, *rows[id(member.design)])
        self.places = self._places()
        self.inputs[MEMBERS] = self._member_input()

    def logits(self, points: Points, outputs: Sequence[Output]) -> list[Float[Tensor, " step"]]:
        """Return the log-odds of each answer (see the module) at some points."""
        networks = self._network_scores(points, [output.task for output in outputs]) if self.by_network else {}
        found = []
        for output in outputs:
            own = [points[MEMBERS][:, self.places[output.task, name]].double() for name in self.members[output.task]]
            scores = torch.cat([*([networks[output.task]] if networks else []), *own], dim=1)
            value: Tensor = _Combined.apply(scores, self.combine(output))  # type: ignore[no-untyped-call]
            found.append(value + 0 * points[MEMBERS].sum(dim=1).double())
        return found

    def combine(self, output: Output) -> Combine:
        """Return the function from the scores of the networks and the able members, side by side, to the answer's."""
        task = self.ensemble.tasks[output.task]
        names = [*([NETWORK] if self.by_network else []), *self.members[output.task]]
        unable = [name for name in self.weighted[output.task] if name not in names]
        unable += [NETWORK] if self.networks and not self.by_network else []

        def combined(scores: np.ndarray) -> np.ndarray:
            count = len(scores)
            own = np.split(scores, len(names), axis=1) if names else []
            able, never = np.ones(count, dtype=bool), np.zeros(count, dtype=bool)
            predictions = {
                name: MemberPrediction(_answers(task.kind, one), able) for name, one in zip(names, own, strict=True)
            }
            outputs = self._outputs(output.task)
            predictions |= {name: MemberPrediction(np.full((count, outputs), 0.5), never) for name in unable}
            present = {name: np.full(count, there) for name, there in self.present.items()}
            if task.kind in CALIBRATED_TOGETHER:
                return log_odds(task.combine(predictions, present, self._groups(count))[:, output.place])
            mixed = LINKS[task.kind].scores(task.mix(predictions, present))  # type: ignore[index]
            return np.asarray(mixed[:, output.place])

        return combined

    def calibrated(self, output: Output, mixed: Float[np.ndarray, " value"]) -> Float[np.ndarray, " value"]:
        """Return the shown answer's log-odds of values of the function."""
        task = self.ensemble.tasks[output.task]
        if task.kind in CALIBRATED_TOGETHER:
            return mixed
        link = LINKS[task.kind]  # type: ignore[index]
        answers = np.repeat(link.answers(mixed)[:, None], self._outputs(output.task), axis=1)
        calibrated = answers if task.calibrator is None else task.calibrator(answers)
        groups, by_group = self._groups(len(mixed)), task.group_calibration
        shown = calibrated if by_group is None or groups is None else by_group(calibrated, groups)
        return np.asarray(link.scores(shown)[:, output.place])

    def _groups(self, count: int) -> Groups | None:
        """Return the groups of the sample, which are fixed, for some points."""
        return None if self.groups is None else {name: [levels[0]] * count for name, levels in self.groups.items()}

    def _network_scores(self, points: Points, tasks: Sequence[str]) -> dict[str, Float[Tensor, "step output"]]:
        """Return the scores of the mean of the networks' answers."""
        inputs = {name: self.inputs[name].tensors(points[name]) for name in self.by_network}
        steps = len(points[self.by_network[0]])
        batch = Batch(inputs, torch.ones(steps, len(inputs), dtype=torch.bool))
        by_network = []
        for network in self.networks:
            with ExitStack() as stack:
                for name in self.by_network:
                    stack.enter_context(self.inputs[name].interpolating(network, points[name]))
                by_network.append(network.probabilities(network(batch)))
        return {
            task: _scores(
                self.ensemble.tasks[task].kind,
                torch.stack([answers[task] for answers in by_network]).double().mean(dim=0),
            )
            for task in tasks
        }

    def _outputs(self, task: str) -> int:
        if self.networks:
            return self.networks[0].config.heads[task].outputs
        return next(iter(self.ensemble.tasks[task].members.values())).model.config.outputs

    def _places(self) -> dict[tuple[str, str], slice]:
        places, start = {}, 0
        for task, members in self.members.items():
            for name, one in members.items():
                places[task, name] = slice(start, start + len(one.end))
                start += len(one.end)
        return places

    def _member_input(self) -> DifferentiableInput:
        ends = [one for members in self.members.values() for one in members.values()]
        input_ = DifferentiableInput()
        input_.start = torch.from_numpy(np.concatenate([np.zeros(0), *(one.start for one in ends)])).float()
        input_.end = torch.from_numpy(np.concatenate([np.zeros(0), *(one.end for one in ends)])).float()
        return input_


class _Combined(torch.autograd.Function):
    """The ensemble's combination, in NumPy, with gradients by central differences."""

    @staticmethod
    def forward(ctx: Any, scores: Float[Tensor, "step score"], combine: Combine) -> Float[Tensor, " step"]:
        ctx.scores, ctx.combine = scores.detach().numpy(), combine
        return torch.from_numpy(np.array(combine(ctx.scores), dtype=np.float64))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Float[Tensor, " step"]) -> tuple[Tensor, None]:
        scores: np.ndarray = ctx.scores
        steps, count = scores.shape
        moves = STEP * np.eye(count)
        moved = np.concatenate([scores[None] + moves[:, None], scores[None] - moves[:, None]])
        values = ctx.combine(moved.reshape(-1, count)).reshape(2, count, steps)
        slopes = torch.from_numpy(np.array((values[0] - values[1]).T / (2 * STEP)))
        return gradient[:, None] * slopes, None


def _scores(kind: str, answers: Float[Tensor, "step output"]) -> Float[Tensor, "step output"]:
    """Return the scores of answers, of several classes up to a constant; of the risk over time, its log-odds."""
    if kind == "regression":
        return answers
    if kind == "multiclass":
        return answers.clamp_min(MIN_PROBABILITY).log()
    return torch.logit(answers, eps=MIN_PROBABILITY)


def _answers(kind: str, scores: Float[np.ndarray, "step output"]) -> Float[np.ndarray, "step output"]:
    """Return the answers of scores: the inverse of `_scores`."""
    link = LINKS["binary" if kind == "time_to_event" else kind]  # type: ignore[index]
    return np.asarray(link.answers(scores))

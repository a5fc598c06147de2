"""From the numbers of one sample to the logit of one answer, or of several, differentiable all the way.

F is the mean over the networks of the folds of the logit of one output; of a regression, of the estimate in the
target's unit, since each fold has its own scale. Frozen encoders run once for all networks and all outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from copy import deepcopy

import torch
from jaxtyping import Float
from torch import Tensor

from polyclinic.explain.inputs.base import DifferentiableInput
from polyclinic.explain.inputs.baseline import ZERO, Baseline
from polyclinic.explain.inputs.registry import differentiable_inputs
from polyclinic.explain.sample import ExplanationError, Output, Sample
from polyclinic.models.network.batch import Batch
from polyclinic.models.network.heads import RegressionHead
from polyclinic.models.network.unified import UnifiedModel

Points = Mapping[str, Float[Tensor, "step ..."]]
"""By modality: points between the starts and the ends of the stems."""


class LogitFunction:
    """F of one sample, as a function of all of its inputs.

    Raises:
        ExplanationError: the bundle has no network, or the sample has none of its inputs.
    """

    def __init__(self, networks: list[UnifiedModel], sample: Sample, output: Output, baseline: Baseline = ZERO) -> None:
        if not networks:
            raise ExplanationError(
                "the bundle has no network, through which alone gradients flow: explain its classical models instead"
            )
        sample.require_something()
        self.output = output
        self.inputs: dict[str, DifferentiableInput] = differentiable_inputs(networks[0], sample, baseline)
        hooked = any(input_.hooks for input_ in self.inputs.values())
        # Others may be asking the same networks at this moment.
        self.networks = deepcopy(networks) if hooked else networks

    def between(self, shares: Float[Tensor, " step"]) -> dict[str, Tensor]:
        """Give the points that lie some shares of the way from the starts to the ends, on one straight line."""
        return {
            modality: torch.lerp(
                input_.start[None],
                input_.end[None],
                shares.view(-1, *(1 for _ in input_.end.shape)).to(input_.end),
            )
            for modality, input_ in self.inputs.items()
        }

    def __call__(self, points: Points) -> Float[Tensor, " step"]:
        """Give F at some points."""
        return self.logits(points, (self.output,))[0]

    def logits(self, points: Points, outputs: Sequence[Output]) -> list[Float[Tensor, " step"]]:
        """Give the F of each of several outputs at some points, as if each were this path's own."""
        batch = self.batch(points)
        said = [self.logits_of(network, points, batch, outputs) for network in self.networks]
        return [torch.stack(one).mean(dim=0) for one in zip(*said, strict=True)]

    def batch(self, points: Points) -> Batch:
        """Run what is frozen, and give what the networks' encoders read."""
        inputs = {modality: input_.tensors(points[modality]) for modality, input_ in self.inputs.items()}
        steps = len(next(iter(points.values())))
        return Batch(inputs, torch.ones(steps, len(inputs), dtype=torch.bool))

    def logit_of(self, network: UnifiedModel, points: Points, batch: Batch) -> Float[Tensor, " step"]:
        """Give one network's logit."""
        return self.logits_of(network, points, batch, (self.output,))[0]

    def logits_of(
        self, network: UnifiedModel, points: Points, batch: Batch, outputs: Sequence[Output]
    ) -> list[Float[Tensor, " step"]]:
        """Give one network's logit of each output."""
        with ExitStack() as inside:
            for modality, input_ in self.inputs.items():
                inside.enter_context(input_.inside(network, points[modality]))
            logits = network(batch).logits
        return [_said(network, logits[output.task], output) for output in outputs]


def _said(network: UnifiedModel, logits: Float[Tensor, "step output"], output: Output) -> Float[Tensor, " step"]:
    head = network.head(output.task)
    said: Tensor = head.activate(logits) if isinstance(head, RegressionHead) else logits
    return said[:, output.place]

"""The logit of one or more outputs as a differentiable function of the inputs of one sample.

F is the mean over the fold's networks of the logit of one output; for a regression, of the estimate in the target's
unit, since each fold has its own scale. Frozen encoders run once for all networks and outputs.
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
"""By modality: points between start and end of the differentiable inputs."""
NO_NETWORK = "the bundle has no network, and so no gradients: explain its classical models instead"


class LogitFunction:
    """F of one sample as a function of its inputs.

    Raises:
        ExplanationError: the bundle has no network, or the sample has none of its inputs.
    """

    def __init__(self, networks: list[UnifiedModel], sample: Sample, output: Output, baseline: Baseline = ZERO) -> None:
        if not networks:
            raise ExplanationError(NO_NETWORK)
        sample.require_input()
        self.output = output
        self.inputs: dict[str, DifferentiableInput] = differentiable_inputs(networks[0], sample, baseline)
        hooked = any(input_.hooks for input_ in self.inputs.values())
        # Hooks must not affect concurrent predictions.
        self.networks = deepcopy(networks) if hooked else networks

    def between(self, shares: Float[Tensor, " step"]) -> dict[str, Tensor]:
        """Return the points at fractions of the straight line from start to end."""
        return {
            modality: torch.lerp(
                input_.start[None],
                input_.end[None],
                shares.view(-1, *(1 for _ in input_.end.shape)).to(input_.end),
            )
            for modality, input_ in self.inputs.items()
        }

    def __call__(self, points: Points) -> Float[Tensor, " step"]:
        """Return F at some points."""
        return self.logits(points, (self.output,))[0]

    def logits(self, points: Points, outputs: Sequence[Output]) -> list[Float[Tensor, " step"]]:
        """Return F of each of several outputs at some points."""
        batch = self.batch(points)
        by_network = [self.logits_of(network, points, batch, outputs) for network in self.networks]
        return [torch.stack(logits).mean(dim=0) for logits in zip(*by_network, strict=True)]

    def batch(self, points: Points) -> Batch:
        """Run the frozen encoders, and return the input of the networks' encoders."""
        inputs = {modality: input_.tensors(points[modality]) for modality, input_ in self.inputs.items()}
        steps = len(next(iter(points.values())))
        return Batch(inputs, torch.ones(steps, len(inputs), dtype=torch.bool))

    def logit_of(self, network: UnifiedModel, points: Points, batch: Batch) -> Float[Tensor, " step"]:
        """Return one network's logit."""
        return self.logits_of(network, points, batch, (self.output,))[0]

    def logits_of(
        self, network: UnifiedModel, points: Points, batch: Batch, outputs: Sequence[Output]
    ) -> list[Float[Tensor, " step"]]:
        """Return one network's logit of each output."""
        with ExitStack() as stack:
            for modality, input_ in self.inputs.items():
                stack.enter_context(input_.interpolating(network, points[modality]))
            logits = network(batch).logits
        return [_logit(network, logits[output.task], output) for output in outputs]


def _logit(network: UnifiedModel, logits: Float[Tensor, "step output"], output: Output) -> Float[Tensor, " step"]:
    head = network.head(output.task)
    values: Tensor = head.activate(logits) if isinstance(head, RegressionHead) else logits
    return values[:, output.place]

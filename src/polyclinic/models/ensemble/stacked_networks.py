"""Several networks of one form that are asked at once.

To answer for one patient, a network calls a few hundred small operations, which take longer to call than to compute.
Here each is called once for all networks, over their stacked weights (`torch.func.vmap`): the networks of five folds
answer in the time of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from threading import Lock
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from polyclinic.models.network.batch import Batch
from polyclinic.models.network.unified import UnifiedModel


class NetworkOutputs(NamedTuple):
    """What several networks say of a batch, each for itself."""

    answers: dict[str, Float[Tensor, "network batch output"]]  # by task: probabilities or estimates
    latents: Float[Tensor, "network batch width"]


class StackedNetworks:
    """Networks of one configuration, in evaluation mode, with their weights stacked; threads take turns.

    What is not learnt and the same in all of them (frozen backbones, tables about their inputs) is kept once.
    """

    def __init__(self, networks: Sequence[UnifiedModel]) -> None:
        members = [_tensors(_Answering(network)) for network in networks]
        first, others = members[0], members[1:]
        fixed = (name for name, tensor in first.items() if not tensor.requires_grad)
        self._shared = {name: first[name] for name in fixed if all(torch.equal(first[name], o[name]) for o in others)}
        own = first.keys() - self._shared.keys()
        self._stacked = {name: torch.stack([member[name].detach() for member in members]) for name in own}
        self._form = deepcopy(_Answering(networks[0])).to("meta").eval()
        self._turn = Lock()

    @staticmethod
    def can_be_made_of(networks: Sequence[UnifiedModel]) -> bool:
        """Tell whether the networks' encoders can run over stacked weights."""
        return all(network.encoder(modality).stackable for network in networks for modality in network.modalities)

    def __call__(self, batch: Batch) -> dict[str, Float[Tensor, "network batch output"]]:
        """Give what each network answers to each task: probabilities or estimates, without gradients."""
        return self.predict(batch).answers

    def predict(self, batch: Batch) -> NetworkOutputs:
        """Give what each network answers, and the latent that its answers rest on, without gradients."""

        def answers(own: dict[str, Tensor]) -> NetworkOutputs:
            weights = {**self._shared, **own}
            said: NetworkOutputs = functional_call(self._form, weights, (batch,), tie_weights=False)
            return said

        # Of the ways to compute attention, only the plain one computes several networks' at once.
        with self._turn, torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
            return vmap(answers)(self._stacked)


class _Answering(nn.Module):
    """A network whose call gives probabilities, and its latent."""

    def __init__(self, network: UnifiedModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Batch) -> NetworkOutputs:
        outputs = self.network(batch)
        return NetworkOutputs(self.network.probabilities(outputs), outputs.latent)


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    parameters, buffers = (find(remove_duplicate=False) for find in (module.named_parameters, module.named_buffers))
    return {**dict(parameters), **dict(buffers)}

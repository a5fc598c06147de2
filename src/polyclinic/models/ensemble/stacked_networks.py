"""Simultaneous inference of several networks of one architecture.

For one patient, a network runs a few hundred small operations, dominated by call overhead. Here each is called once
for all networks, over their stacked weights (`torch.func.vmap`): five networks take the time of two.
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
    """Outputs of several networks for a batch."""

    answers: dict[str, Float[Tensor, "network batch output"]]  # by task: probabilities or estimates
    latents: Float[Tensor, "network batch width"]


class StackedNetworks:
    """Networks of one configuration, in evaluation mode, with stacked weights; thread-safe by a lock.

    Fixed tensors that are equal in all of them (frozen backbones, input tables) are stored once.
    """

    def __init__(self, networks: Sequence[UnifiedModel]) -> None:
        members = [_tensors(_Predictor(network)) for network in networks]
        first, others = members[0], members[1:]
        fixed = (name for name, tensor in first.items() if not tensor.requires_grad)
        self._shared = {name: first[name] for name in fixed if all(torch.equal(first[name], o[name]) for o in others)}
        own = first.keys() - self._shared.keys()
        self._stacked = {name: torch.stack([member[name].detach() for member in members]) for name in own}
        self._template = deepcopy(_Predictor(networks[0])).to("meta").eval()
        self._lock = Lock()

    @staticmethod
    def supports(networks: Sequence[UnifiedModel]) -> bool:
        """Return whether all encoders of the networks support stacked weights."""
        return all(network.encoder(modality).stackable for network in networks for modality in network.modalities)

    def __call__(self, batch: Batch) -> dict[str, Float[Tensor, "network batch output"]]:
        """Return each network's probabilities or estimates of each task, without gradients."""
        return self.predict(batch).answers

    def predict(self, batch: Batch) -> NetworkOutputs:
        """Return each network's outputs, without gradients."""

        def answers(own: dict[str, Tensor]) -> NetworkOutputs:
            weights = {**self._shared, **own}
            outputs: NetworkOutputs = functional_call(self._template, weights, (batch,), tie_weights=False)
            return outputs

        # Only the plain attention backend supports vmap.
        with self._lock, torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
            return vmap(answers)(self._stacked)


class _Predictor(nn.Module):
    """A network that returns probabilities and its latent."""

    def __init__(self, network: UnifiedModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Batch) -> NetworkOutputs:
        outputs = self.network(batch)
        return NetworkOutputs(self.network.probabilities(outputs), outputs.latent)


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    parameters, buffers = (find(remove_duplicate=False) for find in (module.named_parameters, module.named_buffers))
    return {**dict(parameters), **dict(buffers)}

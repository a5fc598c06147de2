"""Attention bottlenecks (Nagrani 2021, arXiv 2107.00135)."""

from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from polyclinic.models.network.fusions.fusion import Fusion
from polyclinic.models.network.layers import AttentionPool, SelfBlock, initialise, masked_mean
from polyclinic.models.network.tokens import Tokens


class Bottleneck(Fusion):
    """Modalities exchange only through a few shared tokens, in `layers` late layers.

    In each layer every modality mixes its own tokens with the shared ones, each in its own way; the shared tokens of
    the next layer are the mean over the modalities present. The latent is the mean of the modalities' pooled tokens
    and of the shared ones.
    """

    def __init__(self, modalities: Sequence[str], width: int, dropout: float, layers: int = 2, shared: int = 4) -> None:
        super().__init__(modalities, width, dropout)
        self.shared = nn.Parameter(torch.randn(shared, width) * width**-0.5)
        self.layers = nn.ModuleList(nn.ModuleList(SelfBlock(width, dropout) for _ in modalities) for _ in range(layers))
        self.pools = nn.ModuleList(AttentionPool(width) for _ in modalities)
        self.norm = nn.LayerNorm(width)
        self.apply(initialise)

    def fuse(self, tokens: list[Tokens], present: Bool[Tensor, "batch modality"]) -> Float[Tensor, "batch width"]:
        """Exchange through the bottleneck, pool, average."""
        shared = self.shared.expand(len(present), -1, -1)
        always = present.new_ones(shared.shape[:2])
        count = len(self.shared)
        streams = [one.values for one in tokens]
        masks = [torch.cat([always, one.mask], dim=1) for one in tokens]
        for layer in self.layers:
            mixed = [
                block(torch.cat([shared, stream], dim=1), mask)
                for block, stream, mask in zip(cast(nn.ModuleList, layer), streams, masks, strict=True)
            ]
            shared = _mean_present([one[:, :count] for one in mixed], present)
            streams = [one[:, count:] for one in mixed]
        pooled = [pool(stream, one.mask) for pool, stream, one in zip(self.pools, streams, tokens, strict=True)]
        latent: Tensor = self.norm(masked_mean(torch.stack(pooled, dim=1), present) + shared.mean(dim=1))
        return latent


def _mean_present(
    shared: list[Float[Tensor, "batch token width"]], present: Bool[Tensor, "batch modality"]
) -> Float[Tensor, "batch token width"]:
    stacked = torch.stack(shared, dim=1)
    return masked_mean(stacked.flatten(2), present).view_as(shared[0])

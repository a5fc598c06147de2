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
    """Exchange between modalities only through a few shared tokens, in `layers` layers.

    In each layer every modality's block attends to its own and the shared tokens; the shared tokens of the next layer
    are the mean over the present modalities. The latent is the sum of the modalities' mean pooled tokens and the mean
    shared token.
    """

    def __init__(self, modalities: Sequence[str], width: int, dropout: float, layers: int = 2, shared: int = 4) -> None:
        super().__init__(modalities, width, dropout)
        self.shared = nn.Parameter(torch.randn(shared, width) * width**-0.5)
        self.layers = nn.ModuleList(nn.ModuleList(SelfBlock(width, dropout) for _ in modalities) for _ in range(layers))
        self.pools = nn.ModuleList(AttentionPool(width) for _ in modalities)
        self.norm = nn.LayerNorm(width)
        self.apply(initialise)

    def fuse(self, tokens: list[Tokens], present: Bool[Tensor, "batch modality"]) -> Float[Tensor, "batch width"]:
        """Exchange through the bottleneck, pool and average."""
        shared = self.shared.expand(len(present), -1, -1)
        all_shared = present.new_ones(shared.shape[:2])
        count = len(self.shared)
        streams = [own.values for own in tokens]
        masks = [torch.cat([all_shared, own.mask], dim=1) for own in tokens]
        for layer in self.layers:
            mixed = [
                block(torch.cat([shared, stream], dim=1), mask)
                for block, stream, mask in zip(cast(nn.ModuleList, layer), streams, masks, strict=True)
            ]
            shared = _mean_present([stream[:, :count] for stream in mixed], present)
            streams = [stream[:, count:] for stream in mixed]
        pooled = [pool(stream, own.mask) for pool, stream, own in zip(self.pools, streams, tokens, strict=True)]
        latent: Tensor = self.norm(masked_mean(torch.stack(pooled, dim=1), present) + shared.mean(dim=1))
        return latent


def _mean_present(
    shared: list[Float[Tensor, "batch token width"]], present: Bool[Tensor, "batch modality"]
) -> Float[Tensor, "batch token width"]:
    stacked = torch.stack(shared, dim=1)
    return masked_mean(stacked.flatten(2), present).view_as(shared[0])

"""Base classes of fusions."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from polyclinic.models.network.layers import AttentionPool
from polyclinic.models.network.tokens import Tokens, mask_absent


class Fusion(nn.Module):
    """Tokens of the *present* modalities → the shared latent.

    Built as `Fusion(modalities, width, dropout)`. Column i of `present` belongs to `modalities[i]`. Any subset may be
    absent; if all are, the latent is a constant. Tokens of absent modalities have no influence, since they are masked.
    """

    def __init__(self, modalities: Sequence[str], width: int, dropout: float) -> None:  # noqa: ARG002
        super().__init__()
        self.modalities = tuple(modalities)

    def forward(
        self, tokens: Mapping[str, Tokens], present: Bool[Tensor, "batch modality"]
    ) -> Float[Tensor, "batch width"]:
        """Fuse the present modalities."""
        return self.fuse(*mask_absent(tokens, self.modalities, present))

    def fuse(self, tokens: list[Tokens], present: Bool[Tensor, "batch modality"]) -> Float[Tensor, "batch width"]:
        """Fuse tokens whose masked values are 0."""
        raise NotImplementedError


class PooledFusion(Fusion):
    """A fusion of one pooled latent per modality."""

    def __init__(self, modalities: Sequence[str], width: int, dropout: float) -> None:
        super().__init__(modalities, width, dropout)
        self.pools = nn.ModuleList(AttentionPool(width) for _ in modalities)

    def fuse(self, tokens: list[Tokens], present: Bool[Tensor, "batch modality"]) -> Float[Tensor, "batch width"]:
        """Pool each modality, then combine."""
        pooled = [pool(*own) for pool, own in zip(self.pools, tokens, strict=True)]
        return self.combine(torch.stack(pooled, dim=1), present)

    def combine(
        self, latents: Float[Tensor, "batch modality width"], present: Bool[Tensor, "batch modality"]
    ) -> Float[Tensor, "batch width"]:
        """Combine the latents of the present modalities; other latents are 0."""
        raise NotImplementedError

"""Gated multimodal units (Arevalo 2017, arXiv 1702.01992)."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from polyclinic.models.network.fusions.fusion import PooledFusion
from polyclinic.models.network.layers import Dropout, initialise


class Gated(PooledFusion):
    """h = Σ zᵢ ⊙ tanh(Wᵢ xᵢ), with gates z computed from all modalities.

    The paper ties its two gates, z and 1 − z, a softmax over two; here the softmax is over the present modalities, for
    each unit of the latent, so that a single modality has gate 1.
    """

    def __init__(self, modalities: Sequence[str], width: int, dropout: float) -> None:
        super().__init__(modalities, width, dropout)
        self.content = nn.ModuleList(nn.Linear(width, width) for _ in modalities)
        self.gate = nn.Linear(len(modalities) * (width + 1), len(modalities) * width)
        self.dropout = Dropout(dropout)
        self.apply(initialise)

    def combine(
        self, latents: Float[Tensor, "batch modality width"], present: Bool[Tensor, "batch modality"]
    ) -> Float[Tensor, "batch width"]:
        """Average the present modalities by their gates, for each unit."""
        flags = present[..., None]
        inputs = self.dropout(torch.cat([latents, flags.to(latents.dtype)], dim=2).flatten(1))
        scores = self.gate(inputs).view_as(latents).masked_fill(~flags & present.any(dim=1)[:, None, None], -torch.inf)
        content = torch.stack([layer(x) for layer, x in zip(self.content, latents.unbind(1), strict=True)], dim=1)
        gated: Tensor = scores.softmax(dim=1) * content.tanh()
        return gated.masked_fill(~flags, 0).sum(dim=1)

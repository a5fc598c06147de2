"""Gated multimodal units (Arevalo 2017, arXiv 1702.01992)."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from polyclinic.models.network.fusions.fusion import PooledFusion
from polyclinic.models.network.layers import Dropout, initialise


class Gated(PooledFusion):
    """h = Σ zᵢ ⊙ tanh(Wᵢ xᵢ), the gates z looking at all modalities.

    The paper's two gates are tied, z and 1 − z = the softmax over two; here it runs over the modalities present, for
    each unit of the latent, so that a modality alone has the whole say.
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
        """Weigh what each present modality says, unit by unit."""
        flags = present[..., None]
        seen = self.dropout(torch.cat([latents, flags.to(latents.dtype)], dim=2).flatten(1))
        scores = self.gate(seen).view_as(latents).masked_fill(~flags & present.any(dim=1)[:, None, None], -torch.inf)
        said = torch.stack([layer(x) for layer, x in zip(self.content, latents.unbind(1), strict=True)], dim=1)
        weighed: Tensor = scores.softmax(dim=1) * said.tanh()
        return weighed.masked_fill(~flags, 0).sum(dim=1)

"""Late fusion: each modality reaches its own conclusion, and the conclusions are averaged."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from polyclinic.models.network.fusions.fusion import PooledFusion
from polyclinic.models.network.layers import Dropout, initialise, masked_mean


class Late(PooledFusion):
    """Mean over the present modalities of a network of each one's own.

    Heads are linear, so that the logit of the mean latent is the mean of the modalities' logits.
    """

    def __init__(self, modalities: Sequence[str], width: int, dropout: float) -> None:
        super().__init__(modalities, width, dropout)
        self.own = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.GELU(), Dropout(dropout), nn.Linear(width, width))
            for _ in modalities
        )
        self.apply(initialise)

    def combine(
        self, latents: Float[Tensor, "batch modality width"], present: Bool[Tensor, "batch modality"]
    ) -> Float[Tensor, "batch width"]:
        """Conclude from each, then average."""
        concluded = [network(latent) for network, latent in zip(self.own, latents.unbind(1), strict=True)]
        return masked_mean(torch.stack(concluded, dim=1), present)

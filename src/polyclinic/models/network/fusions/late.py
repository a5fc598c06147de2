"""Late fusion: the mean of unimodal latents."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from polyclinic.models.network.fusions.fusion import PooledFusion
from polyclinic.models.network.layers import Dropout, initialise, masked_mean


class Late(PooledFusion):
    """Mean over the present modalities of the latents transformed by modality-specific networks.

    Heads are linear, so that the logits of the mean latent are the mean of the modalities' logits.
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
        """Transform each modality, then average."""
        transformed = [network(latent) for network, latent in zip(self.own, latents.unbind(1), strict=True)]
        return masked_mean(torch.stack(transformed, dim=1), present)

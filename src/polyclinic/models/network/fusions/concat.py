"""Fusion by concatenation (Aydin 2019, arXiv 1902.08888)."""

from collections.abc import Sequence

from jaxtyping import Bool, Float
from torch import Tensor, nn

from polyclinic.models.network.fusions.fusion import PooledFusion
from polyclinic.models.network.layers import Dropout, PresentNorm, initialise


class Concat(PooledFusion):
    """Pooled latents → batch norm → concatenation → dense 8 × width (512 by default) → dropout → latent.

    An absent modality is 0 after the norm, whose statistics use present samples only; presence flags are added inputs.
    """

    def __init__(self, modalities: Sequence[str], width: int, dropout: float) -> None:
        super().__init__(modalities, width, dropout)
        self.norm = PresentNorm(len(modalities), width)
        self.flags = nn.Linear(len(modalities), 8 * width, bias=False)
        self.dense = nn.Linear(len(modalities) * width, 8 * width)
        self.out = nn.Sequential(nn.ReLU(), Dropout(dropout), nn.Linear(8 * width, width))
        self.apply(initialise)

    def combine(
        self, latents: Float[Tensor, "batch modality width"], present: Bool[Tensor, "batch modality"]
    ) -> Float[Tensor, "batch width"]:
        """Normalise, concatenate and transform."""
        joined = self.norm(latents, present).flatten(1)
        latent: Tensor = self.out(self.dense(joined) + self.flags(present.to(joined.dtype)))
        return latent

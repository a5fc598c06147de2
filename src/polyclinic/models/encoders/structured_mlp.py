"""Structured features through a multilayer perceptron."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from polyclinic.models.config import StructuredSizes
from polyclinic.models.encoders.encoder import Encoder
from polyclinic.models.layers import Dropout, FeedForward, initialise, smooth_clip
from polyclinic.models.tokens import Tokens


class StructuredMLP(Encoder):
    """Values and their missingness → one token.

    Values are clipped smoothly as in RealMLP (Holzmüller 2024, arXiv 2407.04491); residual layers as in Gorishniy 2021
    (arXiv 2106.11959).
    """

    modality = "structured"
    reads = ("values", "known")

    def __init__(self, sizes: StructuredSizes, width: int, dropout: float, layers: int = 2) -> None:
        super().__init__()
        self.project = nn.Linear(2 * sizes.features, width)
        self.dropout = Dropout(dropout / 2)
        self.layers = nn.Sequential(*(Residual(width, dropout) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.apply(initialise)

    def forward(self, values: Float[Tensor, "batch feature"], known: Bool[Tensor, "batch feature"]) -> Tokens:
        """Encode; an unknown value counts as unknown, whatever stands in its place."""
        seen = smooth_clip(values.masked_fill(~known, 0))
        latent = self.project(self.dropout(torch.cat([seen, known.to(seen.dtype)], dim=1)))
        token = self.norm(self.layers(latent))
        return Tokens(token[:, None], known.new_ones(len(token), 1))


class Residual(FeedForward):
    """A feed-forward added to its input."""

    def forward(self, input: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        """Add what the layers say."""
        said: Tensor = super().forward(input)  # type: ignore[no-untyped-call]
        return input + said

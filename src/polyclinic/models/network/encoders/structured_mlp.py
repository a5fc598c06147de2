"""Structured features: a multilayer perceptron."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from polyclinic.models.network.config import StructuredSizes
from polyclinic.models.network.encoders.encoder import Encoder
from polyclinic.models.network.encoders.numeric import NumericEmbedding, drop_columns
from polyclinic.models.network.layers import FeedForward, initialise, smooth_clip
from polyclinic.models.network.tokens import Tokens


class StructuredMLP(Encoder):
    """Embedded values and their missingness → one token.

    Smooth clipping as in RealMLP (Holzmüller 2024, arXiv 2407.04491); residual layers as in Gorishniy 2021
    (arXiv 2106.11959); dropout of whole features.
    """

    modality = "structured"
    reads = ("values", "known")

    def __init__(self, sizes: StructuredSizes, width: int, dropout: float, layers: int = 1) -> None:
        super().__init__()
        self.embedding = NumericEmbedding(sizes.features)
        self.dropout = dropout / 2
        self.project = nn.Linear((self.embedding.width + 1) * sizes.features, width)
        self.layers = nn.Sequential(*(Residual(width, dropout) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.apply(initialise)

    def forward(self, values: Float[Tensor, "batch feature"], known: Bool[Tensor, "batch feature"]) -> Tokens:
        """Encode; unknown values are masked."""
        is_known = known[..., None]
        embedded = self.embedding(smooth_clip(values.masked_fill(~known, 0))).masked_fill(~is_known, 0)
        features = torch.cat([embedded, is_known.to(embedded.dtype)], dim=2)
        if self.training and self.dropout:
            features = drop_columns(features, self.dropout)
        token = self.norm(self.layers(self.project(features.flatten(1))))
        return Tokens(token[:, None], known.new_ones(len(token), 1))


class Residual(FeedForward):
    """A feed-forward network with a residual connection."""

    def forward(self, input: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        """Add the layers' output to the input."""
        output: Tensor = super().forward(input)  # type: ignore[no-untyped-call]
        return input + output

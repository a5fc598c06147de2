"""Structured features as transformer tokens (FT-Transformer, Gorishniy 2021, arXiv 2106.11959)."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from polyclinic.models.network.config import StructuredSizes
from polyclinic.models.network.encoders.encoder import Encoder
from polyclinic.models.network.layers import SelfBlock, initialise, smooth_clip
from polyclinic.models.network.tokens import Tokens


class FeatureTokens(Encoder):
    """A summary token and one token per known code of the sample.

    In the paper every feature is a token, x·w + b. Here the features of one code (first, last, mean …) are summed to
    one token, to reduce the quadratic cost of attention; codes without known features have no token.
    """

    modality = "structured"
    reads = ("values", "known")
    members: Tensor

    def __init__(self, sizes: StructuredSizes, width: int, dropout: float, layers: int = 2) -> None:
        super().__init__()
        self.register_buffer("members", _members(sizes), persistent=False)
        groups, largest = self.members.shape
        self.slope = nn.Parameter(torch.randn(groups, largest, width) * width**-0.5)
        self.level = nn.Parameter(torch.randn(groups, largest, width) * width**-0.5)
        self.summary = nn.Parameter(torch.randn(width) * width**-0.5)
        self.blocks = nn.ModuleList(SelfBlock(width, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.apply(initialise)

    def forward(self, values: Float[Tensor, "batch feature"], known: Bool[Tensor, "batch feature"]) -> Tokens:
        """Encode; unknown values are masked."""
        masked = functional.pad(smooth_clip(values.masked_fill(~known, 0)), (0, 1))[:, self.members]
        is_known = functional.pad(known, (0, 1))[:, self.members]
        parts = torch.cat([masked, is_known.to(masked.dtype)], dim=2).transpose(0, 1)
        tokens = torch.bmm(parts, torch.cat([self.slope, self.level], dim=1)).transpose(0, 1)
        tokens = torch.cat([self.summary.expand(len(values), 1, -1), tokens], dim=1)
        mask = functional.pad(is_known.any(dim=2), (1, 0), value=True)
        for block in self.blocks:
            tokens = block(tokens, mask)
        return Tokens(self.norm(tokens), mask)


def _members(sizes: StructuredSizes) -> Int[Tensor, "group member"]:
    """Return each group's features, padded with the number of features."""
    groups: dict[int, list[int]] = {}
    for feature, group in enumerate(sizes.groups or range(sizes.features)):
        groups.setdefault(group, []).append(feature)
    largest = max(map(len, groups.values()))
    return torch.tensor([groups[group] + [sizes.features] * (largest - len(groups[group])) for group in sorted(groups)])

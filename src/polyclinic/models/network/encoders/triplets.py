"""Irregular series as a set of (time, code, value) triplets (STraTS, Tipirneni & Reddy 2022, arXiv 2107.14293)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from polyclinic.models.network.config import SeriesSizes
from polyclinic.models.network.encoders.encoder import Encoder
from polyclinic.models.network.layers import Seeds, SelfBlock, initialise, smooth_clip, used_length
from polyclinic.models.network.tokens import Tokens

HOURS = 24.0


class ContinuousEmbedding(nn.Sequential):
    """A network from numbers to a token: √width hidden units, tanh, no output bias (STraTS, section 3.2)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(nn.Linear(inputs, int(width**0.5)), nn.Tanh(), nn.Linear(int(width**0.5), width, bias=False))


class TripletTransformer(Encoder):
    """Embeddings of triplets, `context_layers` of self-attention, and a summary of the set as `seeds` tokens.

    A triplet's embedding is the sum of those of code, value and time, as in STraTS, plus the value times a slope of the
    code, so that effects of values are code-specific before any attention. The paper has two layers of self-attention
    over all triplets; for hundreds of triplets on a CPU the gain is not worth the cost, so that by default only the
    summary attends to them, at linear cost.
    """

    modality = "series"
    reads = ("triplet_time", "triplet_code", "triplet_value")

    def __init__(self, sizes: SeriesSizes, width: int, dropout: float, seeds: int = 8, context_layers: int = 0) -> None:
        super().__init__()
        self.code = nn.Embedding(sizes.codes, width, padding_idx=0)
        self.slope = nn.Embedding(sizes.codes, width, padding_idx=0)
        self.value = ContinuousEmbedding(1, width)
        self.time = ContinuousEmbedding(2, width)
        self.context = nn.ModuleList(SelfBlock(width, dropout) for _ in range(context_layers))
        self.seeds = Seeds(seeds, width, dropout)
        self.norm = nn.LayerNorm(width)
        self.apply(initialise)

    def forward(
        self,
        triplet_time: Float[Tensor, "batch triplet"],
        triplet_code: Int[Tensor, "batch triplet"],
        triplet_value: Float[Tensor, "batch triplet"],
    ) -> Tokens:
        """Encode; triplets of code 0 are padding. Times are hours before the prediction."""
        mask = triplet_code[:, : used_length(triplet_code != 0)] != 0
        real = mask.nonzero(as_tuple=True)
        embedded = self._embed(triplet_time[real], triplet_code[real], triplet_value[real][:, None])
        tokens = embedded.new_zeros(*mask.shape, embedded.shape[1]).index_put(real, embedded)
        for block in self.context:
            tokens = block(tokens, mask)
        summary = self.norm(self.seeds(tokens, mask))
        return Tokens(summary, mask.new_ones(summary.shape[:2]))

    def _embed(
        self, hours: Float[Tensor, " triplet"], codes: Int[Tensor, " triplet"], values: Float[Tensor, "triplet 1"]
    ) -> Float[Tensor, "triplet width"]:
        values = smooth_clip(values, limit=8.0)
        times = torch.stack([hours / HOURS, torch.log1p(hours.clamp_min(0))], dim=1)
        embedded: Tensor = self.code(codes) + self.slope(codes) * values + self.value(values) + self.time(times)
        return embedded

"""Irregular series as learnt summaries of each code, similar to SeFT (Horn 2020, arXiv 1909.12064)."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from polyclinic.models.network.config import SeriesSizes
from polyclinic.models.network.encoders.encoder import Encoder
from polyclinic.models.network.encoders.numeric import NumericEmbedding, drop_columns
from polyclinic.models.network.layers import initialise, smooth_clip
from polyclinic.models.network.tokens import Tokens

HOURS = 24.0
HEADS = (
    (-24.0, 0.0),  # the last value
    (-4.0, 0.0),  # the mean of the last hours
    (-1.0, 0.0),  # the mean of the last day
    (0.0, 0.0),  # the mean
    (1.0, 0.0),  # the mean of the first days
    (6.0, 0.0),  # the first value
    (0.0, 3.0),  # high values
    (0.0, -3.0),  # low values
)
"""Initial attention slopes of the heads: per day before the prediction, and per unit of value."""


class Summaries(NamedTuple):
    """Summary of each code: the mean value by each head's attention, the count, and the time since the last value."""

    numbers: Float[Tensor, "batch code head+2"]
    known: Bool[Tensor, "batch code"]


class CodeAttention(Encoder):
    """Heads attend to the measurements of each code by time and value; their means → one token.

    The heads are initialised as common summaries (last, first, mean, high, low …) and fitted for each code. Permutation
    invariant, of linear cost, and better on intensive-care stays than a transformer over all triplets, which would have
    to learn from a few thousand patients to compare codes with themselves.
    """

    modality = "series"
    reads = ("triplet_time", "triplet_code", "triplet_value")

    def __init__(self, sizes: SeriesSizes, width: int, dropout: float) -> None:
        super().__init__()
        self.codes = sizes.codes
        slopes = torch.tensor(HEADS)
        self.by_age = nn.Parameter(slopes[:, 0].repeat(sizes.codes, 1))
        self.by_value = nn.Parameter(slopes[:, 1].repeat(sizes.codes, 1))
        self.numbers = len(HEADS) + 2
        self.embedding = NumericEmbedding(sizes.codes * self.numbers)
        self.dropout = dropout / 2
        self.project = nn.Linear(sizes.codes * (self.numbers * self.embedding.width + 1), width)
        self.norm = nn.LayerNorm(width)
        self.apply(initialise)

    def forward(
        self,
        triplet_time: Float[Tensor, "batch triplet"],
        triplet_code: Int[Tensor, "batch triplet"],
        triplet_value: Float[Tensor, "batch triplet"],
    ) -> Tokens:
        """Encode; triplets of code 0 are padding. Times are hours before the prediction."""
        numbers, known = self.summarise(triplet_time, triplet_code, triplet_value)
        embedded = self.embedding(numbers.flatten(1))
        if self.training and self.dropout:
            embedded = drop_columns(embedded, self.dropout)
        of_code = embedded.view(*known.shape, -1).masked_fill(~known[..., None], 0)
        features = torch.cat([of_code, known[..., None].to(of_code.dtype)], dim=2)
        token = self.norm(self.project(features.flatten(1)))
        return Tokens(token[:, None], known.new_ones(len(token), 1))

    def summarise(
        self,
        triplet_time: Float[Tensor, "batch triplet"],
        triplet_code: Int[Tensor, "batch triplet"],
        triplet_value: Float[Tensor, "batch triplet"],
    ) -> Summaries:
        """Summarise the measurements of each code, scaled to about 1."""
        batch, cells = len(triplet_code), len(triplet_code) * self.codes
        sample, position = triplet_code.nonzero(as_tuple=True)
        code = triplet_code[sample, position]
        cell = sample * self.codes + code
        days, value = triplet_time[sample, position] / HOURS, triplet_value[sample, position]
        scores = self.by_age[code] * days[:, None] + self.by_value[code] * smooth_clip(value)[:, None]
        weights = (scores - _maximum(scores.detach(), cell, cells)).exp()
        total = weights.new_zeros(cells, len(HEADS)).index_add(0, cell, weights)
        weighted_sum = weights.new_zeros(cells, len(HEADS)).index_add(0, cell, weights * value[:, None])
        count = torch.bincount(cell, minlength=cells).to(value.dtype)
        ago = torch.full_like(count, torch.inf).scatter_reduce(0, cell, days * HOURS, "amin")
        known = (count > 0).view(batch, self.codes)
        means = smooth_clip(weighted_sum / total.clamp_min(torch.finfo(total.dtype).tiny))
        extras = torch.stack([count.clamp_min(1).log(), torch.log1p(ago.masked_fill(count == 0, 0).clamp_min(0))], 1)
        numbers = torch.cat([means, extras / 2 - 1], dim=1)
        return Summaries(numbers.view(batch, self.codes, self.numbers), known)


def _maximum(
    scores: Float[Tensor, "triplet head"], cell: Int[Tensor, " triplet"], cells: int
) -> Float[Tensor, "triplet head"]:
    """Return the maximum score of each triplet's code, for a numerically stable softmax."""
    index = cell[:, None].expand_as(scores)
    return scores.new_zeros(cells, scores.shape[1]).scatter_reduce(0, index, scores, "amax", include_self=False)[cell]

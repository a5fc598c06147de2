"""What every encoder gives and every fusion takes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Tokens(NamedTuple):
    """The tokens of one modality; where `mask` is False there is none, and `values` means nothing."""

    values: Float[Tensor, "batch token width"]
    mask: Bool[Tensor, "batch token"]

    def of(self, present: Bool[Tensor, " batch"]) -> "Tokens":
        """Take away the tokens of the rows that are not `present`; what is not a token becomes 0, NaN included."""
        mask = self.mask & present[:, None]
        return Tokens(self.values.masked_fill(~mask[..., None], 0), mask)


def emptied(
    tokens: Mapping[str, Tokens], modalities: Sequence[str], present: Bool[Tensor, "batch modality"]
) -> tuple[list[Tokens], Bool[Tensor, "batch modality"]]:
    """Empty the tokens of absent modalities, in order; a modality without a single token counts as absent."""
    clean = [tokens[name].of(there) for name, there in zip(modalities, present.unbind(dim=1), strict=True)]
    return clean, torch.stack([one.mask.any(dim=1) for one in clean], dim=1)

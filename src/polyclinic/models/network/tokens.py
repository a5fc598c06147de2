"""Tokens: the output of encoders and the input of fusions."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Tokens(NamedTuple):
    """The tokens of one modality; `values` is meaningless where `mask` is False."""

    values: Float[Tensor, "batch token width"]
    mask: Bool[Tensor, "batch token"]

    def masked(self, present: Bool[Tensor, " batch"]) -> "Tokens":
        """Mask the tokens of rows that are not `present`, and set masked values to 0, even if NaN."""
        mask = self.mask & present[:, None]
        return Tokens(self.values.masked_fill(~mask[..., None], 0), mask)


def mask_absent(
    tokens: Mapping[str, Tokens], modalities: Sequence[str], present: Bool[Tensor, "batch modality"]
) -> tuple[list[Tokens], Bool[Tensor, "batch modality"]]:
    """Mask the tokens of absent modalities, in order; a modality without any token counts as absent."""
    masked = [tokens[name].masked(rows) for name, rows in zip(modalities, present.unbind(dim=1), strict=True)]
    return masked, torch.stack([own.mask.any(dim=1) for own in masked], dim=1)

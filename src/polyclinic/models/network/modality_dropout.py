"""Which modalities a sample has, and pretending that it had fewer."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from polyclinic.features import Arrays


def modality_dropout(
    present: Bool[Tensor, "batch modality"], p: float, generator: torch.Generator | None = None
) -> Bool[Tensor, "batch modality"]:
    """Drop each present modality with probability `p`, never the last one of a sample.

    A sample that would lose all keeps one of its own, each as likely. What remains is not rescaled. Draws on the
    generator's device, so that the same seed drops the same on every machine.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"the chance to drop a modality must lie in [0, 1], not {p}")
    device = generator.device if generator is not None else present.device
    draw = torch.rand(present.shape, generator=generator, device=device).to(present.device)
    kept = present & (draw >= p)
    last = draw.masked_fill(~present, -1).argmax(dim=1, keepdim=True)
    rescued = torch.zeros_like(present).scatter(1, last, True) & present
    return torch.where(kept.any(dim=1, keepdim=True), kept, rescued)


def subsets(modalities: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Give each of the 2^M − 1 non-empty subsets, the smaller first."""
    for size in range(1, len(modalities) + 1):
        yield from combinations(modalities, size)


def keeping(arrays: Mapping[str, Arrays], members: Collection[str]) -> dict[str, Arrays]:
    """Give the arrays as if only the modalities `members` had been recorded."""
    return {
        modality: one if modality in members else one | {"present": np.zeros(len(one["present"]), dtype=bool)}
        for modality, one in arrays.items()
    }

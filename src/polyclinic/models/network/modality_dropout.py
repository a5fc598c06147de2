"""Modality dropout, and restriction to subsets of modalities."""

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

    A sample that would lose all keeps one at random. There is no rescaling. Random numbers are drawn on the
    generator's device, so that results do not depend on the device.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"the probability of modality dropout must be in [0, 1], not {p}")
    device = generator.device if generator is not None else present.device
    draw = torch.rand(present.shape, generator=generator, device=device).to(present.device)
    kept = present & (draw >= p)
    last = draw.masked_fill(~present, -1).argmax(dim=1, keepdim=True)
    restored = torch.zeros_like(present).scatter(1, last, True) & present
    return torch.where(kept.any(dim=1, keepdim=True), kept, restored)


def subsets(modalities: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield the 2^M − 1 non-empty subsets, the smaller first."""
    for size in range(1, len(modalities) + 1):
        yield from combinations(modalities, size)


def keeping(arrays: Mapping[str, Arrays], members: Collection[str]) -> dict[str, Arrays]:
    """Return the arrays as if only the modalities `members` had been recorded."""
    return {
        modality: own if modality in members else own | {"present": np.zeros(len(own["present"]), dtype=bool)}
        for modality, own in arrays.items()
    }

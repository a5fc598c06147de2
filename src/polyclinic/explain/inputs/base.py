"""Differentiable inputs: from the recorded values of one modality to the input of a network's encoder.

A differentiable input is one modality of one sample as a tensor whose elements receive scores: pixels of images, values
of measurements and features, and one number for each word or word piece, 1 for its own embedding and 0 for that of the
baseline, so that the gradient sums over the embedding. Frozen encoders (EfficientNet-lite0, MiniLM) run here, once for
the networks of all folds, and without the 16-bit rounding of the cache.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from copy import copy
from typing import ClassVar, Protocol, Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from polyclinic.explain.attribution import ModalityAttribution
from polyclinic.explain.inputs.baseline import Baseline
from polyclinic.explain.sample import Sample
from polyclinic.models.network.encoders import Encoder
from polyclinic.models.network.unified import UnifiedModel

VALUE_NOISE = 0.05
"""Standard deviation of the noise on values, in units of their scale."""


class DifferentiableInput:
    """One modality of one sample; the path runs from `start` to `end`, tensors of one shape."""

    start: Tensor
    end: Tensor
    hooks: ClassVar[bool] = False  # whether `interpolating` hooks the network, which must then not be shared

    def tensors(self, x: Float[Tensor, "step ..."]) -> dict[str, Tensor]:
        """Return the encoder input at points between `start` and `end`."""
        raise NotImplementedError

    def interpolating(self, network: UnifiedModel, x: Float[Tensor, "step ..."]) -> AbstractContextManager[None]:  # noqa: ARG002
        """Return the context of a forward pass, for points that enter the network after its first layer."""
        return nullcontext()

    @property
    def images(self) -> int:
        """Number of images that pass a frozen network at each point."""
        return 1

    def units(self, sample: Sample) -> Units:  # noqa: ARG002
        """Return the removable units: by default the single elements."""
        return Units(self)

    def noisy(self, generator: torch.Generator) -> Self:
        """Return the input with small noise; the input itself if it has no numbers."""
        other = copy(self)
        other.end = self.end + VALUE_NOISE * torch.randn(self.end.shape, generator=generator)
        return other

    def from_usual(self, usual: Baseline) -> DifferentiableInput:  # noqa: ARG002
        """Return the input with the usual baseline, if known."""
        return self


Kept = Bool[Tensor, "step unit"]


class Units:
    """Units that are the elements of a differentiable input."""

    def __init__(self, input_: DifferentiableInput) -> None:
        self.input_ = input_
        self.count = input_.end.numel()
        self.owner: Int[np.ndarray, " number"] = np.arange(self.count)  # unit of each element; −1: none

    def __len__(self) -> int:
        return self.count

    @property
    def patches(self) -> Int[np.ndarray, " unit"]:
        """The patch of each unit; occlusion removes one patch at a time."""
        return np.arange(len(self))

    def tensors(self, kept: Kept) -> dict[str, Tensor]:
        """Return the encoder input with only some units kept."""
        return self.input_.tensors(torch.where(kept, self.input_.end, self.input_.start))

    def present(self, kept: Kept) -> Bool[Tensor, " step"]:
        """Return whether the modality is still present."""
        return torch.ones(len(kept), dtype=torch.bool)

    def gathered(self, scores: Float[Tensor, "..."]) -> Float[np.ndarray, " unit"]:
        """Sum the scores of the input's elements by unit."""
        flat, there = scores.detach().double().numpy().ravel(), self.owner >= 0
        return np.bincount(self.owner[there], flat[there], len(self))


Scores = Float[Tensor, "..."]
"""A score for each element of a differentiable input, in its shape."""


class ModalityExplanation(Protocol):
    """How one modality is explained."""

    signed: ClassVar[bool] = True  # whether negative scores are displayed

    def input_of(self, sample: Sample, baseline: Baseline, encoder: Encoder) -> DifferentiableInput:
        """Return the differentiable input for an encoder."""
        ...

    def attribution(self, sample: Sample, input_: DifferentiableInput, scores: Scores) -> ModalityAttribution:
        """Return the attribution from the scores of an input."""
        ...

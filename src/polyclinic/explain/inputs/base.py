"""The differentiable beginning of each input: what was recorded → what a network's encoder reads.

A stem holds one modality of one sample as numbers to which scores can be given: the pixels of pictures, the values of
measurements and features, and one number for each word or piece of a word, 1 where it is read as written and 0 where
its embedding is that of the baseline. The gradient with respect to such a number is the sum over the embedding that
integrated gradients of words are made of. What is frozen (EfficientNet-lite0, MiniLM) is run here, once for the
networks of all folds; in the cache its outputs are rounded to 16 bits, here they are not.
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
    hooks: ClassVar[bool] = False  # whether `inside` puts hooks on the network, which then must be nobody else's

    def tensors(self, x: Float[Tensor, "step ..."]) -> dict[str, Tensor]:
        """Give what the encoder reads, for each of several points between `start` and `end`."""
        raise NotImplementedError

    def inside(self, network: UnifiedModel, x: Float[Tensor, "step ..."]) -> AbstractContextManager[None]:  # noqa: ARG002
        """Give the context in which the network must be asked, where the points enter it behind its first layer."""
        return nullcontext()

    @property
    def images(self) -> int:
        """How many images pass a frozen network for each point."""
        return 1

    def units(self, sample: Sample) -> Units:  # noqa: ARG002
        """Return what can be removed of it: by default each number by itself."""
        return Units(self)

    def noisy(self, generator: torch.Generator) -> Self:
        """Return the same input with a little noise; the input itself where nothing is a number."""
        other = copy(self)
        other.end = self.end + VALUE_NOISE * torch.randn(self.end.shape, generator=generator)
        return other

    def from_usual(self, usual: Baseline) -> DifferentiableInput:  # noqa: ARG002
        """Return the same input, whose path begins where patients usually are, if that is known."""
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
"""A score for each number of a stem, in its shape."""


class ModalityExplanation(Protocol):
    """How one modality is explained."""

    signed: ClassVar[bool] = True  # whether what is displayed includes what speaks against the output

    def input_of(self, sample: Sample, baseline: Baseline, encoder: Encoder) -> DifferentiableInput:
        """Return the differentiable input that the encoder needs."""
        ...

    def attribution(self, sample: Sample, input_: DifferentiableInput, scores: Scores) -> ModalityAttribution:
        """Name what the scores of an input's numbers are of."""
        ...

"""The differentiable beginning of each input: what was recorded → what a network's encoder reads.

A stem holds one modality of one sample as numbers to which scores can be given: the pixels of pictures, the values of
measurements and features, and one number for each word or piece of a word, 1 where it is read as written and 0 where
its embedding is that of the baseline. The gradient with respect to such a number is the sum over the embedding that
integrated gradients of words are made of. What is frozen (EfficientNet-lite0, MiniLM) is run here, once for the
networks of all folds; in the cache its outputs are rounded to 16 bits, here they are not.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from polyclinic.models.network.unified import UnifiedModel


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

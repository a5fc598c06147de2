"""Base class of encoders."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from polyclinic.models.network.tokens import Tokens


class Encoder(nn.Module):
    """One modality's tensors → tokens of the model's width.

    Built as `Encoder(sizes, width, dropout, **options)`. Called with the tensors named in `reads`, by name. Masked
    values have no influence; in evaluation mode, a sample's tokens depend on that sample only.
    """

    modality: ClassVar[str]
    reads: tuple[str, ...] = ()  # names of the featurizer's arrays
    stackable: ClassVar[bool] = True  # whether `torch.func.vmap` supports it
    unimodal_pretraining: ClassVar[bool] = False  # whether it is pretrained before joint training
    forward: Callable[..., Any]

    def start_from(self, path: Path) -> None:
        """Load pretrained weights, which become part of the saved model; most encoders do not support it."""
        raise ValueError(f"{type(self).__name__} has no pretrained weights: remove {path.name}")


def no_tokens(encoder: Encoder, batch: int, width: int) -> Tokens:
    """Return the tokens of samples without the encoder's modality."""
    parameter = next(encoder.parameters())
    empty = torch.zeros(batch, 1, width, dtype=parameter.dtype, device=parameter.device)
    return Tokens(empty, torch.zeros(batch, 1, dtype=torch.bool, device=parameter.device))


def encode_present(encoder: Encoder, inputs: dict[str, Tensor], present: Bool[Tensor, " batch"], width: int) -> Tokens:
    """Encode the samples that have the modality; the others are not computed, and have no tokens."""
    missing = [name for name in encoder.reads if name not in inputs]
    if missing and present.any():
        raise ValueError(
            f"{type(encoder).__name__} reads {', '.join(missing)}, which the {encoder.modality} input lacks"
        )
    if present.all() and len(present):
        tokens: Tokens = encoder(**{name: inputs[name] for name in encoder.reads})
        return tokens
    rows = present.nonzero()[:, 0]
    if not len(rows):
        return no_tokens(encoder, len(present), width)
    values, mask = encoder(**{name: inputs[name][rows] for name in encoder.reads})
    scattered = values.new_zeros(len(present), *values.shape[1:]).index_copy(0, rows, values)
    return Tokens(scattered, mask.new_zeros(len(present), mask.shape[1]).index_copy(0, rows, mask))

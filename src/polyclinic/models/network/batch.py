"""The input tensors of several samples, and the modalities of each sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor
from torch.nn import functional

from polyclinic.modalities import in_order


@dataclass(frozen=True)
class Batch:
    """Tensors per modality, each with the sample as first axis; column i of `present` belongs to `modalities[i]`.

    The rows of samples without the modality are meaningless and may be NaN.
    """

    inputs: dict[str, dict[str, Tensor]]
    present: Bool[Tensor, "batch modality"]

    def __post_init__(self) -> None:
        if self.present.dtype != torch.bool or self.present.shape[1:] != (len(self.inputs),):
            raise ValueError(
                f"presence must be Boolean [batch, {len(self.inputs)}], one column for each of "
                f"{', '.join(self.inputs)}; it is {self.present.dtype} {list(self.present.shape)}"
            )

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, Mapping[str, np.ndarray]],
        rows: np.ndarray | None = None,
        reads: Mapping[str, Sequence[str]] | None = None,
    ) -> Batch:
        """Create from the arrays of featurizers (each with its Boolean `present`), or from some of their rows.

        `reads` names the arrays to use (see `UnifiedModel.reads`); by default all numeric, dense ones. Only `rows` of
        memory-mapped arrays are read.
        """
        order = in_order(arrays)
        inputs = {
            modality: {
                name: _tensor(array, rows)
                for name, array in arrays[modality].items()
                if (name in reads.get(modality, ()) if reads else name != "present" and _is_numeric(array))
            }
            for modality in order
        }
        return cls(inputs, torch.stack([_tensor(arrays[modality]["present"], rows) for modality in order], dim=1))

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the columns of `present`."""
        return tuple(self.inputs)

    def __len__(self) -> int:
        return len(self.present)

    def presence(self, modality: str) -> Bool[Tensor, " batch"]:
        """Return a mask of the samples that have `modality`; all False if the batch lacks it."""
        if modality not in self.inputs:
            return self.present.new_zeros(len(self))
        return self.present[:, self.modalities.index(modality)]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """Move all tensors to a device."""
        inputs = {
            modality: {name: tensor.to(device, non_blocking=non_blocking) for name, tensor in tensors.items()}
            for modality, tensors in self.inputs.items()
        }
        return Batch(inputs, self.present.to(device, non_blocking=non_blocking))

    def select(self, rows: Tensor | slice | Sequence[int]) -> Batch:
        """Select samples by row numbers, a Boolean tensor or a slice."""
        chosen = (
            torch.as_tensor(rows, dtype=torch.int64, device=self.present.device) if isinstance(rows, Sequence) else rows
        )
        inputs = {
            modality: {name: tensor[chosen] for name, tensor in tensors.items()}
            for modality, tensors in self.inputs.items()
        }
        return Batch(inputs, self.present[chosen])

    def restricted_to(self, modalities: Iterable[str]) -> Batch:
        """Return the same samples as if only `modalities` had been recorded."""
        kept = set(modalities)
        columns = torch.tensor([name in kept for name in self.modalities], device=self.present.device)
        return replace(self, present=self.present & columns)


def concatenate(batches: Sequence[Batch]) -> Batch:
    """Concatenate batches of the same modalities.

    Shorter tensors are padded with 0 (False) at the end.
    """
    first = batches[0]
    if any(batch.modalities != first.modalities for batch in batches):
        raise ValueError("batches of different modalities cannot be concatenated: build them with the same inputs")
    inputs = {
        modality: {name: _stacked([batch.inputs[modality][name] for batch in batches]) for name in tensors}
        for modality, tensors in first.inputs.items()
    }
    return Batch(inputs, torch.cat([batch.present for batch in batches]))


def _is_numeric(array: np.ndarray) -> bool:
    return hasattr(array, "__array__") and array.dtype.kind in "biuf"


def _tensor(array: np.ndarray, rows: np.ndarray | None) -> Tensor:
    return torch.from_numpy(np.array(array) if rows is None else np.asarray(array[rows]))


def _stacked(tensors: list[Tensor]) -> Tensor:
    shape = [max(sizes) for sizes in zip(*(tensor.shape[1:] for tensor in tensors), strict=True)]
    return torch.cat([functional.pad(tensor, _padding(tensor, shape)) for tensor in tensors])


def _padding(tensor: Tensor, shape: list[int]) -> list[int]:
    missing = [target - actual for target, actual in zip(shape, tensor.shape[1:], strict=True)]
    return [amount for size in reversed(missing) for amount in (0, size)]

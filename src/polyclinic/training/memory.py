"""How much memory a fit will need, told before it starts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import psutil
import torch
from torch import Tensor

from polyclinic.training.examples import Examples
from polyclinic.training.module import UnifiedModule

MIB = 1 << 20


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes that a fit holds at its peak, by what holds them, and what the machine has free."""

    examples: int  # arrays of all samples, without what is memory-mapped
    parameters: int  # weights, gradients and the two moments of AdamW
    activations: int  # what one training step keeps for its backward pass
    available: int

    @property
    def total(self) -> int:
        """Bytes in all."""
        return self.examples + self.parameters + self.activations

    @property
    def fits(self) -> bool:
        """Whether the machine has that much free."""
        return self.total <= self.available

    def __str__(self) -> str:
        parts = f"examples {self.examples // MIB}, parameters {self.parameters // MIB}, step {self.activations // MIB}"
        return f"{self.total // MIB} MiB needed ({parts}), {self.available // MIB} MiB free"


def estimate_memory(module: UnifiedModule, examples: Examples, rows: np.ndarray) -> MemoryEstimate:
    """Run one training step's forward pass and count the tensors it saves for the backward pass.

    The step is run without changing weights, buffers or the state of the random generator.
    """
    arrays = [array for modality in examples.arrays.values() for array in modality.values()]
    held = sum(array.nbytes for array in arrays if not _mapped(array))
    weights = sum(p.nbytes for p in module.parameters())
    trained = sum(p.nbytes for p in module.parameters() if p.requires_grad)
    labelled = examples.labelled(rows[: module.options.batch_size])
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    state = {name: tensor.clone() for name, tensor in module.model.state_dict().items()}
    with torch.random.fork_rng(devices=[]), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        module.train()
        module.training_step(labelled, 0)
    module.model.load_state_dict(state)
    return MemoryEstimate(held, weights + 3 * trained, sum(saved.values()), psutil.virtual_memory().available)


def _mapped(array: np.ndarray) -> bool:
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base  # type: ignore[assignment]
    return False

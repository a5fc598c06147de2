"""Estimate the memory of a fit before it starts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polyclinic.compute.memory import MIB
from polyclinic.models.classical import Design
from polyclinic.training.data.dataset import Examples
from polyclinic.training.network.lightning_module import UnifiedModule

CELL_HELD = 4
"""Bytes of a number in a design's matrix; all matrices are held while classical models are fitted."""
CELL_FITTED = 32
"""Bytes of a number in the copies that a linear model makes of its matrix (two of float32, three of float64); boosting
makes nearly as many, other trees fewer."""


WORKER = 450 * MIB
"""Bytes of a worker process before its first fit: the libraries."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes that a fit needs in addition to its examples, and the bytes available.

    Members are fitted one by one in this process, or side by side in workers, which map one copy of their data into
    memory. Any fit may run beside any other, so the largest counts for each.
    """

    examples: int  # arrays of all samples, already held; memory-mapped ones are not counted
    parameters: int  # weights, gradients and the two moments of AdamW
    activations: int  # what one training step keeps for its backward pass
    matrices: int  # of all designs
    classical: int  # the copies of the largest matrix that a fit makes; without the fitted trees
    available: int
    jobs: int = 1  # processes that are asked for
    on_nodes: bool = False  # whether members are fitted on other machines; then this one only holds what they share

    @property
    def network(self) -> int:
        """Bytes that the fit of a network needs."""
        return self.parameters + self.activations

    @property
    def workers(self) -> int:
        """The number of processes for which there is memory, of those asked for; at least one."""
        return max(1, min(self.jobs, (self.available - self.needed_by(0)) // self.of_worker))

    @property
    def needed(self) -> int:
        """Bytes in all on this machine, in addition to the examples."""
        return self.needed_by(0 if self.on_nodes else self.workers)

    def needed_by(self, workers: int) -> int:
        """Return the bytes that fits in so many processes need; one is this process itself."""
        if workers == 1:
            return self.matrices + self._largest
        shared = self.matrices + self.examples
        return self.matrices + shared + workers * self.of_worker

    @property
    def _largest(self) -> int:
        return max(self.network, self.classical)

    @property
    def of_worker(self) -> int:
        """Bytes that one process of several needs, in addition to what they share."""
        return WORKER + self._largest

    @property
    def fits(self) -> bool:
        """Whether enough memory is available."""
        return self.needed <= self.available

    @property
    def remedy(self) -> str:
        """How to reduce the need."""
        if self.network > self.classical:
            return "lower network.batch_size or network.width, or leave out inputs"
        return "leave out inputs or some of the classical models"

    def __str__(self) -> str:
        step = f"parameters {self.parameters // MIB}, step {self.activations // MIB}"
        parts = f"network {self.network // MIB}: {step}; classical models {self.classical // MIB}"
        parts += f"; their matrices {self.matrices // MIB}"
        if self.on_nodes:
            parts += f"; for each task on the nodes {self.of_worker // MIB}"
        elif self.jobs > 1:
            fewer = f" of {self.jobs}, for want of memory" if self.workers < self.jobs else ""
            parts += f"; up to {self.workers} process{'es' if self.workers > 1 else ''}{fewer}"
        examples = f"plus {self.examples // MIB} MiB of examples"
        return f"{self.needed // MIB} MiB needed {examples} ({parts}), {self.available // MIB} MiB free"


def held_bytes(examples: Examples) -> int:
    """Count the bytes of the arrays of all samples, except memory-mapped ones."""
    return sum(_bytes(array) for arrays in examples.arrays.values() for array in arrays.values())


def step_bytes(module: UnifiedModule, examples: Examples, rows: np.ndarray) -> tuple[int, int]:
    """Return the bytes of the parameters, and of what one training step on the first rows saves for its backward pass.

    The step leaves weights, buffers and the state of the random generator unchanged.
    """
    weights = sum(p.nbytes for p in module.parameters())
    trained = sum(p.nbytes for p in module.parameters() if p.requires_grad)
    labelled = examples.labelled(rows[: module.options.batch_size])
    saved: dict[int, int] = {}

    def record(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor.detach()  # the tensor itself would form a reference cycle with the graph

    state = {name: tensor.clone() for name, tensor in module.model.state_dict().items()}
    with torch.random.fork_rng(devices=[]), torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
        module.train()
        module.training_step(labelled, 0)
    module.model.load_state_dict(state)
    return weights + 3 * trained, sum(saved.values())


def matrices_bytes(designs: Iterable[Design], samples: int) -> int:
    """Return the bytes of the matrices of all distinct designs."""
    return (
        samples * CELL_HELD * sum(len(design.columns) for design in {id(design): design for design in designs}.values())
    )


def copies_bytes(designs: Iterable[Design], samples: int) -> int:
    """Return the bytes of the copies that a fit makes of the largest matrix."""
    return samples * CELL_FITTED * max((len(design.columns) for design in designs), default=0)


def _bytes(array: Any) -> int:
    if hasattr(array, "indptr"):  # sparse
        return int(array.data.nbytes + array.indices.nbytes + array.indptr.nbytes)
    return 0 if _mapped(array) else int(array.nbytes)


def _mapped(array: np.ndarray) -> bool:
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base  # type: ignore[assignment]
    return False

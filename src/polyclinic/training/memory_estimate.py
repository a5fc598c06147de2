"""Estimate the memory of a fit before it starts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import torch
from torch import Tensor

from polyclinic.models.classical import Design
from polyclinic.training.data.dataset import Examples
from polyclinic.training.network.lightning_module import UnifiedModule

MIB = 1 << 20
CELL_HELD = 4
"""Bytes of a number in a design's matrix; all matrices are held while classical models are fitted."""
CELL_FITTED = 32
"""Bytes of a number in the copies that a linear model makes of its matrix (two of float32, three of float64); boosting
makes nearly as many, other trees fewer."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes that a fit needs in addition to its examples, and the bytes available.

    The network is fitted before the classical models, so the larger of the two counts.
    """

    examples: int  # arrays of all samples, already held; memory-mapped ones are not counted
    parameters: int  # weights, gradients and the two moments of AdamW
    activations: int  # what one training step keeps for its backward pass
    classical: int  # matrices of all designs, and a fit's copies of the largest; without the fitted trees
    available: int

    @property
    def network(self) -> int:
        """Bytes that the network needs."""
        return self.parameters + self.activations

    @property
    def needed(self) -> int:
        """Bytes in all, in addition to the examples."""
        return max(self.network, self.classical)

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


def classical_bytes(designs: Iterable[Design], samples: int) -> int:
    """Return the bytes of the matrices of all distinct designs, and of the copies made in the largest fit."""
    columns = [len(design.columns) for design in {id(design): design for design in designs}.values()]
    return samples * (CELL_HELD * sum(columns) + CELL_FITTED * max(columns, default=0))


class Controller(NamedTuple):
    """File names of a version of Linux control groups: limit, use, and the keys of reclaimable file cache."""

    mount: str
    limit: str
    used: str
    cache: tuple[str, str]


VERSION_1 = Controller(
    "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")
)
VERSION_2 = Controller("", "memory.max", "memory.current", ("inactive_file", "active_file"))
"""https://docs.kernel.org/admin-guide/cgroup-v2.html#memory"""


def free_bytes(membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the bytes available on the machine and in the container or job of this process, whichever is less.

    `membership` lists the control groups of the process, found under `root`; there are none outside Linux.
    """
    in_groups = (_available(group, controller) for group, controller in _groups(membership, root))
    machine: int = psutil.virtual_memory().available
    return min([machine, *(available for available in in_groups if available is not None)])


def _groups(membership: Path, root: Path) -> Iterator[tuple[Path, Controller]]:
    """Yield the groups that count this process's memory, from its own up to the root."""
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        controller = VERSION_2 if not controllers else VERSION_1 if "memory" in controllers.split(",") else None
        if controller is not None:
            mount = root / controller.mount
            group = mount / path.strip("/")
            yield from (
                (ancestor, controller) for ancestor in (group, *group.parents) if ancestor.is_relative_to(mount)
            )


def _available(group: Path, controller: Controller) -> int | None:
    """Return the bytes that a group still allows; None where it has no limit or cannot be read."""
    try:
        limit, used = ((group / name).read_text(encoding="ascii").strip() for name in controller[1:3])
        counts = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
    except (OSError, ValueError):
        return None
    cache = sum(int(counts.get(name, 0)) for name in controller.cache)
    return None if limit == "max" else max(0, int(limit) - int(used) + cache)


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

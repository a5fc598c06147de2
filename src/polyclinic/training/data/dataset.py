"""The examples that a network is fitted to, and batches of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polyclinic.features import Arrays
from polyclinic.models import Batch
from polyclinic.tasks import Targets


class Labelled(NamedTuple):
    """A batch with its targets; values that are not observed are undefined."""

    batch: Batch
    values: dict[str, Float[Tensor, "batch number"]]
    observed: dict[str, Bool[Tensor, " batch"]]

    def to(self, device: str) -> Labelled:
        """Move all tensors to a device."""
        values, observed = (
            {task: tensor.to(device) for task, tensor in tensors.items()} for tensors in (self.values, self.observed)
        )
        return Labelled(self.batch.to(device), values, observed)


@dataclass(frozen=True)
class Examples:
    """The samples of a study, in memory (outputs of frozen encoders stay memory-mapped)."""

    arrays: Mapping[str, Arrays]  # by modality
    targets: Mapping[str, Targets]  # by task
    subjects: np.ndarray  # int64 [sample]

    def __len__(self) -> int:
        return len(self.subjects)

    def labelled(self, rows: np.ndarray) -> Labelled:
        """Return the samples in `rows` as tensors."""
        return Labelled(
            Batch.from_arrays(self.arrays, rows),
            {task: torch.from_numpy(target.values[rows]).float() for task, target in self.targets.items()},
            {task: torch.from_numpy(target.observed[rows]) for task, target in self.targets.items()},
        )


class Batches:
    """Iterates over rows of the examples in batches; the order of each epoch depends only on (seed, epoch).

    No data loader with worker processes is needed: everything is in memory or memory-mapped. When shuffled, a last
    batch of a single sample is left out, since batch norm needs two.
    """

    def __init__(self, examples: Examples, rows: np.ndarray, size: int, *, shuffle_seed: int | None = None) -> None:
        self.examples = examples
        self.rows = rows
        self.size = size
        self.shuffle_seed = shuffle_seed
        self.epoch = 0

    def __len__(self) -> int:
        full, rest = divmod(len(self.rows), self.size)
        return full + (rest > (self.shuffle_seed is not None and full > 0))

    def __iter__(self) -> Iterator[Labelled]:
        rows = self.rows
        if self.shuffle_seed is not None:
            rows = np.random.default_rng([self.shuffle_seed, self.epoch]).permutation(rows)
        for number in range(len(self)):
            yield self.examples.labelled(rows[number * self.size : (number + 1) * self.size])

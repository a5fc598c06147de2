"""Series as differentiable inputs: values of triplets, values on a grid."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polyclinic.explain.inputs.base import DifferentiableInput
from polyclinic.explain.inputs.baseline import Baseline
from polyclinic.features import Arrays


class TripletInput(DifferentiableInput):
    """A series as triplets: their values, with their times and codes fixed."""

    def __init__(self, arrays: Arrays, baseline: Baseline, codes: int) -> None:
        self.code = torch.from_numpy(np.asarray(arrays["triplet_code"][0]))
        there = self.code != 0
        self.code = self.code[there]
        self.time = torch.from_numpy(np.asarray(arrays["triplet_time"][0]))[there]
        self.end = torch.from_numpy(np.asarray(arrays["triplet_value"][0]))[there]
        self.start = baseline.series(codes)[self.code - 1]

    def tensors(self, x: Float[Tensor, "step triplet"]) -> dict[str, Tensor]:
        """Give `triplet_time`, `triplet_code` and `triplet_value`."""
        steps = len(x)
        return {
            "triplet_time": self.time.expand(steps, -1),
            "triplet_code": self.code.expand(steps, -1),
            "triplet_value": x,
        }


class GridInput(DifferentiableInput):
    """A series on a grid: the values of the bins with measurements, with their places fixed."""

    def __init__(self, arrays: Arrays, baseline: Baseline, codes: int) -> None:
        self.mask = torch.from_numpy(np.asarray(arrays["grid_mask"][0]))
        self.since = torch.from_numpy(np.asarray(arrays["grid_since"][0]))
        self.end = torch.from_numpy(np.asarray(arrays["grid_value"][0]))[self.mask]
        self.start = baseline.series(codes)[self.mask.nonzero()[:, 1]]

    def tensors(self, x: Float[Tensor, "step cell"]) -> dict[str, Tensor]:
        """Give `grid_value`, `grid_mask` and `grid_since`."""
        mask = self.mask.expand(len(x), -1, -1)
        return {
            "grid_value": x.new_zeros(mask.shape).masked_scatter(mask, x),
            "grid_mask": mask,
            "grid_since": self.since.expand(len(x), -1, -1),
        }

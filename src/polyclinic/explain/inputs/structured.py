"""Structured features as differentiable inputs."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polyclinic.explain.inputs.base import DifferentiableInput
from polyclinic.explain.inputs.baseline import Baseline
from polyclinic.features import Arrays


class FeatureInput(DifferentiableInput):
    """Structured features: the values of those known."""

    def __init__(self, arrays: Arrays, baseline: Baseline) -> None:
        self.known = torch.from_numpy(np.asarray(arrays["known"][0]))
        values = torch.from_numpy(np.asarray(arrays["values"][0]))
        self.end = values[self.known]
        self.start = baseline.structured(values)[self.known]

    def tensors(self, x: Float[Tensor, "step known"]) -> dict[str, Tensor]:
        """Give `values` and `known`."""
        known = self.known.expand(len(x), -1)
        values = x.new_zeros(known.shape).masked_scatter(known, x)
        return {"values": values, "known": known}

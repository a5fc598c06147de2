"""One sample with parts of its inputs removed, and what the networks then predict."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Self

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polyclinic.explain.inputs.base import DifferentiableInput, Units
from polyclinic.explain.inputs.baseline import ZERO, Baseline
from polyclinic.explain.inputs.logit_function import LogitFunction
from polyclinic.explain.sample import Output, Sample
from polyclinic.models.network.batch import Batch
from polyclinic.models.network.unified import UnifiedModel

AT_ONCE = 16
"""Batch size: versions of a sample."""


class PerturbedSample:
    """One output of one sample: its logit function F, its units by modality, and F with some units removed."""

    def __init__(self, networks: list[UnifiedModel], sample: Sample, output: Output, usual: Baseline) -> None:
        self.function = LogitFunction(networks, sample, output, ZERO)
        self.usual = usual
        self.shown = self._shown()
        self.units = {name: input_.units(sample) for name, input_ in self.function.inputs.items()}
        with torch.no_grad():
            self.whole = {name: input_.tensors(input_.end[None]) for name, input_ in self.function.inputs.items()}

    def with_networks(self, networks: list[UnifiedModel]) -> Self:
        """Return the same sample with other networks."""
        other = copy(self)
        other.function, other.shown = copy(self.function), copy(self.shown)
        other.function.networks = other.shown.networks = networks
        return other

    def _shown(self) -> LogitFunction:
        """Return the displayed function: the same with the usual baseline."""
        function = copy(self.function)
        function.inputs = {name: input_.from_usual(self.usual) for name, input_ in self.function.inputs.items()}
        return function

    def shifted(self, inputs: Mapping[str, DifferentiableInput]) -> Self:
        """Return the sample with other inputs and the same units."""
        other = copy(self)
        other.function = copy(self.function)
        other.function.inputs = dict(inputs)
        other.units = {name: copy(units) for name, units in self.units.items()}
        for name, units in other.units.items():
            units.input_ = inputs[name]
        other.shown = other._shown()
        with torch.no_grad():
            other.whole = {name: input_.tensors(input_.end[None]) for name, input_ in inputs.items()}
        return other

    def batch(self, inputs: Mapping[str, Mapping[str, Tensor]], present: Mapping[str, Tensor]) -> Batch:
        """Return the input of the encoders with other tensors for some modalities, and some absent."""
        steps = len(next(iter(next(iter(inputs.values())).values()))) if inputs else 1
        fixed = {
            name: {key: one.expand(steps, *one.shape[1:]) for key, one in whole.items()}
            for name, whole in self.whole.items()
        }
        tensors = fixed | {name: dict(replaced) for name, replaced in inputs.items()}
        everywhere = torch.ones(steps, dtype=torch.bool)
        return Batch(tensors, torch.stack([present.get(name, everywhere) for name in tensors], dim=1))

    def logit_of(self, network: UnifiedModel, batch: Batch) -> Float[Tensor, " step"]:
        """Return the logit of one network, with unmodified words."""
        return self.function.logit_of(network, dict.fromkeys(self.function.inputs, torch.ones(1, 1)), batch)

    def mean_logit(self, batch: Batch) -> Float[Tensor, " step"]:
        """Return F, the mean logit of the networks."""
        return torch.stack([self.logit_of(network, batch) for network in self.function.networks]).mean(dim=0)

    @torch.no_grad()
    def without(self, modality: str, kept: Bool[np.ndarray, "step unit"], units: Units | None = None) -> np.ndarray:
        """Return F [step] with only some units of one modality kept, and the other modalities complete."""
        units = units or self.units[modality]
        parts = [
            self.mean_logit(self.batch({modality: units.tensors(some)}, {modality: units.present(some)}))
            for some in torch.split(torch.from_numpy(kept), AT_ONCE)
        ]
        return torch.cat(parts).double().numpy()

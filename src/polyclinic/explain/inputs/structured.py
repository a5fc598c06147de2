"""Structured features as differentiable inputs."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polyclinic.explain.attribution import (
    StructuredAttribution,
)
from polyclinic.explain.inputs.base import DifferentiableInput, ModalityExplanation, Scores
from polyclinic.explain.inputs.baseline import Baseline
from polyclinic.explain.sample import Sample
from polyclinic.features import Arrays, StructuredFeaturizer
from polyclinic.models.network.encoders import Encoder


class FeatureInput(DifferentiableInput):
    """Values of the known structured features."""

    def __init__(self, arrays: Arrays, baseline: Baseline) -> None:
        self.known = torch.from_numpy(np.asarray(arrays["known"][0]))
        values = torch.from_numpy(np.asarray(arrays["values"][0]))
        self.end = values[self.known]
        self.start = baseline.structured(values)[self.known]

    def tensors(self, x: Float[Tensor, "step known"]) -> dict[str, Tensor]:
        """Return `values` and `known`."""
        known = self.known.expand(len(x), -1)
        values = x.new_zeros(known.shape).masked_scatter(known, x)
        return {"values": values, "known": known}


class StructuredExplanation(ModalityExplanation):
    """See `ModalityExplanation`."""

    def input_of(self, sample: Sample, baseline: Baseline, encoder: Encoder) -> DifferentiableInput:  # noqa: ARG002
        """Return the values of the known features."""
        return FeatureInput(sample.arrays["structured"], baseline)

    def attribution(self, sample: Sample, input_: DifferentiableInput, scores: Scores) -> StructuredAttribution:
        """Return the scores of all features; 0 for unknown ones."""
        featurizer = sample.features.featurizers["structured"]
        assert isinstance(input_, FeatureInput)
        assert isinstance(featurizer, StructuredFeaturizer)
        spread = np.zeros(len(input_.known))
        spread[input_.known.numpy()] = scores.double().numpy()
        columns = featurizer.layout.columns
        values = np.array(sample.arrays["structured"]["raw"][0], dtype=np.float64)
        return StructuredAttribution(
            tuple(column.name for column in columns), tuple(column.code for column in columns), values, spread
        )


EXPLANATION = StructuredExplanation()

"""Series as differentiable inputs: values of triplets, or of a grid."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polyclinic.explain.attribution import (
    Measurement,
    SeriesAttribution,
)
from polyclinic.explain.inputs.base import DifferentiableInput, ModalityExplanation, Scores
from polyclinic.explain.inputs.baseline import Baseline
from polyclinic.explain.sample import Sample
from polyclinic.features import Arrays, SeriesFeaturizer
from polyclinic.features.measurements import measure
from polyclinic.features.scaling import QuantileScale, RobustScale
from polyclinic.models.network.encoders import Encoder


class TripletInput(DifferentiableInput):
    """Values of triplets, with fixed times and codes."""

    def __init__(self, arrays: Arrays, baseline: Baseline, codes: int) -> None:
        self.code = torch.from_numpy(np.asarray(arrays["triplet_code"][0]))
        there = self.code != 0
        self.code = self.code[there]
        self.time = torch.from_numpy(np.asarray(arrays["triplet_time"][0]))[there]
        self.end = torch.from_numpy(np.asarray(arrays["triplet_value"][0]))[there]
        self.start = baseline.series(codes)[self.code - 1]

    def tensors(self, x: Float[Tensor, "step triplet"]) -> dict[str, Tensor]:
        """Return `triplet_time`, `triplet_code` and `triplet_value`."""
        steps = len(x)
        return {
            "triplet_time": self.time.expand(steps, -1),
            "triplet_code": self.code.expand(steps, -1),
            "triplet_value": x,
        }


class GridInput(DifferentiableInput):
    """Values of the grid's bins with measurements, with fixed positions."""

    def __init__(self, arrays: Arrays, baseline: Baseline, codes: int) -> None:
        self.mask = torch.from_numpy(np.asarray(arrays["grid_mask"][0]))
        self.since = torch.from_numpy(np.asarray(arrays["grid_since"][0]))
        self.end = torch.from_numpy(np.asarray(arrays["grid_value"][0]))[self.mask]
        self.start = baseline.series(codes)[self.mask.nonzero()[:, 1]]

    def tensors(self, x: Float[Tensor, "step cell"]) -> dict[str, Tensor]:
        """Return `grid_value`, `grid_mask` and `grid_since`."""
        mask = self.mask.expand(len(x), -1, -1)
        return {
            "grid_value": x.new_zeros(mask.shape).masked_scatter(mask, x),
            "grid_mask": mask,
            "grid_since": self.since.expand(len(x), -1, -1),
        }


class _Recorded(NamedTuple):
    code: str
    hours: float
    value: float


def _of_triplets(featurizer: SeriesFeaturizer, sample: Sample, input_: DifferentiableInput) -> list[_Recorded]:
    """Return the measurements in the order of the triplets: oldest first, then by code."""
    assert isinstance(input_, TripletInput)
    events = measure(sample.known, sample.frame, featurizer.codes)
    events = events.where(~np.isnan(events.hours))
    events = events.where(np.lexsort((events.code, -events.hours))[-len(input_.code) :])
    rows = zip(events.code.tolist(), events.hours.tolist(), events.value.tolist(), strict=True)
    return [_Recorded(featurizer.codes[code], hours, value) for code, hours, value in rows]


def _of_grid(featurizer: SeriesFeaturizer, input_: GridInput) -> list[_Recorded]:
    """Return the bins with measurements, oldest first, timed at their end."""
    fitted = featurizer.fitted
    places = input_.mask.nonzero().tolist()
    return [
        _Recorded(
            fitted.codes[code], (fitted.bins - 1 - step) * fitted.bin_hours, _unscaled(fitted.scales[code], value)
        )
        for (step, code), value in zip(places, input_.end.tolist(), strict=True)
    ]


def _unscaled(scale: RobustScale | QuantileScale, value: float) -> float:
    if isinstance(scale, RobustScale):
        return value * scale.spread + scale.centre
    return float(np.interp(value, scale.ranks, scale.points))


class SeriesExplanation(ModalityExplanation):
    """See `ModalityExplanation`."""

    def input_of(self, sample: Sample, baseline: Baseline, encoder: Encoder) -> DifferentiableInput:
        """Return the values of triplets, or of a grid."""
        codes = len(sample.features.featurizers["series"].codes)  # type: ignore[attr-defined]
        input_ = GridInput if "grid_value" in encoder.reads else TripletInput
        return input_(sample.arrays["series"], baseline, codes)

    def attribution(self, sample: Sample, input_: DifferentiableInput, scores: Scores) -> SeriesAttribution:
        """Return the scores of the measurements, or of the bins of a grid with their mean values."""
        featurizer = sample.features.featurizers["series"]
        assert isinstance(featurizer, SeriesFeaturizer)
        found = (
            _of_grid(featurizer, input_) if isinstance(input_, GridInput) else _of_triplets(featurizer, sample, input_)
        )
        return SeriesAttribution(
            tuple(Measurement(*one, score) for one, score in zip(found, scores.tolist(), strict=True))
        )


EXPLANATION = SeriesExplanation()

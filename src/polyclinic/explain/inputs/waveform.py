"""Electrocardiograms as differentiable inputs: the samples of their traces."""

from __future__ import annotations

from copy import copy
from typing import Self

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from polyclinic.explain.attribution import EcgAttribution, WaveformAttribution
from polyclinic.explain.inputs.base import (
    VALUE_NOISE,
    DifferentiableInput,
    Kept,
    ModalityExplanation,
    Scores,
    Units,
)
from polyclinic.explain.inputs.baseline import Baseline
from polyclinic.explain.sample import Sample
from polyclinic.features import Arrays
from polyclinic.features.waveform.featurizer import WaveformFeaturizer
from polyclinic.features.waveform.leads import LEADS
from polyclinic.models.network.encoders import Encoder

WINDOW_MS = 200
"""Length of a unit that can be removed."""


class WaveformInput(DifferentiableInput):
    """The normalised traces of the recordings, `[record, lead, time]`; the path begins at flat lines.

    Scales, ages and masks are fixed: normalisation is a step of the features, so that the path from a flat line to the
    trace is one of growing amplitude.
    """

    def __init__(self, arrays: Arrays, sampling_hz: float) -> None:
        self.window = max(1, round(WINDOW_MS * sampling_hz / 1000))  # samples of a unit
        row = {name: np.asarray(array[0]) for name, array in arrays.items()}
        self.records = np.flatnonzero(row["valid"].any(axis=(1, 2)))
        self.names = [str(name) for name in row["blob"][self.records]]
        fixed = ("valid", "log_scale", "age_hours", "age_known")
        self.fixed = {name: torch.from_numpy(row[name][self.records]) for name in fixed}
        self.end = torch.from_numpy(row["signal"][self.records].astype(np.float32))
        self.start = torch.zeros_like(self.end)

    def units(self, sample: Sample) -> SegmentUnits:  # noqa: ARG002
        """Return windows of each lead."""
        return SegmentUnits(self)

    def noisy(self, generator: torch.Generator) -> Self:
        """Return noisy traces; what was not recorded stays 0."""
        other, noise = copy(self), torch.randn(self.end.shape, generator=generator)
        other.end = torch.where(self.fixed["valid"], self.end + VALUE_NOISE * noise, self.end)
        return other

    def tensors(self, x: Float[Tensor, "step record lead time"]) -> dict[str, Tensor]:
        """Return what a waveform encoder reads."""
        return {"signal": x, **{name: value.expand(len(x), *value.shape) for name, value in self.fixed.items()}}


class SegmentUnits(Units):
    """Windows of `WINDOW_MS` of each lead; those where nothing was recorded are none."""

    def __init__(self, input_: WaveformInput) -> None:
        super().__init__(input_)
        records, leads, time = input_.end.shape
        windows = -(-time // input_.window)
        place = np.arange(time) // input_.window
        grid = place + windows * (np.arange(leads)[:, None] + leads * np.arange(records)[:, None, None])
        inside = np.bincount(grid.ravel(), input_.fixed["valid"].numpy().ravel(), records * leads * windows) > 0
        number = np.where(inside, np.cumsum(inside) - 1, -1)
        self.grid = torch.from_numpy(number[grid])
        self.owner, self.count = self.grid.numpy().ravel(), int(inside.sum())

    def tensors(self, kept: Kept) -> dict[str, Tensor]:
        """Return the encoder input with flat lines in place of the windows removed."""
        shown = functional.pad(kept, (0, 1), value=True)[:, self.grid]
        return self.input_.tensors(torch.where(shown, self.input_.end, self.input_.start))


class WaveformExplanation(ModalityExplanation):
    """See `ModalityExplanation`."""

    def input_of(self, sample: Sample, baseline: Baseline, encoder: Encoder) -> WaveformInput:  # noqa: ARG002
        """Return the traces; whatever the baseline, the path begins at flat lines."""
        return WaveformInput(sample.arrays["waveform"], _featurizer(sample).options.sampling_hz)

    def attribution(self, sample: Sample, input_: DifferentiableInput, scores: Scores) -> WaveformAttribution:
        """Return the attribution of each recording, with its trace in millivolts."""
        assert isinstance(input_, WaveformInput)
        return WaveformAttribution(waveform_parts(input_, scores, _featurizer(sample).options.sampling_hz))


def _featurizer(sample: Sample) -> WaveformFeaturizer:
    featurizer = sample.features.featurizers["waveform"]
    assert isinstance(featurizer, WaveformFeaturizer)
    return featurizer


def waveform_parts(
    input_: WaveformInput, scores: Float[Tensor, "record lead time"], sampling_hz: float
) -> tuple[EcgAttribution, ...]:
    """Return the attribution of each recording, with its trace in millivolts."""
    valid = input_.fixed["valid"].numpy()
    millivolts = (input_.end * input_.fixed["log_scale"].exp()[..., None]).numpy()
    traces = np.where(valid, millivolts, np.nan)
    hours = np.where(input_.fixed["age_known"], input_.fixed["age_hours"], np.nan)
    return tuple(
        EcgAttribution(
            blob=name,
            hours=float(hours[record]),
            sampling_hz=sampling_hz,
            leads=tuple(LEADS[lead] for lead in np.flatnonzero(valid[record].any(axis=1))),
            trace=traces[record][valid[record].any(axis=1)],
            scores=scores[record].numpy()[valid[record].any(axis=1)],
        )
        for record, name in enumerate(input_.names)
    )


EXPLANATION = WaveformExplanation()

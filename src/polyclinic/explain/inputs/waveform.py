"""Electrocardiograms as differentiable inputs: the samples of their traces."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polyclinic.explain.attribution import EcgAttribution
from polyclinic.explain.inputs.base import DifferentiableInput
from polyclinic.features import Arrays
from polyclinic.features.waveform.leads import LEADS


class WaveformInput(DifferentiableInput):
    """The normalised traces of the recordings, `[record, lead, time]`; the path begins at flat lines.

    Scales, ages and masks are fixed: normalisation is a step of the features, so that the path from a flat line to the
    trace is one of growing amplitude.
    """

    def __init__(self, arrays: Arrays) -> None:
        row = {name: np.asarray(array[0]) for name, array in arrays.items()}
        self.records = np.flatnonzero(row["valid"].any(axis=(1, 2)))
        self.names = [str(name) for name in row["blob"][self.records]]
        fixed = ("valid", "log_scale", "age_hours", "age_known")
        self.fixed = {name: torch.from_numpy(row[name][self.records]) for name in fixed}
        self.end = torch.from_numpy(row["signal"][self.records].astype(np.float32))
        self.start = torch.zeros_like(self.end)

    def tensors(self, x: Float[Tensor, "step record lead time"]) -> dict[str, Tensor]:
        """Return what a waveform encoder reads."""
        return {"signal": x, **{name: value.expand(len(x), *value.shape) for name, value in self.fixed.items()}}


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

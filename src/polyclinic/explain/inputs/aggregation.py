"""Scores of the numbers of a stem → scores of what a clinician knows: features, measurements, words, pixels."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from polyclinic.explain.attribution import (
    Canvas,
    Measurement,
    NoteAttribution,
    PictureAttribution,
    SeriesAttribution,
    StructuredAttribution,
    WordScore,
)
from polyclinic.explain.inputs.base import DifferentiableInput
from polyclinic.explain.inputs.image import FeatureMapInput, PixelInput
from polyclinic.explain.inputs.note import SentenceInput, WordInput
from polyclinic.explain.inputs.series import GridInput, TripletInput
from polyclinic.explain.inputs.structured import FeatureInput
from polyclinic.explain.sample import Sample
from polyclinic.features import ImageFeaturizer, SeriesFeaturizer, StructuredFeaturizer
from polyclinic.features.image.preprocessing import place
from polyclinic.features.measurements import measure
from polyclinic.features.scaling import QuantileScale, RobustScale

Scores = Float[Tensor, "..."]
"""A score for each number of a stem, in its shape."""


def attributed(
    sample: Sample, inputs: Mapping[str, DifferentiableInput], scores: Mapping[str, Scores]
) -> dict[str, Any]:
    """Give the parts of an `Attribution` by their names; a modality without a stem is not among them."""
    makers = {"structured": structured_part, "series": series_part, "note": note_part, "image": picture_parts}
    names = {"image": "pictures"}
    return {
        names.get(modality, modality): makers[modality](sample, input_, scores[modality].detach())
        for modality, input_ in inputs.items()
    }


def structured_part(sample: Sample, input_: DifferentiableInput, scores: Scores) -> StructuredAttribution:
    """Put the scores of known features among all."""
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


def series_part(sample: Sample, input_: DifferentiableInput, scores: Scores) -> SeriesAttribution:
    """Name the measurements behind triplets, or behind the bins of a grid, whose value then is their mean."""
    featurizer = sample.features.featurizers["series"]
    assert isinstance(featurizer, SeriesFeaturizer)
    found = _of_grid(featurizer, input_) if isinstance(input_, GridInput) else _of_triplets(featurizer, sample, input_)
    return SeriesAttribution(tuple(Measurement(*one, score) for one, score in zip(found, scores.tolist(), strict=True)))


class _Recorded(NamedTuple):
    code: str
    hours: float
    value: float


def _of_triplets(featurizer: SeriesFeaturizer, sample: Sample, input_: DifferentiableInput) -> list[_Recorded]:
    """Give what was recorded, in the order of the triplets: oldest first, then by code."""
    assert isinstance(input_, TripletInput)
    events = measure(sample.known, sample.frame, featurizer.codes)
    events = events.where(~np.isnan(events.hours))
    events = events.where(np.lexsort((events.code, -events.hours))[-len(input_.code) :])
    rows = zip(events.code.tolist(), events.hours.tolist(), events.value.tolist(), strict=True)
    return [_Recorded(featurizer.codes[code], hours, value) for code, hours, value in rows]


def _of_grid(featurizer: SeriesFeaturizer, input_: GridInput) -> list[_Recorded]:
    """Give the bins with measurements, the oldest first; their time is that of their end."""
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


def note_part(sample: Sample, input_: DifferentiableInput, scores: Scores) -> NoteAttribution:
    """Add the scores of the pieces of each word up, and say where it stands."""
    assert isinstance(input_, SentenceInput | WordInput)
    layout = sample.note_layout
    of_words, marks = np.zeros(len(input_.words)), 0.0
    owners = range(len(input_.words)) if isinstance(input_, WordInput) else [span.word for span in input_.spans]
    for owner, score in zip(owners, scores.tolist(), strict=True):
        if owner is None:
            marks += score
        else:
            of_words[owner] += score
    return NoteAttribution(
        tuple(
            WordScore(
                layout.notes[word.note].text[word.start : word.end],
                layout.section(word),
                word.note,
                word.start,
                word.end,
                float(score),
                layout.is_denied(word),
            )
            for word, score in zip(input_.words, of_words, strict=True)
        ),
        marks,
    )


def picture_parts(sample: Sample, input_: DifferentiableInput, scores: Scores) -> tuple[PictureAttribution, ...]:
    """Give each picture its own map, and say how it lies on the canvas."""
    featurizer = sample.features.featurizers["image"]
    assert isinstance(input_, PixelInput | FeatureMapInput)
    assert isinstance(featurizer, ImageFeaturizer)
    views = featurizer.views
    if isinstance(input_, FeatureMapInput):
        scores = cells_spread(scores.sum(dim=2), featurizer.options.side)
    return tuple(
        PictureAttribution(blob=name, view=views[code], scores=np.array(of_picture[0], dtype=np.float32), canvas=canvas)
        for name, code, of_picture, canvas in zip(
            input_.names,
            input_.codes.tolist(),
            scores.numpy(),
            canvases(sample, featurizer, input_.names),
            strict=True,
        )
    )


def canvases(sample: Sample, featurizer: ImageFeaturizer, names: list[str]) -> list[Canvas]:
    """Say how each of some pictures lies on the canvas."""
    side, fit = featurizer.options.side, featurizer.options.fit
    found = []
    for name in names:
        with Image.open(BytesIO(sample.blobs(name).read_bytes())) as picture:
            width, height = picture.size
        found.append(Canvas(side, place(width, height, side, fit), width, height))
    return found


def cells_spread(cells: Float[Tensor, "picture cell"], side: int) -> Float[Tensor, "picture 1 side side"]:
    """Spread the scores of a map's cells, in reading order, over the canvas."""
    across = round(cells.shape[1] ** 0.5)
    return resized(cells.view(len(cells), across, across), side)


def resized(maps: Float[Tensor, "picture h w"], side: int) -> Float[Tensor, "picture 1 side side"]:
    """Spread coarse maps over the canvas, bilinearly, so that each still adds up to what it did."""
    sums = maps.sum(dim=(1, 2), keepdim=True)[:, None]
    spread = torch.nn.functional.interpolate(maps[:, None], (side, side), mode="bilinear", align_corners=False)
    total = spread.sum(dim=(2, 3), keepdim=True)
    return torch.where(total == 0, spread, spread * (sums / total))

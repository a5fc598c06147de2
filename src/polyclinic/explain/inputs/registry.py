"""Which differentiable input each modality has."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from polyclinic.explain.inputs.base import DifferentiableInput
from polyclinic.explain.inputs.baseline import Baseline
from polyclinic.explain.inputs.image import FeatureMapInput, PixelInput
from polyclinic.explain.inputs.note import SentenceInput, WordInput
from polyclinic.explain.inputs.series import GridInput, TripletInput
from polyclinic.explain.inputs.structured import FeatureInput
from polyclinic.explain.sample import Sample
from polyclinic.features import ImageFeaturizer
from polyclinic.models.network.encoders import Encoder
from polyclinic.models.network.unified import UnifiedModel


def differentiable_inputs(network: UnifiedModel, sample: Sample, baseline: Baseline) -> dict[str, DifferentiableInput]:
    """Give the stem of each modality that the sample has and the networks read."""
    present = [modality for modality in network.modalities if modality in sample.present]
    return {modality: _INPUTS[modality](sample, baseline, network.encoder(modality)) for modality in present}


def _structured(sample: Sample, baseline: Baseline, _encoder: Encoder) -> DifferentiableInput:
    return FeatureInput(sample.arrays["structured"], baseline)


def _series(sample: Sample, baseline: Baseline, encoder: Encoder) -> DifferentiableInput:
    codes = len(sample.features.featurizers["series"].codes)  # type: ignore[attr-defined]
    input_ = GridInput if "grid_value" in encoder.reads else TripletInput
    return input_(sample.arrays["series"], baseline, codes)


def _note(sample: Sample, baseline: Baseline, encoder: Encoder) -> DifferentiableInput:
    arrays, layout = sample.arrays["note"], sample.note_layout
    if "words" in encoder.reads:
        return WordInput(arrays, encoder.reads, layout, baseline)
    sections = np.asarray(arrays["sentence_section"][0])[: len(layout.sentences)]
    return SentenceInput(layout, sections, baseline)


def _image(sample: Sample, baseline: Baseline, encoder: Encoder) -> DifferentiableInput:
    featurizer = sample.features.featurizers["image"]
    assert isinstance(featurizer, ImageFeaturizer)
    if baseline.map is not None and "tokens" in encoder.reads:
        return FeatureMapInput.of(sample.arrays["image"], baseline.map)
    return PixelInput(sample, featurizer, baseline, encoder)


_INPUTS: Mapping[str, Callable[[Sample, Baseline, Encoder], DifferentiableInput]] = {
    "structured": _structured,
    "series": _series,
    "note": _note,
    "image": _image,
}

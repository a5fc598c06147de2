"""Which differentiable input each modality has."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from polyclinic.explain.inputs.base import Stem
from polyclinic.explain.inputs.baseline import Baseline
from polyclinic.explain.inputs.image import MapStem, PictureStem
from polyclinic.explain.inputs.note import SentenceStem, WordStem
from polyclinic.explain.inputs.series import GridStem, TripletStem
from polyclinic.explain.inputs.structured import FeatureStem
from polyclinic.explain.sample import Sample
from polyclinic.features import ImageFeaturizer, NoteFeaturizer
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.network.encoders import Encoder


def stems_of(bundle: Bundle, sample: Sample, baseline: Baseline) -> dict[str, Stem]:
    """Give the stem of each modality that the sample has and the networks read."""
    network = bundle.ensemble.networks[0]
    present = [modality for modality in network.modalities if modality in sample.present]
    return {modality: _STEMS[modality](bundle, sample, baseline, network.encoder(modality)) for modality in present}


def _structured(_bundle: Bundle, sample: Sample, baseline: Baseline, _encoder: Encoder) -> Stem:
    return FeatureStem(sample.arrays["structured"], baseline)


def _series(bundle: Bundle, sample: Sample, baseline: Baseline, encoder: Encoder) -> Stem:
    codes = len(bundle.features.featurizers["series"].codes)  # type: ignore[attr-defined]
    stem = GridStem if "grid_value" in encoder.reads else TripletStem
    return stem(sample.arrays["series"], baseline, codes)


def _note(bundle: Bundle, sample: Sample, baseline: Baseline, encoder: Encoder) -> Stem:
    featurizer, arrays = bundle.features.featurizers["note"], sample.arrays["note"]
    assert isinstance(featurizer, NoteFeaturizer)
    (layout,) = featurizer.layouts(sample.known, sample.frame)
    if "words" in encoder.reads:
        return WordStem(arrays, encoder.reads, layout, baseline)
    sections = np.asarray(arrays["sentence_section"][0])[: len(layout.sentences)]
    return SentenceStem(layout, sections, baseline)


def _image(bundle: Bundle, sample: Sample, baseline: Baseline, encoder: Encoder) -> Stem:
    featurizer = bundle.features.featurizers["image"]
    assert isinstance(featurizer, ImageFeaturizer)
    if baseline.map is not None and "tokens" in encoder.reads:
        return MapStem.of(sample.arrays["image"], baseline.map)
    return PictureStem(sample, featurizer, baseline, encoder)


_STEMS: Mapping[str, Callable[[Bundle, Sample, Baseline, Encoder], Stem]] = {
    "structured": _structured,
    "series": _series,
    "note": _note,
    "image": _image,
}

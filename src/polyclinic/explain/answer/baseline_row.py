"""The baseline of the classical members, as a row of their design matrix.

The same as that of the networks, as far as columns can hold it. Features and measurements that are known start at the
training median (or mean), and unknown ones stay unknown. A note starts without its terms, and with the mean embedding
of training; an image with the mean feature map of training; the summary of an electrocardiogram as unknown. Presence,
counts and codes are fixed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float

from polyclinic.explain.inputs.baseline import Baseline
from polyclinic.explain.sample import Sample
from polyclinic.features import Arrays, StructuredFeaturizer
from polyclinic.models.classical.design_matrix import PRESENT, Design

STARTS: Mapping[str, float] = {"note": 0.0, "image": 0.0, "waveform": np.nan}
"""By modality whose columns start at one value: no terms, the centre of the components, unknown."""


def baseline_row(design: Design, sample: Sample, baseline: Baseline) -> Float[np.ndarray, " column"]:
    """Return the row of the baseline; NaN where the row of the sample is unknown."""
    row: np.ndarray = design.matrix(_start(sample, baseline))[0]
    start = 0
    for owner, block in zip(design.owners, design.blocks, strict=True):
        end = start + block.columns
        if owner in STARTS and not block.name.endswith(PRESENT):
            row[start:end] = np.where(np.isnan(row[start:end]), np.nan, STARTS[owner])
        start = end
    return row


def _start(sample: Sample, baseline: Baseline) -> dict[str, Arrays]:
    """Return the arrays with features and measurements at their start."""
    arrays = dict(sample.arrays)
    if "structured" in arrays:
        arrays["structured"] = _features(sample, baseline)
    if "series" in arrays and "triplet_code" in arrays["series"]:
        series = arrays["series"]
        starts = baseline.series(len(sample.features.featurizers["series"].codes)).numpy()  # type: ignore[attr-defined]
        code = np.asarray(series["triplet_code"])
        starts = np.concatenate([np.zeros(1), starts])
        arrays["series"] = series | {"triplet_value": np.where(code > 0, starts[code], 0).astype(np.float32)}
    return arrays


def _features(sample: Sample, baseline: Baseline) -> Arrays:
    own, featurizer = sample.arrays["structured"], sample.features.featurizers["structured"]
    assert isinstance(featurizer, StructuredFeaturizer)
    scaled = baseline.structured(torch.from_numpy(np.asarray(own["values"][0]))).numpy()[None]
    known = np.asarray(own["known"])
    values = own | {"values": np.where(known, scaled, 0).astype(np.float32)}
    if "raw" not in own:
        return values
    raw = scaled * featurizer.layout.spreads + featurizer.layout.centres
    return values | {"raw": np.where(np.isnan(np.asarray(own["raw"])), np.nan, raw).astype(np.float32)}

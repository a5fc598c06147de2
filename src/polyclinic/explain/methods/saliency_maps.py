"""Maps of images by the audited methods, as attributions, so that the map of the operating point can be displayed.

They contain no scores of other inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch

from polyclinic.explain.attribution import Attribution, PictureAttribution
from polyclinic.explain.inputs.baseline import Baseline, usual_of
from polyclinic.explain.inputs.image import EXPLANATION as IMAGE
from polyclinic.explain.methods.unit_scores import METHODS, smoothed
from polyclinic.explain.perturbation.perturbed_sample import PerturbedSample
from polyclinic.explain.sample import ExplanationError, Output, Sample, output_of
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.network.unified import UnifiedModel

MAP_GRADIENTS = "map_gradients"


class Setting(Protocol):
    """Method and smoothing of a map: an audit's `OperatingPoint`, or an assessment's `MapSetting`."""

    @property
    def method(self) -> str:
        """In `METHODS`."""

    @property
    def smoothing(self) -> float:
        """Standard deviation of the blur as a share of the map's side; 0: none."""


def saliency_map(
    bundle: Bundle,
    sample: Sample,
    task: str,
    output: str | None = None,
    *,
    method: str = MAP_GRADIENTS,
) -> Attribution:
    """Map the pixels that support an output, for each image.

    Args:
        bundle: to explain.
        sample: to explain.
        task: of the bundle.
        output: of the task; optional if there is only one.
        method: in `METHODS`.

    Raises:
        BundleError: the bundle does not answer the task.
        ExplanationError: there is no such method, output or image, or the method does not apply to the encoder.
    """
    outputs = (output_of(bundle, task, output),)
    return saliency_maps_of_each(bundle.ensemble.networks, sample, outputs, method, usual_of(bundle.reference))[0]


def saliency_maps_of_each(
    networks: list[UnifiedModel], sample: Sample, outputs: Sequence[Output], method: str, usual: Baseline
) -> tuple[Attribution, ...]:
    """Map the images for several outputs; they are read and encoded once.

    Raises:
        ExplanationError: there is no such method, no image, or the method does not apply to the image encoder.
    """
    if method not in METHODS:
        raise ExplanationError(f"unknown method {method!r}: choose from {', '.join(METHODS)}")
    perturbed = PerturbedSample(networks, sample, outputs[0], usual)
    if "image" not in perturbed.function.inputs:
        raise ExplanationError(f"there is no image to explain: the sample has {', '.join(perturbed.function.inputs)}")
    return tuple(_saliency_map(sample, _with_output(perturbed, output), method) for output in outputs)


def displayed_maps(
    bundle: Bundle, sample: Sample, found: Sequence[Attribution], setting: Setting | None
) -> tuple[tuple[PictureAttribution, ...], ...]:
    """Return the maps on which regions are searched: those of the attributions, or those chosen by an audit.

    Args:
        bundle: to explain.
        sample: to explain.
        found: attributions of the sample, by one method.
        setting: chosen by an audit, if any.
    """
    maps = [attribution.pictures for attribution in found]
    if setting is None or not all(maps):
        return tuple(maps)
    if setting.method != found[0].method:
        outputs = [output_of(bundle, one.task, one.output) for one in found]
        usual = usual_of(bundle.reference)
        networks = bundle.ensemble.networks
        others = saliency_maps_of_each(networks, sample, outputs, setting.method, usual)
        maps = [other.pictures for other in others]
    if not setting.smoothing:
        return tuple(maps)
    return tuple(tuple(blurred(picture, setting.smoothing) for picture in pictures) for pictures in maps)


def blurred(picture: PictureAttribution, smoothing: float) -> PictureAttribution:
    """Blur a map by a Gaussian with a standard deviation relative to its side."""
    scores = torch.from_numpy(picture.scores.astype(np.float64))[None]
    return replace(picture, scores=smoothed(scores, smoothing)[0].numpy().astype(np.float32))


def _saliency_map(sample: Sample, perturbed: PerturbedSample, method: str) -> Attribution:
    maps = METHODS[method](perturbed).maps
    if maps is None:
        raise ExplanationError(f"{method} does not apply to the image encoder of this bundle: use integrated_gradients")
    parts = {"image": IMAGE.attribution(sample, perturbed.function.inputs["image"], maps.detach()[:, None])}
    output = perturbed.function.output
    return Attribution(sample.subject_id, sample.prediction_time, output.task, output.name, method, None, None, parts)


def _with_output(perturbed: PerturbedSample, output: Output) -> PerturbedSample:
    """Return the same sample with another output to explain."""
    other = copy(perturbed)
    other.function, other.shown = copy(perturbed.function), copy(perturbed.shown)
    other.function.output = other.shown.output = output
    return other

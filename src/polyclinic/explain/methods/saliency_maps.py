"""Maps of pictures by the methods of an audit, as an attribution: so that one is shown for which the dial was chosen.

Such a map says where, and of the scores of other inputs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch

from polyclinic.explain.attribution import Attribution, PictureAttribution
from polyclinic.explain.inputs.aggregation import picture_parts
from polyclinic.explain.inputs.baseline import Baseline, usual_of
from polyclinic.explain.methods.unit_scores import METHODS, smoothed
from polyclinic.explain.perturbation.perturbed_sample import PerturbedSample
from polyclinic.explain.sample import ExplanationError, Output, Sample, output_of
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.network.unified import UnifiedModel

MAP_GRADIENTS = "map_gradients"


class Setting(Protocol):
    """Of a map: an audit's `OperatingPoint`, or what an assessment keeps of it."""

    @property
    def method(self) -> str:
        """Of `methods`."""

    @property
    def smoothing(self) -> float:
        """As a share of the map's side; 0: none."""


def saliency_map(
    bundle: Bundle,
    sample: Sample,
    task: str,
    output: str | None = None,
    *,
    method: str = MAP_GRADIENTS,
) -> Attribution:
    """Map what in its pictures speaks for an answer, each picture by itself.

    Args:
        bundle: that answers.
        sample: who is asked about.
        task: of the bundle.
        output: of the task; need not be given where there is one.
        method: of `methods`.

    Raises:
        BundleError: the bundle does not answer the task.
        ExplanationError: there is no such method or output, no picture, or the method does not suit the image encoder.
    """
    outputs = (output_of(bundle, task, output),)
    return saliency_maps_of_each(bundle.ensemble.networks, sample, outputs, method, usual_of(bundle.reference))[0]


def saliency_maps_of_each(
    networks: list[UnifiedModel], sample: Sample, outputs: Sequence[Output], method: str, usual: Baseline
) -> tuple[Attribution, ...]:
    """Map the pictures for several answers; they are read, and their sample encoded, once.

    Raises:
        ExplanationError: there is no such method, no picture, or the method does not suit the image encoder.
    """
    if method not in METHODS:
        raise ExplanationError(f"unknown method {method!r}: choose from {', '.join(METHODS)}")
    perturbed = PerturbedSample(networks, sample, outputs[0], usual)
    if "image" not in perturbed.function.inputs:
        raise ExplanationError(f"there is no image to look at: the sample has {', '.join(perturbed.function.inputs)}")
    return tuple(_mapped(sample, _about(perturbed, output), method) for output in outputs)


def displayed_maps(
    bundle: Bundle, sample: Sample, found: Sequence[Attribution], setting: Setting | None
) -> tuple[tuple[PictureAttribution, ...], ...]:
    """Give the maps on which regions are looked for: those of attributions, or those that an audit chose instead.

    Args:
        bundle: that answers.
        sample: who is asked about.
        found: attributions of answers about the sample, by one method.
        setting: that the audit chose; None where there is none.
    """
    maps = [one.pictures for one in found]
    if setting is None or not all(maps):
        return tuple(maps)
    if setting.method != found[0].method:
        outputs = [output_of(bundle, one.task, one.output) for one in found]
        usual = usual_of(bundle.reference)
        mapped_anew = saliency_maps_of_each(bundle.ensemble.networks, sample, outputs, setting.method, usual)
        maps = [one.pictures for one in mapped_anew]
    if not setting.smoothing:
        return tuple(maps)
    return tuple(tuple(blurred(one, setting.smoothing) for one in pictures) for pictures in maps)


def blurred(picture: PictureAttribution, smoothing: float) -> PictureAttribution:
    """Blur a map by a Gaussian, whose deviation is a share of its side."""
    scores = torch.from_numpy(picture.scores.astype(np.float64))[None]
    return replace(picture, scores=smoothed(scores, smoothing)[0].numpy().astype(np.float32))


def _mapped(sample: Sample, perturbed: PerturbedSample, method: str) -> Attribution:
    maps = METHODS[method](perturbed).maps
    if maps is None:
        raise ExplanationError(f"{method} does not suit the image encoder of this bundle: use integrated_gradients")
    parts = picture_parts(sample, perturbed.function.inputs["image"], maps.detach()[:, None])
    output = perturbed.function.output
    return Attribution(
        sample.subject_id, sample.prediction_time, output.task, output.name, method, None, None, pictures=parts
    )


def _about(perturbed: PerturbedSample, output: Output) -> PerturbedSample:
    """Give the same sample, of which another answer is explained."""
    other = copy(perturbed)
    other.function, other.shown = copy(perturbed.function), copy(perturbed.shown)
    other.function.output = other.shown.output = output
    return other

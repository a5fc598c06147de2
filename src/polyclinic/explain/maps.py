"""Maps of pictures by the methods of an audit, as an attribution: so that one is shown for which the dial was chosen.

Such a map says where, and of the scores of other inputs nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from polyclinic.explain.attribution import Attribution, PictureAttribution
from polyclinic.explain.audit_record import Dial
from polyclinic.explain.methods import METHODS, smoothed
from polyclinic.explain.parts import picture_parts
from polyclinic.explain.sample import ExplanationError, Sample, output_of
from polyclinic.explain.units import Examined
from polyclinic.models.bundle import Bundle

MAP_GRADIENTS = "map_gradients"


def mapped(
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
    asked = output_of(bundle, task, output)
    if method not in METHODS:
        raise ExplanationError(f"unknown method {method!r}: choose from {', '.join(METHODS)}")
    examined = Examined(bundle, sample, asked)
    if "image" not in examined.path.stems:
        raise ExplanationError(f"there is no image to look at: the sample has {', '.join(examined.path.stems)}")
    maps = METHODS[method](examined).maps
    if maps is None:
        raise ExplanationError(f"{method} does not suit the image encoder of this bundle: use integrated_gradients")
    parts = picture_parts(bundle, sample, examined.path.stems["image"], maps.detach()[:, None])
    return Attribution(sample.subject_id, sample.prediction_time, task, asked.name, method, None, None, pictures=parts)


def located(bundle: Bundle, sample: Sample, found: Attribution, dial: Dial | None) -> tuple[PictureAttribution, ...]:
    """Give the maps on which regions are looked for: those of an attribution, or those that an audit chose instead."""
    if dial is None or not found.pictures:
        return found.pictures
    pictures = found.pictures
    if dial.method != found.method:
        pictures = mapped(bundle, sample, found.task, found.output, method=dial.method).pictures
    return tuple(blurred(one, dial.smoothing) for one in pictures) if dial.smoothing else pictures


def blurred(picture: PictureAttribution, smoothing: float) -> PictureAttribution:
    """Blur a map by a Gaussian, whose deviation is a share of its side."""
    scores = torch.from_numpy(picture.scores.astype(np.float64))[None]
    return replace(picture, scores=smoothed(scores, smoothing)[0].numpy().astype(np.float32))

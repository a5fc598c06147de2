"""Grad-CAM (Selvaraju et al., 2017) of the feature maps that an image encoder reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyclinic.explain.attribution import Attribution
from polyclinic.explain.inputs.aggregation import picture_parts, resized
from polyclinic.explain.inputs.logit_function import LogitFunction
from polyclinic.explain.sample import ExplanationError, Output, Sample, output_of
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.network.encoders.pictures import MapTokens
from polyclinic.models.network.encoders.vit import ViTEncoder
from polyclinic.models.network.unified import UnifiedModel

GRAD_CAM = "grad_cam"


def grad_cam(bundle: Bundle, sample: Sample, task: str, output: str | None = None) -> Attribution:
    """Show in which parts of its pictures convolutional networks found what speaks for an answer.

    Raises:
        BundleError: the bundle does not answer the task.
        ExplanationError: the task has no such output, the sample has no picture, or the image encoder has no such map.
    """
    asked = output_of(bundle, task, output)
    function = logit_function_of(bundle.ensemble.networks, sample, asked, "image")
    encoder = function.networks[0].encoder("image")
    if isinstance(encoder, ViTEncoder):
        raise ExplanationError("Grad-CAM needs a convolutional network's last map: ask a ViT for attention_rollout")
    points = function.between(torch.ones(1))
    batch = function.batch(points)
    own = deepcopy(function.networks)  # others may be asking them at this moment
    heat = torch.stack([cam(network, partial(function.logit_of, network, points, batch)) for network in own])
    return image_attribution(sample, asked, function, as_shares(heat.mean(dim=0)), GRAD_CAM)


def logit_function_of(networks: list[UnifiedModel], sample: Sample, output: Output, modality: str) -> LogitFunction:
    """Return the logit function of an output; raises ExplanationError without the modality."""
    function = LogitFunction(networks, sample, output)
    if modality not in function.inputs:
        raise ExplanationError(f"there is no {modality} to look at: the sample has {', '.join(function.inputs)}")
    return function


def cam(network: Any, ask: Callable[[], Tensor]) -> Float[Tensor, "picture h w"]:
    """Ask a network, and weigh the last maps of its pictures by the gradient of what it says."""
    with _maps_read(network.encoder("image").tokens) as read:
        (gradient,) = torch.autograd.grad(ask().sum(), read)
    maps = read[0].detach()
    heat = torch.einsum("pc,plc->pl", gradient.mean(dim=1), maps).relu()
    side = round(maps.shape[1] ** 0.5)
    return heat.view(len(maps), side, side)


@contextmanager
def _maps_read(tokens: MapTokens) -> Iterator[list[Tensor]]:
    """Make the maps that `tokens` is given leaves, and collect them."""
    read: list[Tensor] = []

    def leaf(_module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        read.append(given[0].detach().float().requires_grad_())
        return (read[-1], *given[1:])

    handle = tokens.register_forward_pre_hook(leaf)
    try:
        yield read
    finally:
        handle.remove()


def as_shares(scores: Tensor) -> Tensor:
    """Scale non-negative scores to a sum of 1; all-zero scores stay."""
    total = scores.sum()
    return scores / total if total > 0 else scores


def image_attribution(
    sample: Sample, output: Output, function: LogitFunction, heat: Float[Tensor, "view h w"], method: str
) -> Attribution:
    """Return a heat map `[view, h, w]` as an attribution, resized to the image."""
    side = function.inputs["image"].end.shape[-1]
    parts = picture_parts(sample, function.inputs["image"], resized(heat, side))
    return attribution_without_baseline(sample, output, method, pictures=parts)


def attribution_without_baseline(sample: Sample, output: Output, method: str, **parts: Any) -> Attribution:
    """Return an attribution of a method that has no baseline and no completeness gap."""
    return Attribution(sample.subject_id, sample.prediction_time, output.task, output.name, method, None, None, **parts)

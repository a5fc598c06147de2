"""Grad-CAM (Selvaraju 2017, arXiv 1610.02391): relu(Σ_c α_c A_c) of feature maps A, with α_c the mean of ∂F/∂A_c."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyclinic.explain.attribution import Attribution, ModalityAttribution
from polyclinic.explain.inputs.image import EXPLANATION as IMAGE
from polyclinic.explain.inputs.image import resized
from polyclinic.explain.inputs.logit_function import LogitFunction
from polyclinic.explain.sample import ExplanationError, Output, Sample, output_of
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.network.encoders.images import MapTokens
from polyclinic.models.network.encoders.vit import ViTEncoder
from polyclinic.models.network.unified import UnifiedModel

GRAD_CAM = "grad_cam"


def grad_cam(bundle: Bundle, sample: Sample, task: str, output: str | None = None) -> Attribution:
    """Map the image regions whose convolutional features support an output.

    Raises:
        BundleError: the bundle does not answer the task.
        ExplanationError: the task has no such output, the sample has no image, or the image encoder has no feature map.
    """
    target = output_of(bundle, task, output)
    function = logit_function_of(bundle.ensemble.networks, sample, target, "image")
    encoder = function.networks[0].encoder("image")
    if isinstance(encoder, ViTEncoder):
        raise ExplanationError("Grad-CAM needs a convolutional network's last map: use attention_rollout for a ViT")
    points = function.between(torch.ones(1))
    batch = function.batch(points)
    own = deepcopy(function.networks)  # hooks must not affect concurrent predictions
    heat = torch.stack([cam(network, partial(function.logit_of, network, points, batch)) for network in own])
    return image_attribution(sample, target, function, as_shares(heat.mean(dim=0)), GRAD_CAM)


def logit_function_of(networks: list[UnifiedModel], sample: Sample, output: Output, modality: str) -> LogitFunction:
    """Return the logit function of an output; raises ExplanationError without the modality."""
    function = LogitFunction(networks, sample, output)
    if modality not in function.inputs:
        raise ExplanationError(f"there is no {modality} to explain: the sample has {', '.join(function.inputs)}")
    return function


def cam(network: Any, logit: Callable[[], Tensor]) -> Float[Tensor, "picture h w"]:
    """Weight the last feature maps of a network's images by the mean gradients of its logit."""
    with _captured_maps(network.encoder("image").tokens) as captured:
        (gradient,) = torch.autograd.grad(logit().sum(), captured)
    maps = captured[0].detach()
    heat = torch.einsum("pc,plc->pl", gradient.mean(dim=1), maps).relu()
    side = round(maps.shape[1] ** 0.5)
    return heat.view(len(maps), side, side)


@contextmanager
def _captured_maps(tokens: MapTokens) -> Iterator[list[Tensor]]:
    """Turn the maps passed to `tokens` into leaf tensors, and collect them."""
    captured: list[Tensor] = []

    def leaf(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        captured.append(args[0].detach().float().requires_grad_())
        return (captured[-1], *args[1:])

    handle = tokens.register_forward_pre_hook(leaf)
    try:
        yield captured
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
    part = IMAGE.attribution(sample, function.inputs["image"], resized(heat, side))
    return attribution_without_baseline(sample, output, method, image=part)


def attribution_without_baseline(
    sample: Sample, output: Output, method: str, **parts: ModalityAttribution
) -> Attribution:
    """Return an attribution of a method that has no baseline and no completeness gap."""
    return Attribution(sample.subject_id, sample.prediction_time, output.task, output.name, method, None, None, parts)

"""Where a network looked: Grad-CAM on the maps of pictures, and attention rollout where there is attention.

Grad-CAM (Selvaraju 2017, arXiv 1610.02391): relu(Σ_c α_c A_c), with A the map of a convolutional network and α_c the
mean over its cells of ∂F/∂A_c. Rollout (Abnar & Zuidema 2020, arXiv 2005.00928): the product over the layers of
½ (mean attention of the heads + identity). Both show places, not amounts: their scores are made to add up to 1 over all
pictures (all sentences), are none below 0, and explain no difference of the answer. Rollout does not even know which
answer is asked. Integrated gradients say more; these are quick, and give a second opinion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyclinic.explain.attribution import Attribution, NoteAttribution, WordScore
from polyclinic.explain.inputs.aggregation import picture_parts, resized
from polyclinic.explain.inputs.logit_function import Pathway
from polyclinic.explain.sample import ExplanationError, Output, Sample, output_of
from polyclinic.features import NoteFeaturizer
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.network.encoders import Encoder
from polyclinic.models.network.encoders.pictures import MapTokens
from polyclinic.models.network.encoders.sentences import SentenceEncoder
from polyclinic.models.network.encoders.vit import ViTEncoder
from polyclinic.models.network.layers import Attention, SelfBlock

GRAD_CAM, ROLLOUT = "grad_cam", "attention_rollout"


def grad_cam(bundle: Bundle, sample: Sample, task: str, output: str | None = None) -> Attribution:
    """Show in which parts of its pictures convolutional networks found what speaks for an answer.

    Raises:
        BundleError: the bundle does not answer the task.
        ExplanationError: the task has no such output, the sample has no picture, or the image encoder has no such map.
    """
    asked = output_of(bundle, task, output)
    path = _path(bundle, sample, asked, "image")
    encoder = bundle.ensemble.networks[0].encoder("image")
    if isinstance(encoder, ViTEncoder):
        raise ExplanationError("Grad-CAM needs a convolutional network's last map: ask a ViT for attention_rollout")
    points = path.between(torch.ones(1))
    batch = path.batch(points)
    own = deepcopy(path.networks)  # others may be asking them at this moment
    heat = torch.stack([cam(network, partial(path.ask, network, points, batch)) for network in own])
    return _of_pictures(bundle, sample, asked, path, _share(heat.mean(dim=0)), GRAD_CAM)


def attention_rollout(
    bundle: Bundle, sample: Sample, task: str, output: str | None = None, *, modality: str = "image"
) -> Attribution:
    """Show what the tokens of one modality attended to: patches of a ViT (`image`), or sentences (`note`).

    Raises:
        BundleError: the bundle does not answer the task.
        ExplanationError: the task has no such output, the modality is absent, or its encoder has no attention.
    """
    asked = output_of(bundle, task, output)
    path = _path(bundle, sample, asked, modality)
    encoder = bundle.ensemble.networks[0].encoder(modality)
    if not isinstance(encoder, ViTEncoder | SentenceEncoder):
        raise ExplanationError(
            f"the {modality} encoder {type(encoder).__name__} has no attention among its inputs: rollout is for vit "
            "and minilm; use integrated_gradients"
        )
    with torch.no_grad():
        tensors = path.stems[modality].tensors(path.stems[modality].end[None])
        encoders = [deepcopy(network.encoder(modality)) for network in path.networks]
        looked = torch.stack([_rolled(encoder, tensors) for encoder in encoders]).mean(dim=0)
    if modality == "image":
        return _of_pictures(bundle, sample, asked, path, _share(looked), ROLLOUT)
    return _attribution(sample, asked, ROLLOUT, note=_sentences(bundle, sample, _share(looked)))


def _path(bundle: Bundle, sample: Sample, output: Output, modality: str) -> Pathway:
    path = Pathway(bundle, sample, output)
    if modality not in path.stems:
        raise ExplanationError(f"there is no {modality} to look at: the sample has {', '.join(path.stems)}")
    return path


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


def _rolled(encoder: Encoder, tensors: Mapping[str, Tensor]) -> Tensor:
    return (
        _of_patches(encoder, tensors["pixels"][0])
        if isinstance(encoder, ViTEncoder)
        else _of_sentences(encoder, tensors)
    )


def _of_patches(encoder: ViTEncoder, pixels: Float[Tensor, "view 1 side side"]) -> Float[Tensor, "view h w"]:
    """Roll the attention of a ViT (a copy) out, and average what its patches, which alone are read on, looked at."""
    backbone: Any = encoder.backbone
    backbone.set_attn_implementation("eager")  # the only one that gives the attention away
    prepared = encoder.colours_of(encoder.prepared(pixels))
    layers = backbone(pixel_values=prepared, output_attentions=True).attentions
    looked = rollout([layer.mean(dim=1) for layer in layers])[:, 1:, 1:].mean(dim=1)
    side = round(looked.shape[1] ** 0.5)
    return looked.view(-1, side, side)


def _of_sentences(encoder: Encoder, tensors: Mapping[str, Tensor]) -> Float[Tensor, " sentence"]:
    """Roll the attention of sentences among each other out, by an encoder (a copy)."""
    layers: list[Tensor] = []

    def look(attention: nn.Module, given: tuple[Any, ...]) -> None:
        assert isinstance(attention, Attention)
        layers.append(attention_weights(attention, *given).mean(dim=1))

    blocks = [block for block in encoder.modules() if isinstance(block, SelfBlock)]
    for block in blocks:
        block.attention.register_forward_pre_hook(look)
    encoder(**tensors)
    return rollout(layers)[0].mean(dim=0)


def rollout(layers: list[Float[Tensor, "batch token token"]]) -> Float[Tensor, "batch token token"]:
    """Multiply the layers' attention, each with the residual that goes past it; rows add up to 1."""
    rolled = torch.eye(layers[0].shape[1]).expand_as(layers[0])
    for layer in layers:
        rolled = (layer + torch.eye(layer.shape[1])) / 2 @ rolled
    return rolled


def attention_weights(
    attention: Attention, queries: Tensor, context: Tensor, allowed: Tensor
) -> Float[Tensor, "batch head query key"]:
    """Give the weights of our own attention, which the fused function that it calls keeps to itself."""
    key, _ = attention.split(attention.key_value(context), 2)
    (query,) = attention.split(attention.query(queries), 1)
    scores = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
    weights: Tensor = scores.masked_fill(~allowed[:, None], -torch.inf).softmax(dim=3)
    return weights


def _share(scores: Tensor) -> Tensor:
    total = scores.sum()
    return scores / total if total > 0 else scores


def _of_pictures(
    bundle: Bundle, sample: Sample, output: Output, path: Pathway, heat: Float[Tensor, "view h w"], method: str
) -> Attribution:
    side = path.stems["image"].end.shape[-1]
    parts = picture_parts(bundle, sample, path.stems["image"], resized(heat, side))
    return _attribution(sample, output, method, pictures=parts)


def _attribution(sample: Sample, output: Output, method: str, **parts: Any) -> Attribution:
    return Attribution(sample.subject_id, sample.prediction_time, output.task, output.name, method, None, None, **parts)


def _sentences(bundle: Bundle, sample: Sample, looked: Float[Tensor, " sentence"]) -> NoteAttribution:
    featurizer = bundle.features.featurizers["note"]
    assert isinstance(featurizer, NoteFeaturizer)
    (layout,) = featurizer.layouts(sample.known, sample.frame)
    return NoteAttribution(
        words=(),
        sentences=tuple(
            WordScore(
                layout.notes[one.note].text[one.start : one.end],
                layout.section(one),
                one.note,
                one.start,
                one.end,
                score,
            )
            for one, score in zip(layout.sentences, looked.tolist(), strict=True)
        ),
    )

"""Attention rollout (Abnar & Zuidema 2020, arXiv 2005.00928): the product over layers of ½ (mean attention + identity).

Like Grad-CAM, it shows locations, not contributions: scores are non-negative, sum to 1 over all images (or sentences),
and explain no difference of the answer. It does not depend on the output. It is a fast complement to integrated
gradients.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyclinic.explain.attribution import Attribution, NoteAttribution, WordScore
from polyclinic.explain.methods.grad_cam import (
    as_shares,
    attribution_without_baseline,
    image_attribution,
    logit_function_of,
)
from polyclinic.explain.sample import ExplanationError, Sample, output_of
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.network.encoders import Encoder
from polyclinic.models.network.encoders.sentences import SentenceEncoder
from polyclinic.models.network.encoders.vit import ViTEncoder
from polyclinic.models.network.layers import Attention, SelfBlock

ROLLOUT = "attention_rollout"


def attention_rollout(
    bundle: Bundle, sample: Sample, task: str, output: str | None = None, *, modality: str = "image"
) -> Attribution:
    """Compute the attention to the tokens of one modality: patches of a ViT (`image`), or sentences (`note`).

    Raises:
        BundleError: the bundle does not answer the task.
        ExplanationError: the task has no such output, the modality is absent, or its encoder has no attention.
    """
    target = output_of(bundle, task, output)
    function = logit_function_of(bundle.ensemble.networks, sample, target, modality)
    encoder = function.networks[0].encoder(modality)
    if not isinstance(encoder, ViTEncoder | SentenceEncoder):
        raise ExplanationError(
            f"the {modality} encoder {type(encoder).__name__} has no attention among its inputs: rollout is for vit "
            "and minilm; use integrated_gradients"
        )
    with torch.no_grad():
        tensors = function.inputs[modality].tensors(function.inputs[modality].end[None])
        encoders = [deepcopy(network.encoder(modality)) for network in function.networks]
        attention = torch.stack([_rolled(encoder, tensors) for encoder in encoders]).mean(dim=0)
    if modality == "image":
        return image_attribution(sample, target, function, as_shares(attention), ROLLOUT)
    return attribution_without_baseline(sample, target, ROLLOUT, note=_sentences(sample, as_shares(attention)))


def _rolled(encoder: Encoder, tensors: Mapping[str, Tensor]) -> Tensor:
    return (
        _of_patches(encoder, tensors["pixels"][0])
        if isinstance(encoder, ViTEncoder)
        else _of_sentences(encoder, tensors)
    )


def _of_patches(encoder: ViTEncoder, pixels: Float[Tensor, "view 1 side side"]) -> Float[Tensor, "view h w"]:
    """Roll out the attention of a ViT (a copy), averaged over its patches, the only tokens used downstream."""
    backbone: Any = encoder.backbone
    backbone.set_attn_implementation("eager")  # the only one that returns the attention
    prepared = encoder.colours_of(encoder.prepared(pixels))
    layers = backbone(pixel_values=prepared, output_attentions=True).attentions
    attention = rollout([layer.mean(dim=1) for layer in layers])[:, 1:, 1:].mean(dim=1)
    side = round(attention.shape[1] ** 0.5)
    return attention.view(-1, side, side)


def _of_sentences(encoder: Encoder, tensors: Mapping[str, Tensor]) -> Float[Tensor, " sentence"]:
    """Roll out the attention among sentences of an encoder (a copy)."""
    layers: list[Tensor] = []

    def record(attention: nn.Module, args: tuple[Any, ...]) -> None:
        assert isinstance(attention, Attention)
        layers.append(attention_weights(attention, *args).mean(dim=1))

    blocks = [block for block in encoder.modules() if isinstance(block, SelfBlock)]
    for block in blocks:
        block.attention.register_forward_pre_hook(record)
    encoder(**tensors)
    return rollout(layers)[0].mean(dim=0)


def rollout(layers: list[Float[Tensor, "batch token token"]]) -> Float[Tensor, "batch token token"]:
    """Multiply the layers' attention with residual connections; rows sum to 1."""
    rolled = torch.eye(layers[0].shape[1]).expand_as(layers[0])
    for layer in layers:
        rolled = (layer + torch.eye(layer.shape[1])) / 2 @ rolled
    return rolled


def attention_weights(
    attention: Attention, queries: Tensor, context: Tensor, allowed: Tensor
) -> Float[Tensor, "batch head query key"]:
    """Return the attention weights, which the fused attention function does not return."""
    key, _ = attention.split(attention.key_value(context), 2)
    (query,) = attention.split(attention.query(queries), 1)
    scores = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
    weights: Tensor = scores.masked_fill(~allowed[:, None], -torch.inf).softmax(dim=3)
    return weights


def _sentences(sample: Sample, attention: Float[Tensor, " sentence"]) -> NoteAttribution:
    layout = sample.note_layout
    return NoteAttribution(
        words=(),
        sentences=tuple(
            WordScore(
                layout.notes[sentence.note].text[sentence.start : sentence.end],
                layout.section(sentence),
                sentence.note,
                sentence.start,
                sentence.end,
                score,
            )
            for sentence, score in zip(layout.sentences, attention.tolist(), strict=True)
        ),
    )

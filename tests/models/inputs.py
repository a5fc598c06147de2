"""Small inputs of every modality, and minimal configurations for them."""

import torch
from torch import Tensor

from polyclinic.models import (
    ENCODERS,
    Batch,
    Encoder,
    EncoderConfig,
    HeadConfig,
    ImageSizes,
    ModelConfig,
    NoteSizes,
    SeriesSizes,
    StructuredSizes,
    Tokens,
    build_encoder,
)
from polyclinic.models.network.config import WaveformSizes

WIDTH = 16
SIZES = {
    "structured": StructuredSizes(features=6, groups=(0, 0, 1, 1, 1, 2)),
    "series": SeriesSizes(codes=5, channels=3),
    "note": NoteSizes(words=20, sections=3, sentence_width=12),
    "image": ImageSizes(views=2, channels=10, cells=4, pixels=64),
    "waveform": WaveformSizes(leads=12),
}
OPTIONS = {"vit": {"hidden": 64, "layers": 1}, "xresnet1d": {"stem": 8, "channels": (8, 12)}}
SMALL = [(modality, name) for modality, names in ENCODERS.items() for name in names if name != "densenet121"]
EVERY = [(modality, name) for modality, names in ENCODERS.items() for name in names]


def encoder_config(modality: str, name: str) -> EncoderConfig:
    return EncoderConfig(name=name, sizes=SIZES[modality], options=OPTIONS.get(name, {}))


def encoder(modality: str, name: str, seed: int = 0, dropout: float = 0.0) -> Encoder:
    torch.manual_seed(seed)
    return build_encoder(modality, encoder_config(modality, name), WIDTH, dropout)


def model_config(fusion: str = "cross_attention", **changes) -> ModelConfig:
    defaults = {
        "encoders": {modality: encoder_config(modality, next(iter(names))) for modality, names in ENCODERS.items()},
        "heads": {
            "died": HeadConfig(kind="binary"),
            "ward": HeadConfig(kind="multiclass", outputs=3),
            "findings": HeadConfig(kind="multilabel", outputs=2),
            "stay": HeadConfig(kind="regression"),
            "survival": HeadConfig(kind="time_to_event", outputs=3, bins=(1.0, 7.0, 30.0)),
        },
        "fusion": fusion,
        "width": WIDTH,
        "dropout": 0.2,
    }
    return ModelConfig(**(defaults | changes))


def inputs(batch: int = 4, seed: int = 0) -> dict[str, dict[str, Tensor]]:
    """Random tensors of every modality, with some padding, missing values and missing views."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random)

    def whole(below: int, *shape: int, least: int = 0) -> Tensor:
        return torch.randint(least, below, shape, generator=random)

    def some(*shape: int) -> Tensor:
        mask = torch.rand(shape, generator=random) > 0.3
        mask[:, 0] = True
        return mask

    triplets, sentences, words, views = (
        some(batch, 9),
        some(batch, 4),
        some(batch, 11).sort(descending=True)[0],
        some(batch, 3),
    )
    return {
        "structured": {"values": normal(batch, 6), "known": some(batch, 6)},
        "series": {
            "triplet_time": 48 * normal(batch, 9).abs(),
            "triplet_code": whole(5, batch, 9, least=1) * triplets,
            "triplet_value": normal(batch, 9),
            "grid_value": normal(batch, 7, 3),
            "grid_mask": torch.rand((batch, 7, 3), generator=random) > 0.5,
            "grid_since": normal(batch, 7, 3).abs(),
        },
        "note": {
            "words": whole(20, batch, 11, least=1) * words,
            "word_section": whole(3, batch, 11),
            "word_denied": torch.rand((batch, 11), generator=random) > 0.7,
            "sentences": normal(batch, 4, 12),
            "sentence_mask": sentences,
            "sentence_section": whole(3, batch, 4),
        },
        "image": {
            "tokens": normal(batch, 3, 4, 10).half(),
            "pixels": torch.rand((batch, 3, 1, 64, 64), generator=random),
            "view_mask": views,
            "view_code": whole(2, batch, 3),
        },
        "waveform": {
            "signal": normal(batch, 2, 12, 160).half(),
            "valid": some(batch, 2, 12, 160),
            "log_scale": normal(batch, 2, 12),
            "age_hours": 24 * normal(batch, 2).abs(),
            "age_known": some(batch, 2),
        },
    }


def batch(size: int = 4, seed: int = 0, present: Tensor | None = None) -> Batch:
    everything = torch.ones(size, len(ENCODERS), dtype=torch.bool)
    return Batch(inputs(size, seed), everything if present is None else present)


def encode(network: Encoder, tensors: dict[str, Tensor]) -> Tokens:
    return network(**{name: tensors[name] for name in network.reads})


def pooled(tokens: Tokens) -> Tensor:
    """Token values, 0 where masked."""
    return tokens.values.masked_fill(~tokens.mask[..., None], 0)


def trained_weights(network: Encoder, tensors: dict[str, Tensor]) -> Tensor:
    """All weights after two training steps, with a fixed seed for dropout."""
    optimizer = torch.optim.AdamW(network.parameters())
    torch.manual_seed(5)
    for _ in range(2):
        optimizer.zero_grad()
        pooled(encode(network, tensors)).square().sum().backward()
        optimizer.step()
    return torch.cat([weight.flatten() for weight in network.parameters()])


def invalid(tensor: Tensor) -> Tensor:
    """Invalid values of the same shape, which would spoil any computation."""
    if tensor.dtype == torch.bool:
        return torch.ones_like(tensor)
    if tensor.is_floating_point():
        return torch.full_like(tensor, torch.nan)
    return torch.full_like(tensor, 10**6)

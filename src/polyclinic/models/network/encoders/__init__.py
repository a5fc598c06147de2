"""Encoders by modality and name: one modality's tensors → tokens. To add one: module, test, row of the modality."""

import inspect
from collections.abc import Callable, Mapping

from polyclinic.modalities import MODALITIES, References
from polyclinic.models.network.config import EncoderConfig
from polyclinic.models.network.encoders.encoder import Encoder, encode_present, no_tokens

__all__ = ["ENCODERS", "Encoder", "build_encoder", "encode_present", "no_tokens"]

ENCODERS: Mapping[str, Mapping[str, Callable[..., Encoder]]] = {
    name: References(row.encoders) for name, row in MODALITIES.items()
}
"""The first of each modality is its default."""


def build_encoder(modality: str, config: EncoderConfig, width: int, dropout: float) -> Encoder:
    """Build the encoder of `config`; raises ValueError if its name or an option is unknown."""
    choices = ENCODERS.get(modality)
    if choices is None:
        raise ValueError(f"no encoder reads the modality {modality!r}: choose from {', '.join(ENCODERS)}")
    if config.name not in choices:
        raise ValueError(f"unknown {modality} encoder {config.name!r}: choose from {', '.join(choices)}")
    factory = choices[config.name]
    options = [name for name in inspect.signature(factory).parameters if name not in ("sizes", "width", "dropout")]
    unknown = set(config.options) - set(options)
    if unknown:
        offered = ", ".join(options) or "none"
        raise ValueError(f"{config.name} has no option {', '.join(sorted(unknown))}: its options are {offered}")
    return factory(config.sizes, width, dropout, **config.options)

"""Encoders by modality and name: one modality's tensors → tokens. To add one: its module, its test, this table."""

import inspect
from collections.abc import Callable, Mapping

from polyclinic.models.network.config import EncoderConfig
from polyclinic.models.network.encoders.bag_of_words import BagOfWords
from polyclinic.models.network.encoders.bilstm_attention import BiLSTMAttention
from polyclinic.models.network.encoders.code_attention import CodeAttention
from polyclinic.models.network.encoders.densenet121 import DenseNetEncoder
from polyclinic.models.network.encoders.efficientnet_lite0 import efficientnet_lite0
from polyclinic.models.network.encoders.encoder import Encoder, encode_present
from polyclinic.models.network.encoders.feature_tokens import FeatureTokens
from polyclinic.models.network.encoders.gru_d import GRUD
from polyclinic.models.network.encoders.sentences import SentenceEncoder
from polyclinic.models.network.encoders.structured_mlp import StructuredMLP
from polyclinic.models.network.encoders.triplets import TripletTransformer
from polyclinic.models.network.encoders.vit import ViTEncoder
from polyclinic.models.network.encoders.word_cnn import WordCNN

__all__ = ["ENCODERS", "Encoder", "build_encoder", "encode_present"]

ENCODERS: Mapping[str, Mapping[str, Callable[..., Encoder]]] = {
    "structured": {"mlp": StructuredMLP, "feature_tokens": FeatureTokens},
    "series": {"code_attention": CodeAttention, "gru_d": GRUD, "triplet": TripletTransformer},
    "note": {
        "bag_of_words": BagOfWords,
        "minilm": SentenceEncoder,
        "cnn": WordCNN,
        "bilstm_attention": BiLSTMAttention,
    },
    "image": {"efficientnet_lite0": efficientnet_lite0, "densenet121": DenseNetEncoder, "vit": ViTEncoder},
}
"""The first of each modality is its default."""


def build_encoder(modality: str, config: EncoderConfig, width: int, dropout: float) -> Encoder:
    """Build the encoder that `config` names; raises ValueError with the choices for an unknown name or option."""
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

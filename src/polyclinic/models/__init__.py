"""Encoders → fusion → latent → heads, the classical models beside them, and what makes their answers probabilities."""

from polyclinic.models.batch import MODALITIES, Batch, concatenate
from polyclinic.models.config import (
    EncoderConfig,
    HeadConfig,
    ImageSizes,
    ModelConfig,
    NoteSizes,
    SeriesSizes,
    StructuredSizes,
    TaskKind,
)
from polyclinic.models.encoders import ENCODERS, Encoder, build_encoder
from polyclinic.models.fusions import FUSIONS, Fusion, build_fusion
from polyclinic.models.heads import HEADS, Head, RegressionHead, TimeToEventHead, build_head
from polyclinic.models.presence import modality_dropout, subsets
from polyclinic.models.tokens import Tokens
from polyclinic.models.unified import Outputs, UnifiedModel

__all__ = [
    "ENCODERS",
    "FUSIONS",
    "HEADS",
    "MODALITIES",
    "Batch",
    "Encoder",
    "EncoderConfig",
    "Fusion",
    "Head",
    "HeadConfig",
    "ImageSizes",
    "ModelConfig",
    "NoteSizes",
    "Outputs",
    "RegressionHead",
    "SeriesSizes",
    "StructuredSizes",
    "TaskKind",
    "TimeToEventHead",
    "Tokens",
    "UnifiedModel",
    "build_encoder",
    "build_fusion",
    "build_head",
    "concatenate",
    "modality_dropout",
    "subsets",
]

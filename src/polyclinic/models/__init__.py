"""Networks (encoders → fusion → latent → heads), classical models, ensembles and bundles."""

from polyclinic.models.network.batch import Batch, concatenate
from polyclinic.models.network.config import (
    EncoderConfig,
    HeadConfig,
    ImageSizes,
    ModelConfig,
    NoteSizes,
    SeriesSizes,
    Sizes,
    StructuredSizes,
    TaskKind,
    WaveformSizes,
)
from polyclinic.models.network.encoders import ENCODERS, Encoder, build_encoder
from polyclinic.models.network.fusions import FUSIONS, Fusion, build_fusion
from polyclinic.models.network.heads import HEADS, Head, RegressionHead, TimeToEventHead, build_head
from polyclinic.models.network.modality_dropout import modality_dropout, subsets
from polyclinic.models.network.tokens import Tokens
from polyclinic.models.network.unified import Outputs, UnifiedModel

__all__ = [
    "ENCODERS",
    "FUSIONS",
    "HEADS",
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
    "Sizes",
    "StructuredSizes",
    "TaskKind",
    "TimeToEventHead",
    "Tokens",
    "UnifiedModel",
    "WaveformSizes",
    "build_encoder",
    "build_fusion",
    "build_head",
    "concatenate",
    "modality_dropout",
    "subsets",
]

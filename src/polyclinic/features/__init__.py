"""One featurizer per modality: events known at a prediction time → arrays, fitted on training subjects only.

Names are imported lazily, so that importing this package is fast and does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyclinic.features.cache.encoder_cache import EncoderCache
    from polyclinic.features.featurizer import Arrays, Featurizer, NotFittedError, sample_rows
    from polyclinic.features.image.featurizer import ImageFeaturizer, ImageOptions
    from polyclinic.features.note.featurizer import NoteFeaturizer, NoteOptions
    from polyclinic.features.series.featurizer import SeriesFeaturizer, SeriesOptions
    from polyclinic.features.structured.featurizer import StructuredFeaturizer
    from polyclinic.features.waveform.featurizer import WaveformFeaturizer, WaveformOptions

_NAMES_BY_MODULE = {
    "cache.encoder_cache": ("EncoderCache",),
    "featurizer": ("Arrays", "Featurizer", "NotFittedError", "sample_rows"),
    "image.featurizer": ("ImageFeaturizer", "ImageOptions"),
    "note.featurizer": ("NoteFeaturizer", "NoteOptions"),
    "series.featurizer": ("SeriesFeaturizer", "SeriesOptions"),
    "structured.featurizer": ("StructuredFeaturizer",),
    "waveform.featurizer": ("WaveformFeaturizer", "WaveformOptions"),
}
_MODULE_OF = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names}

__all__ = [
    "Arrays",
    "EncoderCache",
    "Featurizer",
    "ImageFeaturizer",
    "ImageOptions",
    "NotFittedError",
    "NoteFeaturizer",
    "NoteOptions",
    "SeriesFeaturizer",
    "SeriesOptions",
    "StructuredFeaturizer",
    "WaveformFeaturizer",
    "WaveformOptions",
    "sample_rows",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)

"""The featurizers of a study, as one: fitted together, saved together, applied together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import polars as pl

from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.features.featurizer import Arrays, Featurizer
from polyclinic.features.image.embeddings import Blobs
from polyclinic.features.image.featurizer import ImageFeaturizer, ImageOptions
from polyclinic.features.note.featurizer import NoteFeaturizer, NoteOptions
from polyclinic.features.series.featurizer import SeriesFeaturizer, SeriesOptions
from polyclinic.features.structured.featurizer import StructuredFeaturizer
from polyclinic.files import write_json
from polyclinic.progress import SILENT, Progress

FEATURIZERS: Mapping[str, Any] = {
    "structured": StructuredFeaturizer,
    "series": SeriesFeaturizer,
    "note": NoteFeaturizer,
    "image": ImageFeaturizer,
}


class FeatureSet:
    """One featurizer for each input modality of a study, in the order of `FEATURIZERS`."""

    def __init__(self, featurizers: Mapping[str, Featurizer]) -> None:
        self.featurizers = {name: featurizers[name] for name in FEATURIZERS if name in featurizers}

    @classmethod
    def of(cls, inputs: Iterable[str], options: Mapping[str, Any], cache: EncoderCache) -> Self:
        """Make unfitted featurizers of the modalities; `options` holds those that differ from the usual."""
        made: dict[str, Featurizer] = {}
        for modality in inputs:
            match modality:
                case "structured":
                    made[modality] = StructuredFeaturizer()
                case "series":
                    made[modality] = SeriesFeaturizer(options.get(modality, SeriesOptions()))
                case "note":
                    made[modality] = NoteFeaturizer(options.get(modality, NoteOptions()), cache=cache)
                case "image":
                    made[modality] = ImageFeaturizer(options=options.get(modality, ImageOptions()), cache=cache)
                case _:
                    raise ValueError(f"unknown input {modality!r}: choose from {', '.join(FEATURIZERS)}")
        return cls(made)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The inputs."""
        return tuple(self.featurizers)

    def reading(self, blobs: Blobs) -> Self:
        """Take pictures from `blobs` (a cohort's `blob`) from now on; give the set itself."""
        for featurizer in self.featurizers.values():
            if isinstance(featurizer, ImageFeaturizer):
                featurizer.blobs = blobs
        return self

    def fit(self, known: pl.DataFrame, samples: pl.DataFrame) -> Self:
        """Fit each on the training samples' record."""
        for featurizer in self.featurizers.values():
            featurizer.fit(known, samples)
        return self

    def prepare(self, known: pl.DataFrame, samples: pl.DataFrame, progress: Progress = SILENT) -> None:
        """Run frozen encoders over what their cache lacks, with progress."""
        for featurizer in self.featurizers.values():
            if isinstance(featurizer, NoteFeaturizer | ImageFeaturizer):
                featurizer.prepare(known, samples, progress)

    def transform(self, known: pl.DataFrame, samples: pl.DataFrame, classical: bool = True) -> dict[str, Arrays]:
        """Give the arrays of each modality; with `classical` also what classical models read.

        That is `raw` float64 `[sample, feature]` of the structured features, unscaled and NaN where unknown; `tfidf`, a
        sparse `[sample, term]`, of the notes; and `pooled` float32 `[sample, view, width]` of the pictures.
        """
        return {name: one.transform(known, samples, classical) for name, one in self.featurizers.items()}

    def ignored(self, known: pl.DataFrame) -> dict[str, int]:
        """Count the events of codes that training did not show, or not often enough, by code."""
        counted: dict[str, int] = {}
        for featurizer in self.featurizers.values():
            if isinstance(featurizer, StructuredFeaturizer | SeriesFeaturizer):
                counted |= featurizer.ignored(known)
        used = {
            code for f in self.featurizers.values() if isinstance(f, StructuredFeaturizer) for code in f.layout.codes
        }
        return {code: number for code, number in counted.items() if code not in used}

    def names(self) -> dict[str, list[str]]:
        """Give the names of the structured features, the codes of the series and the terms of the notes."""
        found: dict[str, list[str]] = {}
        for name, featurizer in self.featurizers.items():
            if isinstance(featurizer, StructuredFeaturizer):
                found[name] = featurizer.names
            elif isinstance(featurizer, SeriesFeaturizer):
                found[name] = list(featurizer.codes)
            elif isinstance(featurizer, NoteFeaturizer):
                found[name] = featurizer.terms
        return found

    def save(self, path: Path) -> None:
        """Write the fitted state of each as JSON."""
        write_json(path, {name: featurizer.state() for name, featurizer in self.featurizers.items()})

    @classmethod
    def from_state(cls, state: Mapping[str, Any], cache: EncoderCache) -> Self:
        """Rebuild the set that `save` wrote."""
        kept = {"note": {"cache": cache}, "image": {"cache": cache}}
        return cls({name: FEATURIZERS[name].from_state(s, **kept.get(name, {})) for name, s in state.items()})

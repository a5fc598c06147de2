"""The featurizers of a study, fitted, saved and applied together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import polars as pl

from polyclinic.compute.resources import Resources
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.features.featurizer import Arrays, Blobs, Featurizer
from polyclinic.features.structured.demographics import DemographicFeatures
from polyclinic.features.structured.featurizer import StructuredFeaturizer
from polyclinic.files import write_json
from polyclinic.modalities import MODALITIES, References, in_order
from polyclinic.progress import SILENT, Progress

FEATURIZERS: Mapping[str, type[Featurizer]] = References({name: row.featurizer for name, row in MODALITIES.items()})
"""By modality."""


class FeatureSet:
    """One featurizer per input modality of a study, in the order of `MODALITIES`."""

    def __init__(self, featurizers: Mapping[str, Featurizer]) -> None:
        self.featurizers = {name: featurizers[name] for name in in_order(featurizers)}

    @classmethod
    def of(cls, inputs: Iterable[str], options: Mapping[str, Any], cache: EncoderCache) -> Self:
        """Create unfitted featurizers; `options` maps a modality to its options where they are not the defaults.

        Raises:
            ValueError: there is no such modality.
        """
        inputs = list(inputs)
        unknown = [name for name in inputs if name not in FEATURIZERS]
        if unknown:
            raise ValueError(f"unknown input {unknown[0]!r}: choose from {', '.join(FEATURIZERS)}")
        return cls({name: FEATURIZERS[name].of(options.get(name), cache) for name in inputs})

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities, in order."""
        return tuple(self.featurizers)

    def set_blobs(self, blobs: Blobs) -> Self:
        """Read images and waveforms from `blobs` (a cohort's `blob`) from now on; return the set itself."""
        for featurizer in self.featurizers.values():
            featurizer.read_from(blobs)
        return self

    def use(self, resources: Resources) -> Self:
        """Encode with these processes and this device from now on; return the set itself."""
        for featurizer in self.featurizers.values():
            featurizer.use(resources)
        return self

    def fit(self, known: pl.DataFrame, samples: pl.DataFrame) -> Self:
        """Fit each featurizer on the training samples."""
        for featurizer in self.featurizers.values():
            featurizer.fit(known, samples)
        return self

    def prepare(self, known: pl.DataFrame, samples: pl.DataFrame, progress: Progress = SILENT) -> None:
        """Encode what the caches of frozen encoders lack."""
        for featurizer in self.featurizers.values():
            featurizer.prepare(known, samples, progress)

    def transform(self, known: pl.DataFrame, samples: pl.DataFrame, classical: bool = True) -> dict[str, Arrays]:
        """Return the arrays of each modality; with `classical` also those that classical models use."""
        return {name: featurizer.transform(known, samples, classical) for name, featurizer in self.featurizers.items()}

    def ignored(self, known: pl.DataFrame) -> dict[str, int]:
        """Count, by code, the events of codes that were absent or too rare in training."""
        counts: dict[str, int] = {}
        for featurizer in self.featurizers.values():
            counts |= featurizer.ignored(known)
        return {code: count for code, count in counts.items() if code not in self.codes_read}

    @property
    def codes_read(self) -> frozenset[str]:
        """The codes used by the fitted featurizers; see also `Modality.kinds`."""
        return frozenset[str]().union(*(featurizer.codes_read for featurizer in self.featurizers.values()))

    @property
    def demographics(self) -> DemographicFeatures | None:
        """Where the fitted features hold age and sex; None without structured features."""
        structured = self.featurizers.get(StructuredFeaturizer.modality)
        return DemographicFeatures.of(structured.layout) if isinstance(structured, StructuredFeaturizer) else None

    def names(self) -> dict[str, list[str]]:
        """Return the names of features, codes or terms by modality, for the columns of classical models."""
        return {name: featurizer.column_names for name, featurizer in self.featurizers.items()}

    def save(self, path: Path) -> None:
        """Write the fitted state of each featurizer as JSON."""
        write_json(path, {name: featurizer.state() for name, featurizer in self.featurizers.items()})

    @classmethod
    def from_state(cls, state: Mapping[str, Any], cache: EncoderCache) -> Self:
        """Rebuild the set that `save` wrote."""
        return cls({name: FEATURIZERS[name].from_state(own, cache=cache) for name, own in state.items()})

"""The featurizers of a study, as one: fitted together, saved together, applied together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import polars as pl

from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.features.featurizer import Arrays, Blobs, Featurizer
from polyclinic.files import write_json
from polyclinic.modalities import MODALITIES, References, in_order
from polyclinic.progress import SILENT, Progress

FEATURIZERS: Mapping[str, type[Featurizer]] = References({name: row.featurizer for name, row in MODALITIES.items()})
"""By modality."""


class FeatureSet:
    """One featurizer for each input modality of a study, in the order of `MODALITIES`."""

    def __init__(self, featurizers: Mapping[str, Featurizer]) -> None:
        self.featurizers = {name: featurizers[name] for name in in_order(featurizers)}

    @classmethod
    def of(cls, inputs: Iterable[str], options: Mapping[str, Any], cache: EncoderCache) -> Self:
        """Make unfitted featurizers of the modalities; `options` holds those that differ from the defaults.

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
        """The inputs."""
        return tuple(self.featurizers)

    def reading(self, blobs: Blobs) -> Self:
        """Read images and waveforms from `blobs` (a cohort's `blob`) from now on; return the set itself."""
        for featurizer in self.featurizers.values():
            featurizer.read_from(blobs)
        return self

    def fit(self, known: pl.DataFrame, samples: pl.DataFrame) -> Self:
        """Fit each on the training samples' record."""
        for featurizer in self.featurizers.values():
            featurizer.fit(known, samples)
        return self

    def prepare(self, known: pl.DataFrame, samples: pl.DataFrame, progress: Progress = SILENT) -> None:
        """Run frozen encoders over what their cache lacks, with progress."""
        for featurizer in self.featurizers.values():
            featurizer.prepare(known, samples, progress)

    def transform(self, known: pl.DataFrame, samples: pl.DataFrame, classical: bool = True) -> dict[str, Arrays]:
        """Return the arrays of each modality; with `classical` also those that classical models read."""
        return {name: one.transform(known, samples, classical) for name, one in self.featurizers.items()}

    def ignored(self, known: pl.DataFrame) -> dict[str, int]:
        """Count the events of codes that training did not show, or not often enough, by code."""
        counted: dict[str, int] = {}
        for featurizer in self.featurizers.values():
            counted |= featurizer.ignored(known)
        return {code: number for code, number in counted.items() if code not in self.codes_read}

    @property
    def codes_read(self) -> frozenset[str]:
        """The codes that a featurizer learnt in training; see also `Modality.kinds`."""
        return frozenset[str]().union(*(featurizer.codes_read for featurizer in self.featurizers.values()))

    def names(self) -> dict[str, list[str]]:
        """Return the names of features, codes or terms by modality, of which classical models' columns are named."""
        return {name: featurizer.column_names for name, featurizer in self.featurizers.items()}

    def save(self, path: Path) -> None:
        """Write the fitted state of each as JSON."""
        write_json(path, {name: featurizer.state() for name, featurizer in self.featurizers.items()})

    @classmethod
    def from_state(cls, state: Mapping[str, Any], cache: EncoderCache) -> Self:
        """Rebuild the set that `save` wrote."""
        return cls({name: FEATURIZERS[name].from_state(one, cache=cache) for name, one in state.items()})

"""The featurizer protocol: events known at a prediction time → arrays, fitted on training subjects only."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import polars as pl

from polyclinic.cohort.codes import modality
from polyclinic.compute.resources import Resources
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.progress import SILENT, Progress

Blobs = Callable[[str], Path]
"""From the name of a blob to its file, such as a cohort's `blob`."""

Arrays = dict[str, np.ndarray]
"""Arrays of one modality, all with the sample as first axis; always holds `present`, Boolean `[sample]`."""


@dataclass(frozen=True)
class Request:
    """The arrays of one modality that a study's models need, so that nothing else is computed."""

    reads: tuple[str, ...] = ()  # arrays that the encoder reads; empty without a network
    classical: bool = True  # whether classical models use it as well
    scale: str = "robust"  # standardisation of measurements
    terms: tuple[str, ...] = ("word",)  # of the notes' TF-IDF, for classical models


class Featurizer(Protocol):
    """Convert the events of one modality into arrays.

    `known` is the record as of each prediction time (`polyclinic.cohort.known_at`), input codes only: the columns of
    the cohort's events and `sample`. `samples` has the columns `sample`, `subject_id` and `prediction_time`; its
    order is the order of the arrays' first axis. A sample without events of the modality is not `present`; its other
    arrays are then undefined.

    Tested for every featurizer: the order of the events does not matter; the arrays of a sample depend only on that
    sample's events and the fitted state; the state depends only on the samples given to `fit`, and is unchanged by a
    round trip through JSON.
    """

    modality: ClassVar[str]

    @classmethod
    def of(cls, options: Any, cache: EncoderCache) -> Self:
        """Return an unfitted featurizer; `options` None: the defaults."""
        ...

    @classmethod
    def options_for(cls, request: Request) -> Any:  # noqa: ARG003
        """Return the options that suit a study's models; None: the defaults."""
        return None

    @classmethod
    def is_recorded(cls, known: pl.DataFrame, samples: pl.DataFrame) -> bool:  # noqa: ARG003
        """Return whether the samples have enough events of the modality to fit a featurizer."""
        return any(modality(code) == cls.modality for code in known["code"].unique().cast(pl.String))

    def fit(self, known: pl.DataFrame, samples: pl.DataFrame) -> Self:
        """Fit the state (codes, scales, vocabulary) on training samples; return the featurizer itself."""
        ...

    def transform(self, known: pl.DataFrame, samples: pl.DataFrame, classical: bool = False) -> Arrays:
        """Return the arrays of `samples`, in their order; with `classical` also those that classical models use."""
        ...

    def state(self) -> dict[str, Any]:
        """Return the fitted state as JSON values, without NaN."""
        ...

    @classmethod
    def from_state(cls, state: dict[str, Any], *, cache: EncoderCache | None = None) -> Self:
        """Rebuild a featurizer from its state."""
        ...

    def sizes(self, arrays: Arrays) -> Mapping[str, Any]:
        """Return the sizes of the arrays: the fields of the modality's `Sizes`."""
        ...

    def read_from(self, blobs: Blobs) -> None:  # noqa: ARG002
        """Read blobs (images, waveforms) from `blobs` from now on; no effect if none are used."""
        return

    def use(self, resources: Resources) -> None:
        """Encode with these processes and this device from now on; no effect without a frozen encoder."""

    def prepare(self, known: pl.DataFrame, samples: pl.DataFrame, progress: Progress = SILENT) -> int:  # noqa: ARG002
        """Encode in advance what `transform` needs, and return the number newly encoded."""
        return 0

    @property
    def column_names(self) -> list[str]:
        """Names of features, codes or terms, for the columns of classical models."""
        return []

    @property
    def codes_read(self) -> frozenset[str]:
        """Codes whose events are used, if they are fitted; see also `Modality.kinds`."""
        return frozenset()

    def ignored(self, known: pl.DataFrame) -> dict[str, int]:  # noqa: ARG002
        """Count, by code, the events of codes that were absent or too rare in training."""
        return {}


class NotFittedError(RuntimeError):
    """A featurizer was used before `fit`."""

    def __init__(self, featurizer: object) -> None:
        super().__init__(f"{type(featurizer).__name__} is not fitted: call fit() with training samples first")


def sample_rows(known: pl.DataFrame, samples: pl.DataFrame) -> np.ndarray:
    """Return the row in `samples` of each event's sample, int64 `[event]`; -1 if `samples` lacks it."""
    numbers = samples["sample"].to_numpy()
    of_events = known["sample"].to_numpy()
    if len(numbers) == 0:
        return np.full(len(of_events), -1, dtype=np.int64)
    order = np.argsort(numbers, kind="stable")
    positions = np.searchsorted(numbers, of_events, sorter=order).clip(max=len(numbers) - 1)
    rows = order[positions]
    return np.where(numbers[rows] == of_events, rows, -1)

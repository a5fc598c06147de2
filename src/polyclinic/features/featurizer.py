"""What every featurizer promises: events known at a prediction time → arrays, fitted on training subjects alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import polars as pl

from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.progress import SILENT, Progress

Blobs = Callable[[str], Path]
"""From the name of a blob to its file, such as a cohort's `blob`."""

Arrays = dict[str, np.ndarray]
"""Arrays of one modality, all with the sample as first axis; always holds `present`, Boolean `[sample]`."""


@dataclass(frozen=True)
class Request:
    """What a study's models read of one modality, so that nothing else is computed."""

    reads: tuple[str, ...] = ()  # arrays that the encoder reads; empty: there is no network
    classical: bool = True  # whether classical models read it as well
    scale: str = "robust"  # how measurements are standardised
    terms: tuple[str, ...] = ("word",)  # of notes, for classical models


class Featurizer(Protocol):
    """Turns the events of one modality into arrays.

    `known` is the record as of each prediction time (`polyclinic.cohort.known_at`), input codes only: the columns of
    the cohort's events and `sample`. `samples` has the columns `sample`, `subject_id` and `prediction_time`; its
    order is the order of the arrays' first axis. A sample without events of the modality is not `present`, and what
    its other arrays hold then means nothing.

    Every featurizer keeps these laws, and is tested for them: the order of the events does not matter; what
    `transform` gives for one sample depends on that sample's events and the fitted state alone; the state is fitted
    on the samples given to `fit` alone, and survives JSON to the bit.
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

    def fit(self, known: pl.DataFrame, samples: pl.DataFrame) -> Self:
        """Learn the state (codes, scales, vocabulary) from training samples, and give the featurizer itself."""
        ...

    def transform(self, known: pl.DataFrame, samples: pl.DataFrame, classical: bool = False) -> Arrays:
        """Give the arrays of `samples`, in their order; with `classical` also those that classical models read."""
        ...

    def state(self) -> dict[str, Any]:
        """Give the fitted state as JSON values, without NaN."""
        ...

    @classmethod
    def from_state(cls, state: dict[str, Any], *, cache: EncoderCache | None = None) -> Self:
        """Rebuild the featurizer that gave `state`."""
        ...

    def sizes(self, arrays: Arrays) -> Mapping[str, Any]:
        """Return what an encoder must know of the arrays: the fields of the modality's `Sizes`."""
        ...

    def read_from(self, blobs: Blobs) -> None:
        """Read blobs (images, waveforms) from `blobs` from now on; without effect where none are read."""

    def prepare(self, known: pl.DataFrame, samples: pl.DataFrame, progress: Progress = SILENT) -> int:  # noqa: ARG002
        """Compute what the cache lacks for `transform`, with progress; return how much that was."""
        return 0

    @property
    def column_names(self) -> list[str]:
        """Names of features, codes or terms, of which the columns of classical models are named."""
        return []

    @property
    def codes_read(self) -> frozenset[str]:
        """Codes of which it reads the events, where it learns them in training; see also `Modality.kinds`."""
        return frozenset()

    def ignored(self, known: pl.DataFrame) -> dict[str, int]:  # noqa: ARG002
        """Count the events of codes that training did not show, or not often enough, by code."""
        return {}


class NotFittedError(RuntimeError):
    """A featurizer was used before `fit`."""

    def __init__(self, featurizer: object) -> None:
        super().__init__(f"{type(featurizer).__name__} has no state yet: call fit() with training samples first")


def sample_rows(known: pl.DataFrame, samples: pl.DataFrame) -> np.ndarray:
    """Give for each event of `known` the row of its sample in `samples`, int64 `[event]`; -1 where it has none."""
    wanted = samples["sample"].to_numpy()
    asked = known["sample"].to_numpy()
    if len(wanted) == 0:
        return np.full(len(asked), -1, dtype=np.int64)
    order = np.argsort(wanted, kind="stable")
    place = np.searchsorted(wanted, asked, sorter=order).clip(max=len(wanted) - 1)
    rows = order[place]
    return np.where(wanted[rows] == asked, rows, -1)

"""What every featurizer promises: events known at a prediction time → arrays, fitted on training subjects alone."""

from typing import Any, ClassVar, Protocol, Self

import numpy as np
import polars as pl

Arrays = dict[str, np.ndarray]
"""Arrays of one modality, all with the sample as first axis; always holds `present`, Boolean `[sample]`."""


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
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild the featurizer that gave `state`."""
        ...


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

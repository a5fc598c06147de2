"""A stacker for each subset of the inputs, since the best weights depend on the available inputs.

A boosted forest may be best with measurements, notes and images, and poor with the note only. So the members predict
all samples out of fold as if only a subset of the inputs had been recorded, for each of the 2^M − 1 subsets, and each
subset gets its own weights, strength and shift.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from polyclinic.modalities import in_order
from polyclinic.models.ensemble.stacker import (
    Able,
    Answers,
    Noise,
    Stacker,
    predict_without_input,
    rates_without_input,
)
from polyclinic.models.network.config import TaskKind

MIN_SAMPLES = 50
"""Labelled samples with all inputs of a subset; if there are fewer, samples with some of them are used too."""

Subset = tuple[str, ...]
Present = Mapping[str, Bool[np.ndarray, " sample"]]
"""Mask of the samples that have each modality."""


@dataclass(frozen=True)
class Combination:
    """Combine the members' predictions of each sample by the stacker of the sample's inputs.

    A sample without any input gets `no_input_prior`: the outcome rate of such samples in training, shrunk towards the
    overall rate, since missing records are rarely random.
    """

    kind: TaskKind
    stackers: dict[Subset, Stacker]
    no_input_prior: tuple[float, ...]  # score of each output of a sample without any input

    @classmethod
    def fit(
        cls,
        kind: TaskKind,
        predictions: Mapping[Subset, tuple[Answers, Able]],
        present: Present,
        targets: Float[np.ndarray, "sample number"],
        observed: Bool[np.ndarray, " sample"],
        noise: Mapping[Subset, Noise] = MappingProxyType({}),
    ) -> Combination:
        """Fit to the members' out-of-fold predictions given each subset of the inputs.

        `predictions` maps each subset to the predictions of every sample as if only the subset had been recorded;
        `noise` is the variance of their scores that they will not have in use (see `stacker`).
        """
        stackers, spread = {}, float(targets[observed].std()) if kind == "regression" else None
        for subset, (answers, able) in predictions.items():
            complete = observed & np.all([present[modality] for modality in subset], axis=0)
            partial = observed & np.any([present[modality] for modality in subset], axis=0)
            used = complete if complete.sum() >= MIN_SAMPLES else partial
            stackers[subset] = Stacker.fit(
                kind, answers, able, targets, used, spread=spread, noise=noise.get(subset, {})
            )
        without_input = ~np.any(list(present.values()), axis=0)
        return cls(kind, stackers, rates_without_input(kind, targets, observed, without_input))

    def __call__(self, answers: Answers, able: Able, present: Present) -> Float[np.ndarray, "sample output"]:
        """Combine; members missing from `answers` abstain."""
        samples = len(next(iter(present.values())))
        result = np.tile(predict_without_input(self.kind, self.no_input_prior), (samples, 1))
        for subset, rows in _groups(present):
            of_subset = {name: predicted[rows] for name, predicted in answers.items()}
            result[rows] = self.stackers[subset](of_subset, {name: able[name][rows] for name in of_subset})
        return result

    def nonzero_members(self, members: Iterable[str], present: Present) -> list[str]:
        """Return those of `members` with a non-zero weight for any of the samples."""
        stackers = [self.stackers[subset] for subset, _ in _groups(present)]
        return [name for name in members if any(stacker.weights.get(name, 0) > 0 for stacker in stackers)]

    def state(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        stackers = [{"inputs": list(subset), **stacker.state()} for subset, stacker in self.stackers.items()]
        return {"kind": self.kind, "no_input_prior": list(self.no_input_prior), "stackers": stackers}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Combination:
        """Rebuild a combination from its state."""
        stackers = {
            tuple(own["inputs"]): Stacker.from_state({name: value for name, value in own.items() if name != "inputs"})
            for own in state["stackers"]
        }
        return cls(state["kind"], stackers, tuple(state["no_input_prior"]))


def _groups(present: Present) -> Iterator[tuple[Subset, Int[np.ndarray, " row"]]]:
    """Yield each subset of the inputs that occurs, with the rows of its samples."""
    modalities = in_order(present)
    has = np.stack([present[modality] for modality in modalities], axis=1)
    patterns, group = np.unique(has, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        if pattern.any():
            yield tuple(np.array(modalities)[pattern].tolist()), np.flatnonzero(group.ravel() == number)

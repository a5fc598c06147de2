"""A stacker for each subset of the inputs: who is to be believed depends on what there was to see.

A boosted forest that was shown measurements, notes and pictures may lead where all are there, and know little where it
sees the note alone. So the members are asked out of fold about everyone as if only a subset of the inputs had been
recorded, for each of the 2^M − 1 subsets, and each gets weights, strength and shift of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from polyclinic.modalities import in_order
from polyclinic.models.ensemble.stacker import Able, Answers, Stacker, predict_without_input, rates_without_input
from polyclinic.models.network.config import TaskKind

ENOUGH = 50
"""Samples with all of a subset and an answer; of fewer, those who have some of it teach its stacker as well."""

Subset = tuple[str, ...]
Present = Mapping[str, Bool[np.ndarray, " sample"]]
"""By modality, which samples have it."""


@dataclass(frozen=True)
class Combination:
    """Combines the members' answers to each sample by the stacker of what the sample has.

    A sample without any input gets `no_input_prior`: the outcome rate of such samples in training, shrunk towards the
    overall rate. That nothing was recorded of a patient is seldom chance.
    """

    kind: TaskKind
    stackers: dict[Subset, Stacker]
    no_input_prior: tuple[float, ...]  # score of each output of a sample without any input

    @classmethod
    def fit(
        cls,
        kind: TaskKind,
        said: Mapping[Subset, tuple[Answers, Able]],
        present: Present,
        targets: Float[np.ndarray, "sample number"],
        observed: Bool[np.ndarray, " sample"],
    ) -> Combination:
        """Learn from what the members say of samples they were not fitted to, given each subset of the inputs.

        In `said` each subset has the answers to every sample as if it had no more than the subset.
        """
        stackers, spread = {}, float(targets[observed].std()) if kind == "regression" else None
        for subset, (answers, able) in said.items():
            whole = observed & np.all([present[modality] for modality in subset], axis=0)
            some = observed & np.any([present[modality] for modality in subset], axis=0)
            taught = whole if whole.sum() >= ENOUGH else some
            stackers[subset] = Stacker.fit(kind, answers, able, targets, taught, spread=spread)
        nothing = ~np.any(list(present.values()), axis=0)
        return cls(kind, stackers, rates_without_input(kind, targets, observed, nothing))

    def __call__(self, answers: Answers, able: Able, present: Present) -> Float[np.ndarray, "sample output"]:
        """Combine; members that are not among `answers` abstain."""
        samples = len(next(iter(present.values())))
        result = np.tile(predict_without_input(self.kind, self.no_input_prior), (samples, 1))
        for subset, rows in _groups(present):
            given = {name: one[rows] for name, one in answers.items()}
            result[rows] = self.stackers[subset](given, {name: able[name][rows] for name in given})
        return result

    def nonzero_members(self, members: Iterable[str], present: Present) -> list[str]:
        """Give those of `members` that have a weight for any of the samples."""
        asked = [self.stackers[subset] for subset, _ in _groups(present)]
        return [name for name in members if any(stacker.weights.get(name, 0) > 0 for stacker in asked)]

    def state(self) -> dict[str, Any]:
        """Give the state as JSON values."""
        stackers = [{"inputs": list(subset), **stacker.state()} for subset, stacker in self.stackers.items()]
        return {"kind": self.kind, "no_input_prior": list(self.no_input_prior), "stackers": stackers}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Combination:
        """Rebuild the combination that gave `state`."""
        stackers = {
            tuple(one["inputs"]): Stacker.from_state({name: value for name, value in one.items() if name != "inputs"})
            for one in state["stackers"]
        }
        return cls(state["kind"], stackers, tuple(state["no_input_prior"]))


def _groups(present: Present) -> Iterator[tuple[Subset, Int[np.ndarray, " row"]]]:
    """Give each subset of the inputs that some samples have, and these samples."""
    modalities = in_order(present)
    has = np.stack([present[modality] for modality in modalities], axis=1)
    patterns, group = np.unique(has, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        if pattern.any():
            yield tuple(np.array(modalities)[pattern].tolist()), np.flatnonzero(group.ravel() == number)

"""Classical members of an ensemble, and their inputs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Bool, Float, Int

from polyclinic.features import Arrays
from polyclinic.models.classical.design_matrix import Design
from polyclinic.models.classical.model import ClassicalModel
from polyclinic.models.ensemble.stacker_by_subset import Present, Subset


class MemberPrediction(NamedTuple):
    """One member's predictions for one task, and the samples that it can predict."""

    answers: Float[np.ndarray, "sample output"]
    able: Bool[np.ndarray, " sample"]
    noise: float = 0.0  # variance of the scores that they will not have in use (see `network_noise`)


class DesignRows(NamedTuple):
    """Design matrix (None if no row is usable) and the mask of usable rows."""

    matrix: Float[np.ndarray, "sample column"] | None
    able: Bool[np.ndarray, " sample"]

    @classmethod
    def of(cls, design: Design, arrays: Mapping[str, Arrays]) -> Self:
        """Compute the design's matrix of some samples."""
        able = design.able(arrays)
        return cls(design.matrix(arrays) if able.any() else None, able)

    def select(self, rows: Int[np.ndarray, " row"]) -> Self:
        """Select some samples."""
        return type(self)(None if self.matrix is None else self.matrix[rows], self.able[rows])

    def restricted_to(self, design: Design, present: Present, members: Collection[str]) -> Self:
        """Return the rows as if only the modalities `members` had been recorded."""
        kept = [present[modality] for modality in design.modalities if modality in members]
        able = np.logical_or.reduce(kept) if kept else np.zeros_like(self.able)
        if self.matrix is None or not able.any():
            return type(self)(None, able)
        return type(self)(design.without(self.matrix, set(design.modalities) - set(members)), able)


@dataclass
class Member:
    """A classical model and its design; it can predict samples with any of the design's modalities."""

    model: ClassicalModel
    design: Design

    def prediction(self, arrays: Mapping[str, Arrays]) -> MemberPrediction:
        """Predict from arrays."""
        return self.predict(DesignRows.of(self.design, arrays))

    def predict(self, rows: DesignRows) -> MemberPrediction:
        """Predict from the rows of its design."""
        if rows.matrix is None:
            return MemberPrediction(np.zeros((len(rows.able), self.model.config.outputs)), rows.able)
        return MemberPrediction(self.model.predict_proba(rows.matrix), rows.able)


def presence_of(arrays: Mapping[str, Arrays]) -> dict[str, Bool[np.ndarray, " sample"]]:
    """Return a mask of the samples that have each modality."""
    return {modality: np.asarray(own["present"], dtype=bool) for modality, own in arrays.items()}


class DesignCache:
    """The rows of some samples for each design, computed once per design."""

    def __init__(self, arrays: Mapping[str, Arrays]) -> None:
        self._arrays = arrays
        self._rows: dict[int, DesignRows] = {}

    def __getitem__(self, design: Design) -> DesignRows:
        if id(design) not in self._rows:
            self._rows[id(design)] = DesignRows.of(design, self._arrays)
        return self._rows[id(design)]


class SubsetPredictor:
    """Predicts some samples by members as if only some modalities had been recorded, once from the same inputs."""

    def __init__(self, rows_of: Callable[[Design], DesignRows], present: Present) -> None:
        self._rows_of = rows_of
        self._present = present
        self._found: dict[tuple[int, frozenset[str]], MemberPrediction] = {}

    def __call__(self, given: Subset, member: Member) -> MemberPrediction:
        """Predict from the modalities `given`."""
        read = frozenset(given).intersection(member.design.modalities)
        if (id(member), read) not in self._found:
            rows = self._rows_of(member.design).restricted_to(member.design, self._present, read)
            self._found[id(member), read] = member.predict(rows)
        return self._found[id(member), read]

"""Classical members of an ensemble, and what they read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Bool, Float, Int

from polyclinic.features import Arrays
from polyclinic.models.classical.design_matrix import Design
from polyclinic.models.classical.model import ClassicalModel
from polyclinic.models.ensemble.stacker_by_subset import Present


class MemberPrediction(NamedTuple):
    """What one member says of one task, and of which samples it can say anything."""

    answers: Float[np.ndarray, "sample output"]
    able: Bool[np.ndarray, " sample"]


class DesignRows(NamedTuple):
    """What members of one design are shown: their matrix, None where nobody is able to answer, and who is."""

    matrix: Float[np.ndarray, "sample column"] | None
    able: Bool[np.ndarray, " sample"]

    @classmethod
    def through(cls, design: Design, arrays: Mapping[str, Arrays]) -> Self:
        """Make the design's matrix of some samples."""
        able = design.able(arrays)
        return cls(design.matrix(arrays) if able.any() else None, able)

    def some(self, rows: Int[np.ndarray, " row"]) -> Self:
        """Keep some samples."""
        return type(self)(None if self.matrix is None else self.matrix[rows], self.able[rows])

    def keeping(self, design: Design, present: Present, members: Collection[str]) -> Self:
        """Give what the samples show if only the modalities `members` had been recorded."""
        kept = [present[modality] for modality in design.modalities if modality in members]
        able = np.logical_or.reduce(kept) if kept else np.zeros_like(self.able)
        if self.matrix is None or not able.any():
            return type(self)(None, able)
        return type(self)(design.without(self.matrix, set(design.modalities) - set(members)), able)


@dataclass
class Member:
    """A classical model and the design of its matrix; able to answer where any of its modalities is present."""

    model: ClassicalModel
    design: Design

    def prediction(self, arrays: Mapping[str, Arrays]) -> MemberPrediction:
        """Answer for each sample."""
        return self.predict(DesignRows.through(self.design, arrays))

    def predict(self, seen: DesignRows) -> MemberPrediction:
        """Answer for each sample from what its design shows."""
        if seen.matrix is None:
            return MemberPrediction(np.zeros((len(seen.able), self.model.config.outputs)), seen.able)
        return MemberPrediction(self.model.predict_proba(seen.matrix), seen.able)


def presence_of(arrays: Mapping[str, Arrays]) -> dict[str, Bool[np.ndarray, " sample"]]:
    """Tell by modality which samples have it."""
    return {modality: np.asarray(one["present"], dtype=bool) for modality, one in arrays.items()}


class DesignCache:
    """What members are shown of some samples; a design that several members share is made once."""

    def __init__(self, arrays: Mapping[str, Arrays]) -> None:
        self._arrays = arrays
        self._seen: dict[int, DesignRows] = {}

    def __getitem__(self, design: Design) -> DesignRows:
        if id(design) not in self._seen:
            self._seen[id(design)] = DesignRows.through(design, self._arrays)
        return self._seen[id(design)]

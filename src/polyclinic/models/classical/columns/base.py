"""The protocol of the columns of a modality."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np
from jaxtyping import Float, Int

from polyclinic.features import Arrays
from polyclinic.models.classical.imputation_and_scaling import Block
from polyclinic.models.classical.principal_components import Components


@dataclass(frozen=True)
class DesignOptions:
    """Maximum numbers of columns of high-dimensional sources, and the kind of those of series."""

    terms: int = 2000  # of the notes' TF-IDF: the most frequent in training
    sentence_components: int = 64
    image_components: int = 64
    trends: bool = False  # of series; otherwise the shares of low and high values


class Part(NamedTuple):
    """Adjacent columns of one source."""

    block: Block
    names: list[str]
    values: Float[np.ndarray, "sample column"]  # NaN where the sample lacks the modality


class ModalityColumns(Protocol):
    """The columns of one modality, with their fitted state."""

    adds_presence: ClassVar[bool]  # whether to add a column `… present`

    @classmethod
    def fit(cls, arrays: Arrays, names: Sequence[str], rows: Int[np.ndarray, " row"], options: DesignOptions) -> Self:
        """Fit to the training samples `rows`; `names` are the featurizer's `column_names`."""
        ...

    def parts(self, arrays: Arrays, others: Collection[str]) -> list[Part]:
        """Compute the columns; `others` are the other modalities of the design, which may contain the same data."""
        ...

    def state(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        ...

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild columns from their state."""
        ...


@dataclass(frozen=True)
class NamedColumns(ModalityColumns):
    """Columns of which nothing is learned but the featurizer's names."""

    names: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        arrays: Arrays,  # noqa: ARG003
        names: Sequence[str],
        rows: Int[np.ndarray, " row"],  # noqa: ARG003
        options: DesignOptions,  # noqa: ARG003
    ) -> Self:
        """Keep the names."""
        return cls(tuple(names))

    def state(self) -> dict[str, Any]:
        """Return the names."""
        return {"names": list(self.names)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild columns from their state."""
        return cls(tuple(state["names"]))


def part(name: str, names: list[str], values: np.ndarray, alike: bool = False) -> Part:
    """Return columns of one block, as float64."""
    return Part(Block(name, len(names), alike), names, values.astype(np.float64))


def component_part(source: str, components: Components, pooled: np.ndarray) -> Part:
    """Return the principal components of pooled embeddings."""
    values = components(pooled)
    return part(source, [f"{source} component {i + 1}" for i in range(values.shape[1])], values, alike=True)

"""The design matrix of classical models, computed from the featurizers' arrays."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from polyclinic.features import Arrays
from polyclinic.modalities import MODALITIES, References, in_order
from polyclinic.models.classical.columns.base import DesignOptions, ModalityColumns, Part
from polyclinic.models.classical.imputation_and_scaling import Block

LINEAR = DesignOptions()
"""For linear models, which tolerate many columns."""
TREES = DesignOptions(terms=200, sentence_components=16, image_components=16, trends=True)
"""For trees, which suffer from many columns."""
COLUMNS: Mapping[str, type[ModalityColumns]] = References({name: row.columns for name, row in MODALITIES.items()})
"""By modality."""
PRESENT = " present"
"""Suffix of the column that indicates whether a sample has a modality."""


@dataclass(frozen=True)
class Design:
    """Columns with their names and fitted state.

    See the columns of each modality. A sample without a modality has NaN in its columns, and 0 in its column
    `… present`.
    """

    options: DesignOptions
    sources: Mapping[str, ModalityColumns]  # by modality
    owners: tuple[str, ...] = ()  # the modality of each block
    blocks: tuple[Block, ...] = ()
    columns: tuple[str, ...] = ()

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities, in their order."""
        return tuple(self.sources)

    @classmethod
    def fit(
        cls,
        arrays: Mapping[str, Arrays],
        names: Mapping[str, Sequence[str]],
        rows: Int[np.ndarray, " row"] | None = None,
        options: DesignOptions = LINEAR,
    ) -> Design:
        """Fit to the training samples `rows` of the arrays.

        `names` are the featurizers' `column_names` by modality. The arrays used are `raw` (or `values` and `known`),
        triplets, `tfidf`, `sentences`, and `pooled` (or `tokens`), if available.
        """
        modalities = in_order(arrays)
        rows = np.arange(len(arrays[modalities[0]]["present"])) if rows is None else rows
        sources = {name: COLUMNS[name].fit(arrays[name], names.get(name, ()), rows, options) for name in modalities}
        unfitted = cls(options, sources)
        parts = unfitted._parts({m: {name: array[:1] for name, array in arrays[m].items()} for m in modalities})
        flat = [(modality, part) for modality, of_modality in parts.items() for part in of_modality]
        return cls(
            options,
            sources,
            tuple(modality for modality, _ in flat),
            tuple(part.block for _, part in flat),
            tuple(name for _, part in flat for name in part.names),
        )

    def matrix(self, arrays: Mapping[str, Arrays]) -> Float[np.ndarray, "sample column"]:
        """Return the matrix, float32, NaN where unknown."""
        parts = [part for of_modality in self._parts(arrays).values() for part in of_modality]
        matrix = np.empty((len(parts[0].values), len(self.columns)), dtype=np.float32)
        end = matrix.shape[1]
        while parts:  # each is freed once it is copied
            values = parts.pop().values
            matrix[:, end - values.shape[1] : end] = values
            end -= values.shape[1]
        return matrix

    def without(
        self, matrix: Float[np.ndarray, "sample column"], absent: Collection[str]
    ) -> Float[np.ndarray, "sample column"]:
        """Return a copy of a matrix as if the modalities `absent` had not been recorded."""
        result, start = matrix.copy(), 0
        for owner, block in zip(self.owners, self.blocks, strict=True):
            end = start + block.columns
            if owner in absent:
                result[:, start:end] = 0 if block.name.endswith(PRESENT) else np.nan
            start = end
        return result

    def able(self, arrays: Mapping[str, Arrays]) -> Bool[np.ndarray, " sample"]:
        """Return a mask of the samples that have any of the modalities."""
        able: np.ndarray = np.any([arrays[modality]["present"] for modality in self.modalities], axis=0)
        return able

    def state(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {
            "options": asdict(self.options),
            "sources": {modality: source.state() for modality, source in self.sources.items()},
            "owners": list(self.owners),
            "blocks": [asdict(block) for block in self.blocks],
            "columns": list(self.columns),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Design:
        """Rebuild a design from its state."""
        return cls(
            DesignOptions(**state["options"]),
            {name: COLUMNS[name].from_state(state["sources"][name]) for name in in_order(state["sources"])},
            tuple(state["owners"]),
            tuple(Block(**block) for block in state["blocks"]),
            tuple(state["columns"]),
        )

    def _parts(self, arrays: Mapping[str, Arrays]) -> dict[str, list[Part]]:
        parts: dict[str, list[Part]] = {}
        for modality, source in self.sources.items():
            present = np.asarray(arrays[modality]["present"])
            own = source.parts(arrays[modality], self.sources.keys() - {modality})
            absent = ~present
            for part in own:
                part.values[absent] = np.nan
            if source.adds_presence and own:
                name = f"{modality}{PRESENT}"
                own.append(Part(Block(name, 1), [name], present[:, None].astype(np.float32)))
            parts[modality] = own
        return parts

"""Series as columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int

from polyclinic.features import Arrays
from polyclinic.models.classical.columns.base import DesignOptions, ModalityColumns, Part, part
from polyclinic.models.classical.pooling import series_summaries, summary_names


@dataclass(frozen=True)
class SeriesColumns(ModalityColumns):
    """A summary of each code, unless structured features contain one."""

    adds_presence: ClassVar[bool] = False
    codes: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        arrays: Arrays,  # noqa: ARG003
        names: Sequence[str],
        rows: Int[np.ndarray, " row"],  # noqa: ARG003
        options: DesignOptions,  # noqa: ARG003
    ) -> SeriesColumns:
        """Keep the codes."""
        return cls(tuple(names))

    def parts(self, arrays: Arrays, others: Collection[str]) -> list[Part]:
        """Return one block, or none if there are structured features."""
        if "structured" in others:
            return []
        return [part("series", summary_names(self.codes), series_summaries(arrays, len(self.codes)))]

    def state(self) -> dict[str, Any]:
        """Return the codes."""
        return {"codes": list(self.codes)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> SeriesColumns:
        """Rebuild columns from their state."""
        return cls(tuple(state["codes"]))

"""Structured features as columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int

from polyclinic.features import Arrays
from polyclinic.models.classical.columns.base import DesignOptions, ModalityColumns, Part, part


@dataclass(frozen=True)
class StructuredColumns(ModalityColumns):
    """The raw features, in their units, NaN where unknown."""

    adds_presence: ClassVar[bool] = False
    names: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        arrays: Arrays,  # noqa: ARG003
        names: Sequence[str],
        rows: Int[np.ndarray, " row"],  # noqa: ARG003
        options: DesignOptions,  # noqa: ARG003
    ) -> StructuredColumns:
        """Keep the names."""
        return cls(tuple(names))

    def parts(self, arrays: Arrays, others: Collection[str]) -> list[Part]:  # noqa: ARG002
        """Return one block."""
        values = arrays["raw"] if "raw" in arrays else np.where(arrays["known"], arrays["values"], np.nan)
        return [part("structured", self._named(values.shape[1]), np.array(values))]

    def _named(self, count: int) -> list[str]:
        names = list(self.names) or [f"structured {place + 1}" for place in range(count)]
        if len(names) != count:
            raise ValueError(f"{len(names)} names were given for the {count} structured features")
        return names

    def state(self) -> dict[str, Any]:
        """Return the names."""
        return {"names": list(self.names)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> StructuredColumns:
        """Rebuild columns from their state."""
        return cls(tuple(state["names"]))

"""Electrocardiograms as columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int

from polyclinic.features import Arrays
from polyclinic.models.classical.columns.base import DesignOptions, ModalityColumns, Part, part


@dataclass(frozen=True)
class WaveformColumns(ModalityColumns):
    """The summary of the latest recording."""

    adds_presence: ClassVar[bool] = True
    names: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        arrays: Arrays,  # noqa: ARG003
        names: Sequence[str],
        rows: Int[np.ndarray, " row"],  # noqa: ARG003
        options: DesignOptions,  # noqa: ARG003
    ) -> WaveformColumns:
        """Keep the names."""
        return cls(tuple(names))

    def parts(self, arrays: Arrays, others: Collection[str]) -> list[Part]:  # noqa: ARG002
        """Return one block."""
        values = np.where(arrays["present"][:, None], arrays["summary"], np.nan)
        return [part("waveform", list(self.names), values)]

    def state(self) -> dict[str, Any]:
        """Return the names."""
        return {"names": list(self.names)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> WaveformColumns:
        """Rebuild the columns that gave `state`."""
        return cls(tuple(state["names"]))

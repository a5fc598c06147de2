"""Structured features as columns."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

import numpy as np

from polyclinic.features import Arrays
from polyclinic.models.classical.columns.base import NamedColumns, Part, part


class StructuredColumns(NamedColumns):
    """The raw features, in their units, NaN where unknown."""

    adds_presence: ClassVar[bool] = False

    def parts(self, arrays: Arrays, others: Collection[str]) -> list[Part]:  # noqa: ARG002
        """Return one block."""
        values = arrays["raw"] if "raw" in arrays else np.where(arrays["known"], arrays["values"], np.nan)
        return [part("structured", self._named(values.shape[1]), np.array(values))]

    def _named(self, count: int) -> list[str]:
        names = list(self.names) or [f"structured {place + 1}" for place in range(count)]
        if len(names) != count:
            raise ValueError(f"{len(names)} names were given for the {count} structured features")
        return names

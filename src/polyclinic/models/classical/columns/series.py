"""Series as columns."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from polyclinic.features import Arrays
from polyclinic.models.classical.columns.base import NamedColumns, Part, part
from polyclinic.models.classical.pooling import series_summaries, summary_names


class SeriesColumns(NamedColumns):
    """A summary of each code, unless structured features contain one."""

    adds_presence: ClassVar[bool] = False

    def parts(self, arrays: Arrays, others: Collection[str]) -> list[Part]:
        """Return one block, or none if there are structured features."""
        if "structured" in others:
            return []
        return [part("series", summary_names(self.names), series_summaries(arrays, len(self.names)))]

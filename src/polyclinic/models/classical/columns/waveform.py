"""Electrocardiograms as columns."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

import numpy as np

from polyclinic.features import Arrays
from polyclinic.models.classical.columns.base import NamedColumns, Part, part


class WaveformColumns(NamedColumns):
    """The summary of the latest recording."""

    adds_presence: ClassVar[bool] = True

    def parts(self, arrays: Arrays, others: Collection[str]) -> list[Part]:  # noqa: ARG002
        """Return one block."""
        values = np.where(arrays["present"][:, None], arrays["summary"], np.nan)
        return [part("waveform", list(self.names), values)]

"""Series as columns."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int

from polyclinic.features import Arrays
from polyclinic.models.classical.columns.base import DesignOptions, ModalityColumns, Part, part
from polyclinic.models.classical.pooling import (
    SHARES,
    TRENDS,
    series_shares,
    series_summaries,
    series_trends,
    summary_names,
    usual_range,
)

USUAL = (0.1, 0.9)
"""Quantiles of the training values between which a value is neither low nor high."""
WHOLE_WINDOW = 0.99
"""Share of the training values that are in the window."""


@dataclass(frozen=True)
class SeriesColumns(ModalityColumns):
    """A summary of each code, unless structured features contain one; and what such a summary lacks.

    Trees get the trend of each code, which they use to .004 AUPRC more (PhysioNet 2012). Linear models, which weigh a
    mean alike over its whole range, get the shares of low and of high values (.017 more).
    """

    adds_presence: ClassVar[bool] = False
    names: tuple[str, ...]
    trends: bool  # otherwise shares
    window_hours: float = 1.0
    low: tuple[float, ...] = ()  # of each code, standardised as the triplets are; infinite without training values
    high: tuple[float, ...] = ()

    @classmethod
    def fit(
        cls, arrays: Arrays, names: Sequence[str], rows: Int[np.ndarray, " row"], options: DesignOptions
    ) -> SeriesColumns:
        """Fit the window, or the usual range of each code."""
        training = {name: arrays[name][rows] for name in ("present", "triplet_code", "triplet_value", "triplet_time")}
        if options.trends:
            hours = training["triplet_time"][training["triplet_code"] > 0]
            window = float(np.quantile(hours, WHOLE_WINDOW)) if len(hours) else 0.0
            return cls(tuple(names), trends=True, window_hours=window or 1.0)
        low, high = usual_range(training, len(names), USUAL)
        return cls(tuple(names), trends=False, low=tuple(low.tolist()), high=tuple(high.tolist()))

    def parts(self, arrays: Arrays, others: Collection[str]) -> list[Part]:
        """Return one block."""
        names, values = summary_names(self.names, TRENDS if self.trends else SHARES), self._beyond_summaries(arrays)
        if "structured" not in others:
            names = summary_names(self.names) + names
            values = np.hstack([series_summaries(arrays, len(self.names)), values])
        return [part("series", names, values)]

    def _beyond_summaries(self, arrays: Arrays) -> Float[np.ndarray, "sample column"]:
        if self.trends:
            return series_trends(arrays, len(self.names), self.window_hours)
        return series_shares(arrays, np.array(self.low), np.array(self.high))

    def state(self) -> dict[str, Any]:
        """Return names, window and ranges."""
        return {
            "names": list(self.names),
            "trends": self.trends,
            "window_hours": self.window_hours,
            "low": [_or_none(value) for value in self.low],
            "high": [_or_none(value) for value in self.high],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> SeriesColumns:
        """Rebuild columns from their state."""
        low = tuple(-math.inf if value is None else value for value in state["low"])
        high = tuple(math.inf if value is None else value for value in state["high"])
        return cls(tuple(state["names"]), state["trends"], state["window_hours"], low, high)


def _or_none(value: float) -> float | None:
    """Return None for an infinite number, which JSON does not have."""
    return value if math.isfinite(value) else None

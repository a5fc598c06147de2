"""The columns of the structured features, and their values for each record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from polyclinic.features.measurements import measure
from polyclinic.features.structured.categories import Categories, categorise
from polyclinic.features.structured.summaries import STATISTICS, Summaries, summarise

COUNT, RARE, UNKNOWN = "count", "rare", "unknown"


class Column(NamedTuple):
    """One feature: a statistic of a code's values, or one of its categories (`= female`, `rare`, `unknown`)."""

    code: str
    of: str
    centre: float = 0.0
    spread: float = 1.0

    @property
    def name(self) -> str:
        """Display name: `LAB//lactate//mmol/L last`, `DEMOGRAPHIC//sex = female`."""
        return f"{self.code} {self.of}"


class RawFeatures(NamedTuple):
    """Unscaled features, and whether a sample has any event of the layout's codes."""

    values: np.ndarray  # float64 [sample, feature], NaN where unknown
    present: np.ndarray  # Boolean [sample]


@dataclass(frozen=True)
class Layout:
    """The codes used, and the columns computed from them."""

    limits: Mapping[str, tuple[float, float]]  # of numeric codes: lowest and highest value kept
    bare: Sequence[str]  # codes without values: an event counts as 1
    categories: Mapping[str, Sequence[str]]  # of categorical codes
    columns: list[Column]

    @classmethod
    def full(
        cls, limits: Mapping[str, tuple[float, float]], bare: Sequence[str], categories: Mapping[str, Sequence[str]]
    ) -> Layout:
        """Create a layout with every statistic and category of the codes."""
        columns = [Column(code, of) for code in (*limits, *bare) for of in STATISTICS]
        for code, texts in categories.items():
            columns += [Column(code, of) for of in (*map(category_column, texts), RARE, UNKNOWN)]
        return cls(limits, bare, categories, columns)

    def state(self) -> dict[str, Any]:
        """Return the layout as JSON values."""
        return {
            "limits": {code: list(limits) for code, limits in self.limits.items()},
            "bare": list(self.bare),
            "categories": {code: list(texts) for code, texts in self.categories.items()},
            "columns": [list(column) for column in self.columns],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Layout:
        """Rebuild a layout from its state."""
        limits = {code: (low, high) for code, (low, high) in state["limits"].items()}
        return cls(limits, state["bare"], state["categories"], [Column(*column) for column in state["columns"]])

    @property
    def codes(self) -> set[str]:
        """All codes used."""
        return {*self.limits, *self.bare, *self.categories}

    def read(self, known: pl.DataFrame, samples: pl.DataFrame) -> RawFeatures:
        """Compute the columns of each sample."""
        raw = RawFeatures(np.tile(self._when_absent, (samples.height, 1)), np.zeros(samples.height, dtype=bool))
        codes = [*self.limits, *self.bare]
        events = measure(known, samples, codes, bare=range(len(self.limits), len(codes)))
        self._write_numbers(summarise(events.within(self._all_limits)), raw)
        self._write_categories(categorise(known, samples, self.categories), raw)
        return raw

    @property
    def _all_limits(self) -> list[tuple[float, float]]:
        return [*self.limits.values(), *((1.0, 1.0) for _ in self.bare)]

    def _write_numbers(self, summaries: Summaries, raw: RawFeatures) -> None:
        row, code, table = summaries
        raw.present[row] = True
        for statistic, columns in enumerate(self._statistic_columns):
            kept = columns[code] >= 0
            raw.values[row[kept], columns[code[kept]]] = table[kept, statistic]

    def _write_categories(self, latest: Categories, raw: RawFeatures) -> None:
        row, code, category = latest
        raw.present[row] = True
        for index in np.unique(code):
            columns, column_of = self._category_columns[index]
            of_code = code == index
            raw.values[np.ix_(np.unique(row[of_code]), columns)] = 0.0
            hit = column_of[category[of_code]]
            raw.values[row[of_code][hit >= 0], hit[hit >= 0]] = 1.0

    @cached_property
    def centres(self) -> np.ndarray:
        """The centre subtracted from each column, float64 `[feature]`."""
        return np.array([column.centre for column in self.columns])

    @cached_property
    def spreads(self) -> np.ndarray:
        """The spread by which each column is divided, float64 `[feature]`."""
        return np.array([column.spread for column in self.columns])

    @cached_property
    def _when_absent(self) -> np.ndarray:
        """The columns of a sample without events, float64 `[feature]`."""
        absent = {COUNT: 0.0, UNKNOWN: 1.0}
        return np.array([absent.get(column.of, np.nan) for column in self.columns])

    @cached_property
    def _column_index(self) -> dict[tuple[str, str], int]:
        return {(column.code, column.of): index for index, column in enumerate(self.columns)}

    @cached_property
    def _statistic_columns(self) -> np.ndarray:
        """The column of each statistic of each code, int64 `[statistic, code]`; -1: none."""
        codes = [*self.limits, *self.bare]
        columns = [[self._column_index.get((code, of), -1) for code in codes] for of in STATISTICS]
        return np.array(columns, dtype=np.int64).reshape(len(STATISTICS), len(codes))

    @cached_property
    def _category_columns(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The columns of each code, and the column of each of all codes' categories, with that of `rare` last."""
        total = sum(map(len, self.categories.values()))
        result, start = [], 0
        for code, texts in self.categories.items():
            own = [self._column_index.get((code, of), -1) for of in (*map(category_column, texts), RARE, UNKNOWN)]
            column_of = np.full(total + 1, -1, dtype=np.int64)
            column_of[start : start + len(texts)] = own[:-2]
            column_of[-1] = own[-2]
            result.append((np.array([column for column in own if column >= 0], dtype=np.int64), column_of))
            start += len(texts)
        return result


def is_scaled(column: Column) -> bool:
    """Return whether the column is a statistic, which is scaled, and not a 0/1 category."""
    return column.of in STATISTICS


def category_column(text: str) -> str:
    """Return the column name of a category."""
    return f"= {text}"

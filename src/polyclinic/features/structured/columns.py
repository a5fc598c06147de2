"""Which features a structured record has, and the writing of a record into them."""

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
    """One feature: a statistic of a code's numbers, or one of its categories (`= female`, `rare`, `unknown`)."""

    code: str
    of: str
    centre: float = 0.0
    spread: float = 1.0

    @property
    def name(self) -> str:
        """As shown to people: `LAB//lactate//mmol/L last`, `DEMOGRAPHIC//sex = female`."""
        return f"{self.code} {self.of}"


class RawFeatures(NamedTuple):
    """Unscaled features, and whether a sample has any event of the layout's codes."""

    values: np.ndarray  # float64 [sample, feature], NaN where unknown
    present: np.ndarray  # Boolean [sample]


@dataclass(frozen=True)
class Layout:
    """The codes that are read, and the columns that they fill."""

    limits: Mapping[str, tuple[float, float]]  # of the codes with numbers: lowest and highest value kept
    bare: Sequence[str]  # codes without values: that they happened counts as 1
    categories: Mapping[str, Sequence[str]]  # of the codes with texts
    columns: list[Column]

    @classmethod
    def everything(
        cls, limits: Mapping[str, tuple[float, float]], bare: Sequence[str], categories: Mapping[str, Sequence[str]]
    ) -> Layout:
        """Lay out every statistic and category of the codes."""
        columns = [Column(code, of) for code in (*limits, *bare) for of in STATISTICS]
        for code, texts in categories.items():
            columns += [Column(code, of) for of in (*map(category_column, texts), RARE, UNKNOWN)]
        return cls(limits, bare, categories, columns)

    def state(self) -> dict[str, Any]:
        """Give the layout as JSON values."""
        return {
            "limits": {code: list(limits) for code, limits in self.limits.items()},
            "bare": list(self.bare),
            "categories": {code: list(texts) for code, texts in self.categories.items()},
            "columns": [list(column) for column in self.columns],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Layout:
        """Rebuild the layout that gave `state`."""
        limits = {code: (low, high) for code, (low, high) in state["limits"].items()}
        return cls(limits, state["bare"], state["categories"], [Column(*column) for column in state["columns"]])

    @property
    def codes(self) -> set[str]:
        """The codes that are read."""
        return {*self.limits, *self.bare, *self.categories}

    def read(self, known: pl.DataFrame, samples: pl.DataFrame) -> RawFeatures:
        """Write the record of each sample into the columns."""
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
        for statistic, places in enumerate(self._statistic_places):
            kept = places[code] >= 0
            raw.values[row[kept], places[code[kept]]] = table[kept, statistic]

    def _write_categories(self, latest: Categories, raw: RawFeatures) -> None:
        row, code, category = latest
        raw.present[row] = True
        for place in np.unique(code):
            columns, column_of = self._category_places[place]
            of_code = code == place
            raw.values[np.ix_(np.unique(row[of_code]), columns)] = 0.0
            hit = column_of[category[of_code]]
            raw.values[row[of_code][hit >= 0], hit[hit >= 0]] = 1.0

    @cached_property
    def centres(self) -> np.ndarray:
        """What is taken from each column when it is scaled, float64 `[feature]`."""
        return np.array([column.centre for column in self.columns])

    @cached_property
    def spreads(self) -> np.ndarray:
        """What each column is divided by when it is scaled, float64 `[feature]`."""
        return np.array([column.spread for column in self.columns])

    @cached_property
    def _when_absent(self) -> np.ndarray:
        """What the columns hold for a sample without events: float64 `[feature]`."""
        absent = {COUNT: 0.0, UNKNOWN: 1.0}
        return np.array([absent.get(column.of, np.nan) for column in self.columns])

    @cached_property
    def _places(self) -> dict[tuple[str, str], int]:
        return {(column.code, column.of): place for place, column in enumerate(self.columns)}

    @cached_property
    def _statistic_places(self) -> np.ndarray:
        """The column of each statistic of each code, int64 `[statistic, code]`; -1: it has none."""
        codes = [*self.limits, *self.bare]
        places = [[self._places.get((code, of), -1) for code in codes] for of in STATISTICS]
        return np.array(places, dtype=np.int64).reshape(len(STATISTICS), len(codes))

    @cached_property
    def _category_places(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each code its columns, and the column of each category of all codes in turn, the rare one at the end."""
        total = sum(map(len, self.categories.values()))
        found, start = [], 0
        for code, texts in self.categories.items():
            own = [self._places.get((code, of), -1) for of in (*map(category_column, texts), RARE, UNKNOWN)]
            column_of = np.full(total + 1, -1, dtype=np.int64)
            column_of[start : start + len(texts)] = own[:-2]
            column_of[-1] = own[-2]
            found.append((np.array([place for place in own if place >= 0], dtype=np.int64), column_of))
            start += len(texts)
        return found


def is_scaled(column: Column) -> bool:
    """Tell statistics, which are scaled, from categories, which stay 0 or 1."""
    return column.of in STATISTICS


def category_column(text: str) -> str:
    """Name the column of a category."""
    return f"= {text}"

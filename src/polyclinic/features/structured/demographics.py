"""Age and sex of each sample, read off the structured features: what a model knows of them, and nothing else.

A sample whose structured features are absent, or a task that does not let a model read age or sex, has neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from polyclinic.cohort import BIRTH
from polyclinic.features.age_bands import age_bands
from polyclinic.features.featurizer import Arrays
from polyclinic.features.structured.columns import RARE, UNKNOWN, Layout, category_column
from polyclinic.ingest.plausible import DAYS_PER_YEAR, YEARS_PER_UNIT

SEX = "DEMOGRAPHIC//sex"
AGES = {"demographic//age": 1.0} | {f"demographic//age//{unit}": years for unit, years in YEARS_PER_UNIT.items()}
"""Years per unit of each code of an age, in lower case."""
HOURS_PER_YEAR = DAYS_PER_YEAR * 24
ROUNDING = 1e-3
"""Years by which an age computed from scaled features may differ from the recorded one."""
OLDEST = 130
"""Years beyond which an age is taken for unknown, as is one below zero."""
LATEST = ("last", "first", "mean", "maximum", "minimum")
"""The statistics from which an age is read, the best first."""

Groups = Mapping[str, Sequence[str | None]]
"""The level of each sample by the name of the grouping (`age`, `sex`); None where it is unknown."""


class _Number(NamedTuple):
    """A scaled feature, and the years that it holds: years = feature · slope + start."""

    feature: int
    slope: float
    start: float


@dataclass(frozen=True)
class DemographicFeatures:
    """Where the structured features hold age and sex."""

    ages: tuple[_Number, ...]  # the first that is known counts
    sexes: Mapping[str, int]  # the feature of each category
    others: tuple[int, ...]  # features of unknown and of pooled categories
    remaining: str | None  # the category without a feature of its own, if there is exactly one

    @classmethod
    def of(cls, layout: Layout) -> Self:
        """Find them in the fitted layout."""
        place = {(column.code, column.of): index for index, column in enumerate(layout.columns)}
        recorded = sorted(code for code in layout.limits if code.lower() in AGES)
        found = [
            next(((place[code, of], AGES[code.lower()]) for of in LATEST if (code, of) in place), None)
            for code in recorded
        ]
        since_birth = place.get((BIRTH, "hours since last"))
        found += [None if since_birth is None else (since_birth, 1 / HOURS_PER_YEAR)]
        ages = [
            _Number(index, layout.columns[index].spread * years, layout.columns[index].centre * years)
            for index, years in filter(None, found)
        ]
        texts = layout.categories.get(SEX, ())
        sexes = {text: place[SEX, category_column(text)] for text in texts if (SEX, category_column(text)) in place}
        without = [text for text in texts if text not in sexes]
        others = tuple(place[SEX, of] for of in (RARE, UNKNOWN) if (SEX, of) in place)
        return cls(tuple(ages), sexes, others, without[0] if len(without) == 1 else None)

    def read(self, structured: Arrays) -> Groups:
        """Return the band of age and the sex of each sample, from the arrays of the structured featurizer."""
        present = np.asarray(structured["present"], dtype=bool)
        values, known = np.asarray(structured["values"]), np.asarray(structured["known"]) & present[:, None]
        groups: dict[str, Sequence[str | None]] = {}
        if self.ages:
            groups["age"] = age_bands(self._years(values, known))
        if self.sexes:
            groups["sex"] = self._sexes(values, known)
        return groups

    def _years(self, values: np.ndarray, known: np.ndarray) -> np.ndarray:
        years = np.full(len(values), np.nan)
        for feature, slope, start in self.ages:
            missing = np.isnan(years) & known[:, feature]
            years[missing] = values[missing, feature].astype(np.float64) * slope + start + ROUNDING
        return np.where((years >= 0) & (years <= OLDEST), years, np.nan)

    def _sexes(self, values: np.ndarray, known: np.ndarray) -> list[str | None]:
        features = list(self.sexes.values())
        holds = (values[:, features] > 0.5) & known[:, features]
        names, several = list(self.sexes), holds.sum(axis=1) > 1
        other = ((values[:, list(self.others)] > 0.5) & known[:, list(self.others)]).any(axis=1)
        found: list[str | None] = []
        for place in range(len(values)):
            if several[place] or other[place]:
                found.append(None)
            elif holds[place].any():
                found.append(names[int(holds[place].argmax())])
            else:
                found.append(self.remaining if known[place, features].all() else None)
        return found

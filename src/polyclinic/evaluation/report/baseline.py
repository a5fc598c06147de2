"""Baseline characteristics of samples at their prediction time, by outcome; small counts are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from polyclinic.evaluation.estimate import percent
from polyclinic.evaluation.record import Record
from polyclinic.evaluation.report.document import Cell, Table
from polyclinic.evaluation.small_counts import FEWEST, Hidden, hidden_cells, hidden_text

UNKNOWN = "unknown"
OTHER = "other"
Sums = tuple[tuple[int, ...], ...]
"""Groups of columns of which the first is the sum of the others."""
MOST_LEVELS = 6
"""Levels of a category that are shown; the others are one level."""


@dataclass(frozen=True)
class Column(Record):
    """Samples described by a column; `hidden` says why the counts are None."""

    name: str
    n: int | None
    subjects: int | None
    hidden: Hidden = ""


@dataclass(frozen=True)
class Summary(Record):
    """A number's or a level's summary in one column; `hidden` says why the counts are None."""

    n: int | None  # samples with a value, or of the level
    hidden: Hidden = ""
    share: float | None = None  # of a level, among the samples of the column
    median: float | None = None
    low: float | None = None  # first quartile
    high: float | None = None  # third quartile
    mean: float | None = None
    deviation: float | None = None

    def __str__(self) -> str:
        if self.hidden:
            return hidden_text(self.hidden)
        if self.share is not None:
            return f"{self.n:,} ({percent(self.share, 1)})"
        counted = "" if self.n is None else f", n {self.n:,}"
        return f"{self.median:.4g} [{self.low:.4g}, {self.high:.4g}]{counted}"


@dataclass(frozen=True)
class Variable(Record):
    """A characteristic; a row for a number, or one per level of a category."""

    name: str
    levels: tuple[str, ...] = ()  # none: a number
    rows: tuple[tuple[Summary, ...], ...] = ()  # one per level, each with one summary per column


@dataclass(frozen=True)
class Baseline(Record):
    """Characteristics of some samples."""

    columns: tuple[Column, ...] = ()
    variables: tuple[Variable, ...] = ()

    @property
    def levels(self) -> dict[str, tuple[str, ...]]:
        """The levels of each category."""
        return {variable.name: variable.levels for variable in self.variables if variable.levels}


@dataclass(frozen=True)
class Characteristics:
    """Values of each sample: numbers with NaN, and texts with None, where nothing is recorded."""

    subjects: Int[np.ndarray, " sample"]
    numbers: Mapping[str, np.ndarray] = field(default_factory=dict)
    texts: Mapping[str, Sequence[str | None]] = field(default_factory=dict)


def baseline(
    values: Characteristics,
    outcomes: Mapping[str, Bool[np.ndarray, " sample"]],
    levels: Mapping[str, Sequence[str]] | None = None,
    exclusive: bool = True,
) -> Baseline:
    """Describe all samples, and those of each outcome; `levels` are those to use, such as those of development.

    `exclusive`: every sample has at most one of the outcomes.
    """
    everyone = np.ones(len(values.subjects), dtype=bool)
    masks = {"all": everyone, **outcomes}
    sums = (tuple(range(len(masks))),) if exclusive and len(masks) > 2 else ()
    columns = _columns(masks, values.subjects, sums)
    variables = [_number(name, own, masks, values.subjects, sums) for name, own in values.numbers.items()]
    for name, own in values.texts.items():
        chosen = (levels or {}).get(name) or frequent_levels(own)
        variables.append(_category(name, own, chosen, masks, values.subjects, sums))
    return Baseline(columns, tuple(variable for variable in variables if variable.rows))


def _columns(masks: Mapping[str, np.ndarray], subjects: np.ndarray, sums: Sums) -> tuple[Column, ...]:
    people = _people(list(masks.values()), subjects)
    hidden = hidden_cells(people[None], sums, exclusive=False, known=(0,))[0]
    return tuple(
        Column(name, None, None, "small" if own < FEWEST else "protects")
        if hides or own < FEWEST
        else Column(name, int(mask.sum()), int(own))
        for (name, mask), own, hides in zip(masks.items(), people, hidden, strict=True)
    )


def _people(masks: Sequence[np.ndarray], subjects: np.ndarray) -> np.ndarray:
    """Return the number of subjects of each mask."""
    return np.array([len(np.unique(subjects[mask])) for mask in masks])


def _number(name: str, own: np.ndarray, masks: Mapping[str, np.ndarray], subjects: np.ndarray, sums: Sums) -> Variable:
    """Describe a number; counts from which a small one, or that of those without a value, would follow are left out."""
    known = np.isfinite(own)
    people = np.array([_people([mask & those for mask in masks.values()], subjects) for those in (known, ~known)])
    protects = hidden_cells(people, sums)[0] & (people[0] >= FEWEST)
    spreads = [_spread(own[mask], subjects[mask]) for mask in masks.values()]
    rows = tuple(replace(own, n=None) if hides else own for own, hides in zip(spreads, protects, strict=True))
    return Variable(name, (), (rows,))


def _spread(values: np.ndarray, subjects: np.ndarray) -> Summary:
    known = np.isfinite(values)
    if len(np.unique(subjects[known])) < FEWEST:
        return Summary(None, "small")
    low, median, high = (float(q) for q in np.quantile(values[known], (0.25, 0.5, 0.75)))
    mean, deviation = float(values[known].mean()), float(values[known].std())
    return Summary(int(known.sum()), "", None, median, low, high, mean, deviation)


def frequent_levels(texts: Sequence[str | None]) -> tuple[str, ...]:
    """Return the most frequent texts, the most frequent first."""
    names, counts = np.unique([text for text in texts if text is not None], return_counts=True)
    order = sorted(range(len(names)), key=lambda place: (-counts[place], names[place]))
    return tuple(str(names[place]) for place in order if counts[place] >= FEWEST)[:MOST_LEVELS]


def _category(
    name: str,
    texts: Sequence[str | None],
    levels: Sequence[str],
    masks: Mapping[str, np.ndarray],
    subjects: np.ndarray,
    sums: Sums,
) -> Variable:
    named = [level for level in levels if level not in (OTHER, UNKNOWN)]
    known = [UNKNOWN if text is None else text if text in named else OTHER for text in texts]
    own, names = np.array(known, dtype=object), (*named, OTHER, UNKNOWN)
    counts = np.array([[int((mask & (own == level)).sum()) for mask in masks.values()] for level in names])
    people = np.array([_people([mask & (own == level) for mask in masks.values()], subjects) for level in names])
    hidden = hidden_cells(people, sums)
    shown = [place for place in range(len(names)) if counts[place].any() or names[place] in levels]
    totals = [max(int(mask.sum()), 1) for mask in masks.values()]
    rows = tuple(
        tuple(_level(int(counts[p, c]), int(people[p, c]), bool(hidden[p, c]), totals[c]) for c in range(len(totals)))
        for p in shown
    )
    return Variable(name, tuple(names[place] for place in shown), rows)


def _level(count: int, people: int, hidden: bool, total: int) -> Summary:
    if hidden or people < FEWEST:
        return Summary(None, "small" if people < FEWEST else "protects")
    return Summary(count, "", count / total)


def baseline_table(parts: Mapping[str, Baseline]) -> Table:
    """List the characteristics, with the columns of each part beside each other; parts have the same variables."""
    header = [f"{part}: {column.name}" for part, own in parts.items() for column in own.columns]
    columns = [column for own in parts.values() for column in own.columns]
    lines: list[tuple[Cell, ...]] = [("Samples", *(hidden_text(c.hidden) if c.n is None else c.n for c in columns))]
    lines.append(("Subjects", *(hidden_text(c.hidden) if c.subjects is None else c.subjects for c in columns)))
    spans = set()
    for variable in next(iter(parts.values())).variables:
        rows = _rows_of(variable, parts)
        if variable.levels:
            spans.add(len(lines))
            lines.append((variable.name,))
        lines += rows
    return Table(("", *header), tuple(lines), spans=frozenset(spans))


def _rows_of(variable: Variable, parts: Mapping[str, Baseline]) -> list[tuple[Cell, ...]]:
    found = []
    for own in parts.values():
        same = [other for other in own.variables if other.name == variable.name]
        cells = dict(zip(same[0].levels or ("",), same[0].rows, strict=True)) if same else {}
        found.append((cells, len(own.columns)))
    levels = variable.levels or ("",)
    extra = [level for cells, _ in found for level in cells if level not in levels]
    return [
        (level or variable.name, *(str(cell) for cells, width in found for cell in cells.get(level, ("–",) * width)))
        for level in dict.fromkeys((*levels, *extra))
    ]


def outcome_masks(kind: str, values: np.ndarray, observed: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """Return a mask of the samples of each outcome, by its name; none for numbers."""
    if kind == "binary":
        return {"with outcome": observed & (values[:, 0] > 0.5), "without": observed & (values[:, 0] <= 0.5)}
    if kind == "time_to_event":
        return {"with event": observed & (values[:, 1] > 0.5), "censored": observed & (values[:, 1] <= 0.5)}
    if kind in ("multiclass", "multilabel"):
        return {name: observed & (values[:, place] > 0.5) for place, name in enumerate(names)}
    return {}

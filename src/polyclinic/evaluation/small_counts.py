"""Counts too small to share, since they could identify a patient."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int

from polyclinic.evaluation.estimate import Estimate

FEWEST = 5
"""Counts below this are not shown."""
FEW = f"< {FEWEST}"
PROTECTS = "not shown"
"""In place of a count from which a small one could be computed."""
TOO_FEW = "too few samples"
TOLERANCE = 1e-9
Hidden = Literal["", "small", "protects"]
"""Why a count is not shown: it is small, or a small one would follow from it."""


def count_text(count: int | None) -> str:
    """Format a count; a small one, or None, as `FEW`.

    >>> count_text(1234), count_text(4), count_text(None)
    ('1,234', '< 5', '< 5')
    """
    return FEW if count is None or count < FEWEST else f"{count:,}"


def without_small(text: str) -> str:
    """Return a text with the small count in it, if there is one, as "fewer than 5".

    >>> without_small("only 3 subjects"), without_small("only 12 with the outcome"), without_small("no sample")
    ('fewer than 5 subjects', 'only 12 with the outcome', 'no sample')
    >>> without_small("the truth in only 1.00 [.61, 1.00]")
    'the truth in only 1.00 [.61, 1.00]'
    """
    return re.sub(r"\bonly [0-4](?![\d.,])", f"fewer than {FEWEST}", text)


def without_reason(figure: Estimate) -> Estimate:
    """Return a figure that is not estimable, or has no interval, with a reason that tells no count."""
    return replace(figure, reason=TOO_FEW) if figure.reason else figure


def hidden_outcome(cases: int | None, with_it: int | None, without: int | None) -> Hidden:
    """Return why a number of samples with an outcome is not shown, by the subjects with it and those without it.

    >>> hidden_outcome(40, 40, 60), hidden_outcome(3, 3, 97), hidden_outcome(97, 97, 3)
    ('', 'small', 'protects')
    """
    if cases is None or with_it is None or without is None:
        return ""
    if with_it < FEWEST:
        return "small"
    return "protects" if without < FEWEST else ""


def hidden_text(hidden: Hidden) -> str:
    """Return what is written in place of a hidden count."""
    return FEW if hidden == "small" else PROTECTS


def hidden_cells(
    counts: Int[np.ndarray, "level column"],
    sums: tuple[tuple[int, ...], ...] = (),
    exclusive: bool = True,
    known: tuple[int, ...] = (),
    unwritten: tuple[int, ...] = (),
) -> Bool[np.ndarray, "level column"]:
    """Return the cells to hide: small ones, and others so that no small one follows from known sums.

    Rows without any sample in any column are not hidden: the level does not occur.

    Args:
        counts: of subjects.
        sums: groups of columns of which the first is the sum of the others.
        exclusive: whether the levels of a column add up to its number of subjects, which is taken as known.
        known: columns that are shown elsewhere; their cells are hidden only if they are small.
        unwritten: columns of which no cell is written; those that are not small may follow from others.
    """
    counts = np.asarray(counts)
    occurs = counts.max(axis=1, keepdims=True, initial=0) > 0
    small, places = (counts < FEWEST) & occurs, np.arange(counts.shape[1])
    hidden: np.ndarray = np.asarray(small | (occurs & np.isin(places, unwritten)), dtype=bool)
    free, harmless = occurs & ~np.isin(places, known), np.isin(places, unwritten) & ~small
    equations = _equations(counts.shape, sums, exclusive)
    while True:
        for telling in (
            _with_one(hidden, harmless, equations),
            _with_few(counts, hidden, equations),
            _with_derivable(hidden, small, equations),
        ):
            cells = (equations[telling] != 0).any(axis=0) & ~hidden & free
            if cells.any():
                places = np.argwhere(cells)[::-1]  # of equal ones the last: the first column is the sum
                row, column = places[np.argmin(counts[tuple(places.T)])]
                hidden[row, column] = True
                break
        else:
            return hidden


def _equations(shape: tuple[int, ...], sums: tuple[tuple[int, ...], ...], exclusive: bool) -> np.ndarray:
    """Return the coefficients [equation, level, column] of the sums that are known."""
    levels, columns = shape
    found = []
    for column in range(columns if exclusive else 0):
        equation = np.zeros(shape)
        equation[:, column] = 1
        found.append(equation)
    for first, *others in sums:
        for level in range(levels):
            equation = np.zeros(shape)
            equation[level, first], equation[level, others] = 1, -1
            found.append(equation)
    return np.array(found).reshape(-1, levels, columns)


def _with_one(hidden: np.ndarray, harmless: np.ndarray, equations: np.ndarray) -> np.ndarray:
    """Return the mask of the equations with a single hidden cell, which follows from the others, unless `harmless`."""
    own = (equations != 0) & hidden
    return np.asarray((own.sum(axis=(1, 2)) == 1) & ~(own & harmless).any(axis=(1, 2)))


def _with_few(counts: np.ndarray, hidden: np.ndarray, equations: np.ndarray) -> np.ndarray:
    """Return the mask of the equations whose hidden cells are few together."""
    own = equations * hidden
    return np.asarray(own.any(axis=(1, 2)) & (np.abs((own * counts).sum(axis=(1, 2))) < FEWEST))


def _with_derivable(hidden: np.ndarray, small: np.ndarray, equations: np.ndarray) -> np.ndarray:
    """Return the mask of the equations with a hidden cell that follows from all together, if a small one does."""
    unknown = equations[:, hidden]
    if not unknown.any():
        return np.zeros(len(equations), dtype=bool)
    _, values, rows = np.linalg.svd(unknown)
    free = rows[int((values > TOLERANCE).sum()) :]  # what the equations leave open
    derivable = np.zeros_like(hidden)
    derivable[hidden] = (np.abs(free) < TOLERANCE).all(axis=0)
    return np.asarray((equations[:, derivable] != 0).any(axis=1) & (derivable & small).any())

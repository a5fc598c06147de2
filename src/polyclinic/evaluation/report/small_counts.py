"""Counts too small to share, since they could identify a patient."""

from __future__ import annotations

import re

import numpy as np
from jaxtyping import Bool, Int

FEWEST = 5
"""Counts below this are not shown."""
FEW = f"< {FEWEST}"
PROTECTS = "not shown"
"""In place of a count from which a small one could be computed."""


def count_text(count: int | None) -> str:
    """Format a count; a small one, or None, as `FEW`.

    >>> count_text(1234), count_text(4), count_text(None)
    ('1,234', '< 5', '< 5')
    """
    return FEW if count is None or count < FEWEST else f"{count:,}"


def shown_count(count: int | None) -> int | None:
    """Return the count; None if it is small."""
    return None if count is None or count < FEWEST else count


def without_small(text: str) -> str:
    """Return a text with the small count in it, if there is one, as "fewer than 5".

    >>> without_small("only 3 subjects"), without_small("only 12 with the outcome"), without_small("no sample")
    ('fewer than 5 subjects', 'only 12 with the outcome', 'no sample')
    >>> without_small("the truth in only 1.00 [.61, 1.00]")
    'the truth in only 1.00 [.61, 1.00]'
    """
    return re.sub(r"\bonly [0-4](?![\d.,])", f"fewer than {FEWEST}", text)


def hidden_cells(
    counts: Int[np.ndarray, "level column"], outcomes: tuple[tuple[int, ...], ...] = ()
) -> Bool[np.ndarray, "level column"]:
    """Return the cells to hide: small ones, and those needed so that no small one follows from a known sum.

    The levels of a column add up to its number of samples. `outcomes` are groups of columns that add up to another
    one. Rows without any sample in any column are not hidden: the level does not occur.
    """
    occurs = np.asarray(counts).max(axis=1, keepdims=True, initial=0) > 0
    hidden: np.ndarray = np.asarray((counts < FEWEST) & occurs, dtype=bool)
    while True:
        before = hidden.copy()
        for column in range(counts.shape[1]):
            _hide_second(hidden[:, column], counts[:, column], np.asarray(occurs)[:, 0])
        for group in outcomes:
            columns = list(group)
            for row in range(len(counts)):
                own = hidden[row, columns]
                _hide_second(own, counts[row, columns], np.ones(len(columns), dtype=bool))
                hidden[row, columns] = own
        if np.array_equal(before, hidden):
            return hidden


def _hide_second(hidden: np.ndarray, counts: np.ndarray, candidates: np.ndarray) -> None:
    """Where one cell alone is hidden, hide the smallest of the others, too."""
    others = np.flatnonzero(~hidden & candidates)
    if hidden.sum() == 1 and len(others):
        hidden[others[np.argmin(counts[others])]] = True

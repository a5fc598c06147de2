"""Bands of age."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from math import isfinite

import numpy as np

AGE_EDGES = (18, 40, 65, 80)
"""Years at which the bands begin, after the first."""


def age_bands(ages: Sequence[float | None] | np.ndarray, edges: Sequence[int] = AGE_EDGES) -> list[str | None]:
    """Return the band of each age in years; None where the age is unknown.

    >>> age_bands([3, 40, 64.9, 91, None])
    ['0–17', '40–64', '40–64', '80+', None]
    """
    bounds = [0, *edges]
    names = [f"{low}–{high - 1}" for low, high in pairwise(bounds)] + [f"{bounds[-1]}+"]
    bands: list[str | None] = []
    for age in ages:
        known = age is not None and isfinite(age)
        bands.append(names[bisect_right(edges, float(age or 0))] if known else None)
    return bands

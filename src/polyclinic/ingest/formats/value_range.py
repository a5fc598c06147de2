"""The range of an image's values, without the few that would make all others look alike.

A marker burnt into the image, a dead pixel or padding that is not declared may lie far outside the values of the
anatomy. The ends of the range are therefore those of a box plot's whiskers: the outermost values within `REACH` of the
central ones. Without outliers these are the minimum and maximum.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Integer, Shaped

RARE = 0.005
"""Largest share of the pixels that count as outliers at either end."""
REACH = 0.25
"""Distance of an outlier from the central values, as a fraction of their range."""

_LEAST_DISTINCT = 16  # values besides an isolated one
_BLOCK_PIXELS = 1 << 20  # counted at a time, as counting takes 8 bytes per pixel


class Histogram(NamedTuple):
    """The distinct values of an image in ascending order, with their counts."""

    values: Shaped[np.ndarray, " value"]
    counts: Integer[np.ndarray, " value"]


def histogram(pixels: Integer[np.ndarray, "*shape"], lowest: int, size: int) -> Histogram:
    """Count the values of `pixels`, which lie from `lowest` to `lowest + size - 1`."""
    flat, counts = pixels.reshape(-1), np.zeros(size, dtype=np.int64)
    for start in range(0, len(flat), _BLOCK_PIXELS):
        counts += np.bincount(flat[start : start + _BLOCK_PIXELS].astype(np.int64) - lowest, minlength=size)
    present = np.flatnonzero(counts)
    return Histogram(present + lowest, counts[present])


def distinct(values: Shaped[np.ndarray, " value"], counts: Integer[np.ndarray, " value"]) -> Histogram:
    """Sort values and add up the counts of equal ones."""
    unique, places = np.unique(values, return_inverse=True)
    return Histogram(unique, np.bincount(places, weights=counts, minlength=len(unique)).astype(np.int64))


def central_range(image: Histogram) -> tuple[float, float]:
    """Return the lowest and the highest value after removing the share `RARE` of the pixels at each end."""
    upto = image.counts.cumsum()
    rare = int(RARE * upto[-1])
    low, high = np.searchsorted(upto, [rare, upto[-1] - rare - 1], side="right")
    return float(image.values[low]), float(image.values[high])


def likely_range(image: Histogram) -> tuple[float, float]:
    """Return the lowest and the highest value that are no outliers.

    Outliers are up to `RARE` of the pixels at either end, if farther than `REACH` from the central range, and any
    number of pixels of one value that lies farther from all others than these from each other.
    """
    image = _without_isolated(image)
    low, high = central_range(image)
    reach = REACH * (high - low)
    inside = image.values[(image.values >= low - reach) & (image.values <= high + reach)]
    return float(inside[0]), float(inside[-1])


def _without_isolated(image: Histogram) -> Histogram:
    values = image.values.astype(np.float64)
    first, last = 0, len(values) - 1
    if last - first > _LEAST_DISTINCT and values[last] - values[last - 1] > values[last - 1] - values[first]:
        last -= 1
    if last - first > _LEAST_DISTINCT and values[first + 1] - values[first] > values[last] - values[first + 1]:
        first += 1
    return Histogram(image.values[first : last + 1], image.counts[first : last + 1])

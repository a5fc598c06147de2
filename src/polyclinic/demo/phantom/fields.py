"""Operations on images as float32 fields: soft edges, smooth noise, splatted points."""

# The arithmetic of arrays is typed as Any.
# mypy: disable-error-code="no-any-return"

from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Field = Float32[np.ndarray, "row column"]
Floats = NDArray[np.floating[Any]]


def soft(x: Floats) -> Field:
    """Smoothstep: rise from 0 (x ≤ 0) to 1 (x ≥ 1)."""
    t = np.clip(x, 0, 1, dtype=np.float32)
    return t * t * (3 - 2 * t)


def dome(level: Floats) -> Field:
    """Return the thickness of an ellipsoid seen from the front: √(1 − level²), 0 for level > 1."""
    return np.sqrt(np.maximum(1 - level * level, 0))


@lru_cache(maxsize=64)
def _spline(points: int, cells: int) -> tuple[Int64[np.ndarray, " point"], Float32[np.ndarray, "knot point 1"]]:
    """Cubic B-spline over `cells` intervals: the first of the four knots of each point, and their weights."""
    position = np.linspace(0, cells, points, endpoint=False)
    first = np.floor(position).astype(np.int64)
    distance = np.abs(position - first + 1 - np.arange(4)[:, None])
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    return first, np.where(distance < 1, near, far).astype(np.float32)[:, :, None]


def _spread(knots: Field, points: int) -> Field:
    """Evaluate the spline along the rows, without a matrix product, because threaded BLAS is slower here."""
    first, weights = _spline(points, len(knots) - 3)
    total: Field = weights[0] * knots[first]
    for offset in range(1, 4):
        total += weights[offset] * knots[first + offset]
    return total


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> Field:
    """Draw a smooth random field of about unit variance with `cells` intervals per side."""
    knots = rng.standard_normal((cells + 3, cells + 3), dtype=np.float32) * np.float32(2.1)
    return _spread(np.ascontiguousarray(_spread(knots, shape[1]).T), shape[0])


def enlarged(coarse: Field, shape: tuple[int, int]) -> Field:
    """Upsample a field of every second pixel by linear interpolation."""
    return _doubled(_doubled(coarse, shape[0]).T, shape[1]).T


def _doubled(field: Field, rows: int) -> Field:
    padded = np.concatenate([field, field[-1:]])
    out = np.empty((2 * len(field), field.shape[1]), np.float32)
    out[::2] = field
    out[1::2] = (padded[:-1] + padded[1:]) * np.float32(0.5)
    return out[:rows]


def blurred(field: Field, pixels: float) -> Field:
    """Blur with a Gaussian of the given standard deviation."""
    smoothed: Field = gaussian_filter(field, pixels, truncate=3.0)
    return smoothed


def splat(shape: tuple[int, int], x: Floats, y: Floats, weight: Floats) -> Field:
    """Add points of the given weights, each distributed to its four nearest pixels."""
    height, width = shape
    column, row = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    inside = (column >= 0) & (column < width - 1) & (row >= 0) & (row < height - 1)
    column, row, weight = column[inside], row[inside], weight[inside]
    right, down = x[inside] - column, y[inside] - row
    corner = row * width + column
    indices = np.concatenate([corner, corner + 1, corner + width, corner + width + 1])
    shares = np.concatenate([(1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down]) * np.tile(
        weight, 4
    )
    return np.bincount(indices, shares, height * width).astype(np.float32).reshape(shape)

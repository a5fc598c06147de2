"""Regions: parts of an image or volume, as a circle, a box and a mask.

**Coordinates** are counted in pixels from the outer corner of the first pixel, in the order of the array's axes: (y, x)
in an image, (z, y, x) in a volume. Pixel i covers i to i + 1 and its centre is at i + ½; so a box of whole pixels and
one between pixels are the same thing, and no half pixel is lost when a grid is scaled. DICOM is the same, but with the
column first (SCOORD, PS3.3 C.18.6): `Box.xyxy` and `Circle.xyr` give that order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite, prod
from typing import Self

import numpy as np
from jaxtyping import Bool, Int

from polyclinic.evaluation.record import Record

Array = np.ndarray
Point = tuple[float, ...]


@dataclass(frozen=True)
class Circle(Record):
    """A circle, or in a volume a ball."""

    centre: Point
    radius: float

    def __post_init__(self) -> None:
        if not (self.radius >= 0 and isfinite(self.radius) and all(map(isfinite, self.centre))):
            raise ValueError("a circle has a finite centre and a radius of at least 0")

    @property
    def xyr(self) -> tuple[float, ...]:
        """The centre with the column first, and the radius."""
        return (*reversed(self.centre), self.radius)


@dataclass(frozen=True)
class Box(Record):
    """All points with start ≤ coordinate < stop along each axis."""

    start: Point
    stop: Point

    def __post_init__(self) -> None:
        if len(self.start) != len(self.stop) or not all(map(isfinite, (*self.start, *self.stop))):
            raise ValueError("a box has a finite start and stop along each axis")
        if any(stop <= start for start, stop in zip(self.start, self.stop, strict=True)):
            raise ValueError("a box has a stop above its start along each axis")

    @classmethod
    def of_xyxy(cls, x0: float, y0: float, x1: float, y1: float) -> Self:
        """Return the box of an image with columns x0 ≤ x < x1 and rows y0 ≤ y < y1."""
        return cls((float(y0), float(x0)), (float(y1), float(x1)))

    @property
    def xyxy(self) -> tuple[float, ...]:
        """The corners with the column first: (x0, y0, x1, y1)."""
        return (*reversed(self.start), *reversed(self.stop))

    @property
    def size(self) -> float:
        """Area, or in a volume the volume."""
        return prod(stop - start for start, stop in zip(self.start, self.stop, strict=True))

    def holds(self, point: Sequence[float], margin: float = 0) -> bool:
        """Return whether a point lies in the box grown by `margin` on every side."""
        sides = zip(self.start, point, self.stop, strict=True)
        return all(start - margin <= at < stop + margin for start, at, stop in sides)

    def clipped(self, shape: Sequence[int]) -> Self | None:
        """Clip the box to a grid of this shape; None if nothing is left."""
        start = tuple(max(at, 0.0) for at in self.start)
        stop = tuple(min(at, float(most)) for at, most in zip(self.stop, shape, strict=True))
        return type(self)(start, stop) if all(a < b for a, b in zip(start, stop, strict=True)) else None


def box_iou(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes (Jaccard 1912).

    >>> box_iou(Box.of_xyxy(0, 0, 2, 2), Box.of_xyxy(1, 0, 3, 2))
    0.3333333333333333
    """
    starts, stops = zip(one.start, other.start, strict=True), zip(one.stop, other.stop, strict=True)
    sides = [min(stop) - max(start) for start, stop in zip(starts, stops, strict=True)]
    common = prod(sides) if all(side > 0 for side in sides) else 0.0
    return common / (one.size + other.size - common)


@dataclass(frozen=True)
class Mask(Record):
    """Some pixels of a grid, as runs: the raster positions where a run starts, and how long it is, by turns."""

    shape: tuple[int, ...]
    runs: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.runs) % 2:
            raise ValueError("the runs of a mask are starts and lengths by turns: their number is even")
        starts, ends = self._edges()
        inside = not len(ends) or (starts[0] >= 0 and ends[-1] <= prod(self.shape))
        if not inside or (ends <= starts).any() or (starts[1:] <= ends[:-1]).any():
            raise ValueError("the runs of a mask lie within its shape, one after the other with a gap between them")

    @classmethod
    def of(cls, array: Bool[Array, "*grid"]) -> Self:
        """Find the runs of an array."""
        edges = np.flatnonzero(np.diff(array.ravel().astype(np.int8), prepend=0, append=0))
        return cls.of_runs(array.shape, edges[::2], edges[1::2])

    @classmethod
    def of_runs(cls, shape: Sequence[int], starts: Int[Array, " run"], ends: Int[Array, " run"]) -> Self:
        """Take runs in raster order; those that touch (at the end of a row) become one."""
        gap = starts[1:] > ends[:-1]
        starts, ends = starts[np.append(True, gap)[: len(starts)]], ends[np.append(gap, True)[: len(ends)]]
        return cls(tuple(shape), tuple(np.stack([starts, ends - starts], axis=1).ravel().tolist()))

    def array(self) -> Bool[Array, "*grid"]:
        """Return the mask as an array."""
        steps = np.zeros(prod(self.shape) + 1, dtype=np.int8)
        starts, ends = self._edges()
        steps[starts], steps[ends] = 1, -1
        array: Array = np.cumsum(steps[:-1], dtype=np.int8).astype(bool).reshape(self.shape)
        return array

    def _edges(self) -> tuple[Int[Array, " run"], Int[Array, " run"]]:
        starts, lengths = np.array(self.runs[::2], dtype=np.int64), np.array(self.runs[1::2], dtype=np.int64)
        return starts, starts + lengths

    @property
    def pixels(self) -> int:
        """How many there are."""
        return sum(self.runs[1::2])


@dataclass(frozen=True)
class Region(Record):
    """A part of an image or volume that supports the answer.

    Lengths in millimetres are given if the pixel spacing is known; they start at the same corner.
    """

    circle: Circle
    box: Box
    mask: Mask
    peak: Point  # the centre of the pixel with the highest attribution
    strength: float  # attribution of the peak, as a share of the map's maximum
    share: float  # of the map's positive attribution in the region
    circle_mm: Circle | None = None
    box_mm: Box | None = None

    def in_mm(self, spacing_mm: Sequence[float]) -> Self:
        """Add the millimetres of circle and box, from the spacing of pixels along each axis.

        Where it differs between the axes, the circle in millimetres is the one that covers the ellipse.
        """
        _check_spacing(spacing_mm, len(self.circle.centre))
        circle = Circle(scaled(self.circle.centre, spacing_mm), self.circle.radius * max(spacing_mm))
        box = Box(scaled(self.box.start, spacing_mm), scaled(self.box.stop, spacing_mm))
        return replace(self, circle_mm=circle, box_mm=box)


def _check_spacing(spacing: Sequence[float], axes: int) -> None:
    if len(spacing) != axes or not all(isfinite(step) and step > 0 for step in spacing):
        raise ValueError(f"the spacing must be {axes} finite numbers above 0, one per axis")


def scaled(point: Sequence[float], factors: Sequence[float]) -> Point:
    """Multiply each coordinate by the factor of its axis."""
    return tuple(at * factor for at, factor in zip(point, factors, strict=True))

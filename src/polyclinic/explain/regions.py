"""Regions: parts of a picture or volume, as a circle, a box and a mask, and the way back from the network's canvas.

**Coordinates** are counted in pixels from the outer corner of the first pixel, in the order of the array's axes: (y, x)
in a picture, (z, y, x) in a volume. Pixel i covers i to i + 1 and its centre is at i + ½; so a box of whole pixels and
one between pixels are the same thing, and no half pixel is lost when a grid is scaled. DICOM counts alike, but with the
column first (SCOORD, PS3.3 C.18.6): `Box.xyxy` and `Circle.xyr` give that order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, prod
from typing import Literal, NamedTuple, Self

import numpy as np
from jaxtyping import Bool, Int

from polyclinic.evaluation.record import Record
from polyclinic.features.image_pixels import Fit, place

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
        """Give the centre with the column first, and the radius."""
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
        """Make a picture's box of columns x0 ≤ x < x1 and rows y0 ≤ y < y1."""
        return cls((float(y0), float(x0)), (float(y1), float(x1)))

    @property
    def xyxy(self) -> tuple[float, ...]:
        """Give the corners with the column first: (x0, y0, x1, y1)."""
        return (*reversed(self.start), *reversed(self.stop))

    @property
    def size(self) -> float:
        """Area, or in a volume the volume."""
        return prod(stop - start for start, stop in zip(self.start, self.stop, strict=True))

    def holds(self, point: Sequence[float], margin: float = 0) -> bool:
        """Say whether a point lies in the box grown by `margin` on every side."""
        sides = zip(self.start, point, self.stop, strict=True)
        return all(start - margin <= at < stop + margin for start, at, stop in sides)

    def grown(self, margin: float) -> Self:
        """Give the box grown by `margin` on every side."""
        return type(self)(tuple(at - margin for at in self.start), tuple(at + margin for at in self.stop))

    def clipped(self, shape: Sequence[int]) -> Self | None:
        """Give what of the box lies on a grid of this shape; None if nothing does."""
        start = tuple(max(at, 0.0) for at in self.start)
        stop = tuple(min(at, float(most)) for at, most in zip(self.stop, shape, strict=True))
        return type(self)(start, stop) if all(a < b for a, b in zip(start, stop, strict=True)) else None


def box_iou(one: Box, other: Box) -> float:
    """Give intersection over union of two boxes (Jaccard 1912).

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
        """Give the mask as an array."""
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
    """A part of a picture or volume that spoke for the answer.

    Lengths in millimetres are there where the spacing of the pixels is known; they start at the same corner.
    """

    circle: Circle
    box: Box
    mask: Mask
    peak: Point  # the centre of the pixel with the highest attribution
    strength: float  # its attribution, as a share of the whole map's highest
    share: float  # of all positive attribution in the map, what lies in the region
    circle_mm: Circle | None = None
    box_mm: Box | None = None

    def in_mm(self, spacing_mm: Sequence[float]) -> Self:
        """Add the millimetres of circle and box, from the spacing of pixels along each axis.

        Where it differs between the axes, the circle in millimetres is the one that covers the ellipse.
        """
        _check_spacing(spacing_mm, len(self.circle.centre))
        circle = Circle(_times(self.circle.centre, spacing_mm), self.circle.radius * max(spacing_mm))
        box = Box(_times(self.box.start, spacing_mm), _times(self.box.stop, spacing_mm))
        return replace(self, circle_mm=circle, box_mm=box)


@dataclass(frozen=True)
class Canvas:
    """How a picture of `height` × `width` pixels lies on the square canvas that the network sees.

    A map may be coarser or finer than the canvas; it covers all of it, black borders included.
    """

    height: int
    width: int
    side: int = 224
    fit: Fit = "letterbox"

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.side) < 1:
            raise ValueError("a picture and its canvas have at least one pixel on each side")

    def to_map(self, box: Box, shape: tuple[int, int] | None = None) -> Box:
        """Give where a box of the picture lies on a map of the canvas, of the canvas's own size if not said."""
        scale, offset = self._scale_and_offset(shape or (self.side, self.side))
        return Box(_linear(box.start, scale, offset), _linear(box.stop, scale, offset))

    def to_picture(self, region: Region, spacing_mm: Sequence[float] | None = None) -> Region | None:
        """Give where a region of a map lies in the picture, in pixels and, if the spacing is known, in millimetres.

        Its mask is the pixels whose centre falls in a pixel of the region, or that hold the centre of one. The box is
        cut at the picture's edges; the circle covers what it covered on the map, and may reach beyond them.

        Args:
            region: as `localise` found it on a map of the whole canvas.
            spacing_mm: of the picture's rows and columns.

        Returns:
            None for a region that lies in the canvas's black borders alone.
        """
        scale, offset = self._scale_and_offset(region.mask.shape)
        back = tuple(1 / factor for factor in scale)
        origin = tuple(-shift / factor for shift, factor in zip(offset, scale, strict=True))
        whole = Box(_linear(region.box.start, back, origin), _linear(region.box.stop, back, origin))
        box = whole.clipped((self.height, self.width))
        mask = self._mask(region.mask, box, scale, offset) if box else None
        if box is None or mask is None or not mask.runs:
            return None
        circle = Circle(_linear(region.circle.centre, back, origin), region.circle.radius * max(back))
        peak = _linear(region.peak, back, origin)
        found = replace(region, circle=circle, box=box, mask=mask, peak=peak, circle_mm=None, box_mm=None)
        return found if spacing_mm is None else found.in_mm(spacing_mm)

    def _scale_and_offset(self, shape: Sequence[int]) -> tuple[Point, Point]:
        """Give map pixels per picture pixel, and where the picture starts on the map, along y and x."""
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(f"a map of shape {tuple(shape)} cannot be of a square canvas: give one of all of it")
        fine = shape[0] / self.side
        lies = place(self.width, self.height, self.side, self.fit)
        return (lies.height / self.height * fine, lies.width / self.width * fine), (lies.top * fine, lies.left * fine)

    def _mask(self, mask: Mask, box: Box, scale: Point, offset: Point) -> Mask:
        """Carry a mask over within the window of its box."""
        kept = mask.array()
        first = [int(at) for at in box.start]
        last = [min(int(np.ceil(at)), most) for at, most in zip(box.stop, (self.height, self.width), strict=True)]
        nearest = [
            np.clip(((np.arange(begin, end) + 0.5) * factor + shift).astype(int), 0, most - 1)
            for begin, end, factor, shift, most in zip(first, last, scale, offset, kept.shape, strict=True)
        ]
        window = kept[np.ix_(*nearest)]
        pixels = np.argwhere(kept)
        held = np.floor((pixels + 0.5 - offset) / scale).astype(int) - first
        held = held[((held >= 0) & (held < window.shape)).all(axis=1)]
        window[tuple(held.T)] = True
        rows, columns = np.nonzero(np.diff(window.astype(np.int8), axis=1, prepend=0, append=0))
        edges = (rows + first[0]) * self.width + columns + first[1]
        return Mask.of_runs((self.height, self.width), edges[::2], edges[1::2])


class Spacing(NamedTuple):
    """The distance of neighbouring pixels of a picture, and where it was measured."""

    mm: float
    measured: Literal["patient", "detector"]


def pixel_spacing(facts: Mapping[str, float | None]) -> Spacing | None:
    """Find the spacing of pixels among a picture's events, as the DICOM reader keeps them (code → number).

    `DICOM//pixel_spacing//mm` is in the patient, or calibrated. Most radiographs have only
    `DICOM//imager_pixel_spacing//mm`, which is on the detector (PS3.3 10.7.1): lengths in the patient are smaller, by
    the magnification. The reader keeps the spacing of rows, and pixels are taken for square.
    """
    for code, measured in _SPACINGS.items():
        found = facts.get(code)
        if found is not None and isfinite(found) and found > 0:
            return Spacing(float(found), measured)
    return None


_SPACINGS: Mapping[str, Literal["patient", "detector"]] = {
    "DICOM//pixel_spacing//mm": "patient",
    "DICOM//imager_pixel_spacing//mm": "detector",
}


def _check_spacing(spacing: Sequence[float], axes: int) -> None:
    if len(spacing) != axes or not all(isfinite(step) and step > 0 for step in spacing):
        raise ValueError(f"the spacing must be {axes} finite numbers above 0, one per axis")


def _times(point: Point, factors: Sequence[float]) -> Point:
    return tuple(at * factor for at, factor in zip(point, factors, strict=True))


def _linear(point: Point, scale: Point, offset: Point) -> Point:
    return tuple(at * factor + shift for at, factor, shift in zip(point, scale, offset, strict=True))

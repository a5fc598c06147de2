"""From the square canvas that the network sees back to the picture: regions, lesions, millimetres.

The picture lies on the canvas as `features.image_pixels.place` says, and a map covers all of the canvas, black borders
included, whether it is as fine or coarser. Coordinates are those of `regions`, counted from the pixels' corners.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Literal, NamedTuple

import numpy as np

from polyclinic.explain.attribution import Canvas
from polyclinic.explain.localisation.regions import Box, Circle, Mask, Point, Region
from polyclinic.features.image.preprocessing import Fit, place


class PixelSpacing(NamedTuple):
    """The distance of neighbouring pixels of a picture, and where it was measured."""

    mm: float
    measured: Literal["patient", "detector"]


SPACINGS: Mapping[str, Literal["patient", "detector"]] = {
    "DICOM//pixel_spacing//mm": "patient",
    "DICOM//imager_pixel_spacing//mm": "detector",
}
"""The codes that state it, the better first."""


def canvas_of(height: int, width: int, side: int = 224, fit: Fit = "letterbox") -> Canvas:
    """Lay a picture of `height` × `width` pixels on a canvas; raises `ValueError` if one of them has no pixels."""
    if min(height, width, side) < 1:
        raise ValueError("a picture and its canvas have at least one pixel on each side")
    return Canvas(side, place(width, height, side, fit), width, height)


def box_on_map(box: Box, canvas: Canvas, shape: Sequence[int] | None = None) -> Box:
    """Give where a box of the picture lies on a map of the canvas, of the canvas's own size if not said."""
    scale, offset = _scale_and_offset(canvas, shape or (canvas.side, canvas.side))
    return Box(_linear(box.start, scale, offset), _linear(box.stop, scale, offset))


def region_in_picture(region: Region, canvas: Canvas, spacing_mm: Sequence[float] | None = None) -> Region | None:
    """Give where a region of a map lies in the picture, in pixels and, if the spacing is known, in millimetres.

    Its mask is the pixels whose centre falls in a pixel of the region, or that hold the centre of one. The box is cut
    at the picture's edges; the circle covers what it covered on the map, and may reach beyond them.

    Args:
        region: as `localise` found it on a map of the whole canvas.
        canvas: how the picture lay there.
        spacing_mm: of the picture's rows and columns.

    Returns:
        None for a region that lies in the canvas's black borders alone.
    """
    scale, offset = _scale_and_offset(canvas, region.mask.shape)
    back = tuple(1 / factor for factor in scale)
    origin = tuple(-shift / factor for shift, factor in zip(offset, scale, strict=True))
    whole = Box(_linear(region.box.start, back, origin), _linear(region.box.stop, back, origin))
    box = whole.clipped((canvas.height, canvas.width))
    mask = _mask_in_picture(region.mask, box, canvas) if box else None
    if box is None or mask is None or not mask.runs:
        return None
    circle = Circle(_linear(region.circle.centre, back, origin), region.circle.radius * max(back))
    peak = _linear(region.peak, back, origin)
    found = replace(region, circle=circle, box=box, mask=mask, peak=peak, circle_mm=None, box_mm=None)
    return found if spacing_mm is None else found.in_mm(spacing_mm)


def pixel_spacing(facts: Mapping[str, float | None]) -> PixelSpacing | None:
    """Find the spacing of pixels among a picture's events, as the DICOM reader keeps them (code → number).

    `DICOM//pixel_spacing//mm` is in the patient, or calibrated. Most radiographs have only
    `DICOM//imager_pixel_spacing//mm`, which is on the detector (PS3.3 10.7.1): lengths in the patient are smaller, by
    the magnification. The reader keeps the spacing of rows, and pixels are taken for square.
    """
    for code, measured in SPACINGS.items():
        found = facts.get(code)
        if found is not None and isfinite(found) and found > 0:
            return PixelSpacing(float(found), measured)
    return None


def ninth_of(region: Region, canvas: Canvas) -> str:
    """Say in which ninth of the picture a region's peak lies: `upper left`, `centre`. Left is the picture's."""
    y, x = region.peak
    row = ("upper", "middle", "lower")[min(int(3 * y / canvas.height), 2)]
    column = ("left", "centre", "right")[min(int(3 * x / canvas.width), 2)]
    return "centre" if (row, column) == ("middle", "centre") else f"{row} {column}"


def _scale_and_offset(canvas: Canvas, shape: Sequence[int]) -> tuple[Point, Point]:
    """Give map pixels per picture pixel, and where the picture starts on the map, along y and x."""
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ValueError(f"a map of shape {tuple(shape)} cannot be of a square canvas: give one of all of it")
    fine, lies = shape[0] / canvas.side, canvas.placement
    scale = lies.height / canvas.height * fine, lies.width / canvas.width * fine
    return scale, (lies.top * fine, lies.left * fine)


def _mask_in_picture(mask: Mask, box: Box, canvas: Canvas) -> Mask:
    """Carry a mask over, within the window of its box."""
    kept, sides = mask.array(), (canvas.height, canvas.width)
    scale, offset = _scale_and_offset(canvas, kept.shape)
    first = [int(at) for at in box.start]
    last = [min(int(np.ceil(at)), most) for at, most in zip(box.stop, sides, strict=True)]
    nearest = [
        np.clip(((np.arange(begin, end) + 0.5) * factor + shift).astype(int), 0, most - 1)
        for begin, end, factor, shift, most in zip(first, last, scale, offset, kept.shape, strict=True)
    ]
    window = kept[np.ix_(*nearest)]
    held = np.floor((np.argwhere(kept) + 0.5 - offset) / scale).astype(int) - first
    held = held[((held >= 0) & (held < window.shape)).all(axis=1)]
    window[tuple(held.T)] = True
    rows, columns = np.nonzero(np.diff(window.astype(np.int8), axis=1, prepend=0, append=0))
    edges = (rows + first[0]) * canvas.width + columns + first[1]
    return Mask.of_runs(sides, edges[::2], edges[1::2])


def _linear(point: Point, scale: Point, offset: Point) -> Point:
    return tuple(at * factor + shift for at, factor, shift in zip(point, scale, offset, strict=True))

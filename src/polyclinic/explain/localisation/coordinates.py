"""Coordinates between the square canvas of the network and the image: regions, lesions, millimetres.

The image is placed on the canvas by `features.image.preprocessing.place`; a map covers the whole canvas, including
black borders, at its resolution or a coarser one. Coordinates are those of `regions`, from the pixels' corners.
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
    """The distance of neighbouring pixels of an image, and the plane of its measurement."""

    mm: float
    measured: Literal["patient", "detector"]


SPACINGS: Mapping[str, Literal["patient", "detector"]] = {
    "DICOM//pixel_spacing//mm": "patient",
    "DICOM//imager_pixel_spacing//mm": "detector",
}
"""Codes of the spacing, in order of preference."""


def canvas_of(height: int, width: int, side: int = 224, fit: Fit = "letterbox") -> Canvas:
    """Place an image of `height` × `width` pixels on a canvas; raises `ValueError` if either has no pixels."""
    if min(height, width, side) < 1:
        raise ValueError("an image and its canvas have at least one pixel on each side")
    return Canvas(side, place(width, height, side, fit), width, height)


def box_on_map(box: Box, canvas: Canvas, shape: Sequence[int] | None = None) -> Box:
    """Map a box of the image to a map of the canvas, by default of the canvas's size."""
    scale, offset = _scale_and_offset(canvas, shape or (canvas.side, canvas.side))
    return Box(_linear(box.start, scale, offset), _linear(box.stop, scale, offset))


def region_in_picture(region: Region, canvas: Canvas, spacing_mm: Sequence[float] | None = None) -> Region | None:
    """Map a region of the canvas to the image, in pixels and, if the spacing is known, in millimetres.

    Its mask contains the pixels whose centre falls in a pixel of the region, or that contain the centre of one. The box
    is clipped to the image; the circle covers the same area as on the map, and may extend beyond it.

    Args:
        region: found by `localise` on a map of the whole canvas.
        canvas: the placement of the image.
        spacing_mm: of the image's rows and columns.

    Returns:
        None for a region entirely in the canvas's black borders.
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
    """Return the pixel spacing among the acquisition events of an image (code → number).

    `DICOM//pixel_spacing//mm` is in the patient, or calibrated. Most radiographs have only
    `DICOM//imager_pixel_spacing//mm`, on the detector (PS3.3 10.7.1): lengths in the patient are smaller by the
    magnification. The reader keeps the spacing of rows, and pixels are assumed to be square.
    """
    for code, measured in SPACINGS.items():
        found = facts.get(code)
        if found is not None and isfinite(found) and found > 0:
            return PixelSpacing(float(found), measured)
    return None


def ninth_of(region: Region, canvas: Canvas) -> str:
    """Return the ninth of the image that contains a region's peak: `upper left`, `centre`. Left is the image's."""
    y, x = region.peak
    row = ("upper", "middle", "lower")[min(int(3 * y / canvas.height), 2)]
    column = ("left", "centre", "right")[min(int(3 * x / canvas.width), 2)]
    return "centre" if (row, column) == ("middle", "centre") else f"{row} {column}"


def _scale_and_offset(canvas: Canvas, shape: Sequence[int]) -> tuple[Point, Point]:
    """Return the map pixels per image pixel, and the image's origin on the map, along y and x."""
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ValueError(f"a map of shape {tuple(shape)} cannot be of a square canvas: give one of all of it")
    fine, lies = shape[0] / canvas.side, canvas.placement
    scale = lies.height / canvas.height * fine, lies.width / canvas.width * fine
    return scale, (lies.top * fine, lies.left * fine)


def _mask_in_picture(mask: Mask, box: Box, canvas: Canvas) -> Mask:
    """Map a mask to the image, within the window of its box."""
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

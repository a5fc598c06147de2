"""Checks that an image can be used: its size, and that it shows something."""

import numpy as np
from jaxtyping import Shaped

from polyclinic.ingest.errors import UnreadableRecord
from polyclinic.ingest.formats.value_range import central_range, histogram

MAX_PIXELS = 64_000_000  # 8,000 x 8,000, about twice the largest radiograph detectors; 128 MB at 16 bits
LEAST_SIDE = 16
"""Pixels; the smallest images in public collections have 28 a side."""
LEAST_SPREAD = 1 / 64
"""Smallest range of grey, as a fraction of white, that is not one grey."""
LEAST_WHITE = 1 / 8
"""Smallest brightest pixel, as a fraction of white, that is not nearly black."""

Pixels = Shaped[np.ndarray, "height width"]  # uint8 or uint16, 0 = black

REMEDY_SIZE = f"export the image with at most {MAX_PIXELS // 1_000_000} million pixels"


class UnreadableImage(UnreadableRecord):
    """An image cannot be used."""


def check_size(width: int, height: int) -> None:
    """Check the size stated in an image's header, before decoding.

    Raises:
        UnreadableImage: more than `MAX_PIXELS`, or none.
    """
    if width <= 0 or height <= 0:
        raise UnreadableImage("image without pixels", "export the image again")
    if width * height > MAX_PIXELS:
        raise UnreadableImage("image too large", REMEDY_SIZE)


def check_usable(pixels: Pixels) -> None:
    """Check that a decoded image shows something; what passes also passes the check before an encoder.

    Raises:
        UnreadableImage: a side is shorter than `LEAST_SIDE`; all but a few pixels have nearly one grey, as in black or
            white images with a marker; or all pixels are nearly black.
    """
    if min(pixels.shape) < LEAST_SIDE:
        remedy = f"export the image itself, with at least {LEAST_SIDE} pixels a side, or leave it out"
        raise UnreadableImage("image too small", remedy)
    white = int(np.iinfo(pixels.dtype).max)
    greys = histogram(pixels, 0, white + 1)
    low, high = central_range(greys)
    if high - low < LEAST_SPREAD * white:
        raise UnreadableImage("blank image", "leave it out, or export it again: all of it is black, white or one grey")
    if greys.values[-1] < LEAST_WHITE * white:
        raise UnreadableImage("nearly black image", "export it so that white is the largest value of its bits")

"""A picture's file → grey pixels of the network's size in canonical intensity: 0 = black, 1 = white.

A network gives the same answer to every picture whose intensities are in a range that it was not trained on, without
a word; so a range that cannot be right is an error here.
"""

from io import BytesIO
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, UInt16
from PIL import Image

Fit = Literal["letterbox", "stretch"]
FITS: tuple[Fit, ...] = ("letterbox", "stretch")

PREPARATION = 1
"""Version of what `read_picture` does; raise it with every change of the pixels it gives."""

FORMATS = ("PNG", "JPEG", "TIFF")

MAX_PIXELS = 64_000_000
"""Of a file's picture: 8,000 × 8,000 is twice the largest radiograph."""

LEAST_WHITE = 1 / 8
LEAST_SPREAD = 1 / 64


class PictureError(ValueError):
    """A picture cannot be used; names its blob and says what to do."""


class Placement(NamedTuple):
    """Where the whole picture lies on the square canvas, in its pixels; beyond it the canvas is black."""

    left: int
    top: int
    width: int
    height: int


def place(width: int, height: int, side: int, fit: Fit) -> Placement:
    """Say where a picture of `width` × `height` lies on a canvas of `side` × `side`."""
    if fit == "stretch":
        return Placement(0, 0, side, side)
    scale = side / max(width, height)
    across, down = max(round(width * scale), 1), max(round(height * scale), 1)
    return Placement((side - across) // 2, (side - down) // 2, across, down)


def check_canonical(low: float, high: float, name: str) -> None:
    """Refuse a picture whose range of intensities cannot be canonical; `name` says which picture it is.

    Raises:
        PictureError: they are not all within 0..1 (NaN is not), or there is hardly any difference between them, or
            all are nearly black.
    """
    if not (low >= 0 and high <= 1):
        raise PictureError(
            f"picture {name}: intensities from {low:g} to {high:g} are not canonical; scale them so that black is 0 "
            "and white is 1 (8-bit values: divide by 255)"
        )
    if high - low < LEAST_SPREAD:
        raise PictureError(f"picture {name}: all of it is nearly the same grey; leave it out, or export it again")
    if high < LEAST_WHITE:
        raise PictureError(
            f"picture {name}: its brightest pixel is at {high:.1%} of white; 10- or 12-bit values in a 16-bit file "
            "must be scaled so that white is 65535"
        )


def read_picture(content: bytes, name: str, side: int, fit: Fit = "letterbox") -> UInt16[np.ndarray, "side side"]:
    """Decode a PNG, JPEG or TIFF file of 8 or 16 bits to grey on a square canvas, 0 = black and 65535 = white.

    Sixteen bits hold what the file holds without loss: an 8-bit grey g becomes 257 g, the same fraction of white.
    Floating-point TIFF must be canonical. `name` is what an error calls the picture.

    Raises:
        PictureError: the file is damaged or too large, or its range of intensities cannot be right.
    """
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            return _on_canvas(picture, name, side, fit)
    except PictureError:
        raise
    except Image.DecompressionBombError:
        raise PictureError(f"picture {name}: over {MAX_PIXELS:,} pixels; export it smaller") from None
    except Exception:  # decoders raise nearly everything on damaged files
        formats = ", ".join(FORMATS)
        raise PictureError(f"picture {name} is damaged, or not {formats}; ingest its source again") from None


def canonical(stored: UInt16[np.ndarray, "*picture"]) -> Float[np.ndarray, "*picture"]:
    """Turn stored pixels into float32 from 0 (black) to 1 (white)."""
    return stored / np.float32(65535)


def _on_canvas(picture: Image.Image, name: str, side: int, fit: Fit) -> UInt16[np.ndarray, "side side"]:
    placed = place(*picture.size, side, fit)
    picture.draft("L", (2 * placed.width, 2 * placed.height))  # a large JPEG is decoded at a half, quarter, eighth
    grey, white = _grey(picture)
    pixels = np.asarray(grey)
    check_canonical(float(pixels.min()) / white, float(pixels.max()) / white, name)
    small = grey.resize((placed.width, placed.height), Image.Resampling.BILINEAR)  # with antialiasing
    canvas = np.zeros((side, side), dtype=np.uint16)
    values = np.asarray(small, dtype=np.float64) * (65535 / white)
    canvas[placed.top :, placed.left :][: placed.height, : placed.width] = values.clip(0, 65535).round()
    return canvas


def _grey(picture: Image.Image) -> tuple[Image.Image, float]:
    """Give the picture in one channel, and the number that is white."""
    if picture.mode == "F":
        return picture, 1.0
    if picture.mode == "I;16":
        return picture, 65535.0
    if picture.mode.startswith("I"):  # 16 bits in another order of bytes, or in 32
        return Image.fromarray(np.asarray(picture).astype(np.float32)), 65535.0
    return picture.convert("L"), 255.0

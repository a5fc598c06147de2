"""Image file → grey pixels of the network's size in canonical intensity: 0 = black, 1 = white.

A network fails silently on intensities outside the range it was trained on, so an implausible range is an error.
"""

from io import BytesIO
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, UInt16
from PIL import Image

from polyclinic.features.blobs import ImageError
from polyclinic.ingest.formats.image_checks import LEAST_SPREAD, LEAST_WHITE, MAX_PIXELS

Fit = Literal["letterbox", "stretch"]
FITS: tuple[Fit, ...] = ("letterbox", "stretch")

PREPARATION = 1
"""Version of `read_image`; increase it with every change to the pixels it returns."""

FORMATS = ("PNG", "JPEG", "TIFF")


class Placement(NamedTuple):
    """Position of the image on the square canvas, in canvas pixels; the rest of the canvas is black."""

    left: int
    top: int
    width: int
    height: int


def place(width: int, height: int, side: int, fit: Fit) -> Placement:
    """Compute the position of an image of `width` × `height` on a canvas of `side` × `side`."""
    if fit == "stretch":
        return Placement(0, 0, side, side)
    scale = side / max(width, height)
    across, down = max(round(width * scale), 1), max(round(height * scale), 1)
    return Placement((side - across) // 2, (side - down) // 2, across, down)


def check_canonical(low: float, high: float, name: str) -> None:
    """Check that an image's range of intensities is plausible; `name` identifies it in the error.

    Raises:
        ImageError: intensities are not all within 0..1 (or NaN), are nearly equal, or are all nearly black.
    """
    if not (low >= 0 and high <= 1):
        raise ImageError(
            f"image {name}: intensities from {low:g} to {high:g} are not canonical; scale them so that black is 0 "
            "and white is 1 (8-bit values: divide by 255)"
        )
    if high - low < LEAST_SPREAD:
        raise ImageError(f"image {name}: all pixels are nearly the same grey; leave it out, or export it again")
    if high < LEAST_WHITE:
        raise ImageError(
            f"image {name}: its brightest pixel is at {high:.1%} of white; 10- or 12-bit values in a 16-bit file "
            "must be scaled so that white is 65535"
        )


def read_image(content: bytes, name: str, side: int, fit: Fit = "letterbox") -> UInt16[np.ndarray, "side side"]:
    """Decode a PNG, JPEG or TIFF file of 8 or 16 bits to grey on a square canvas, 0 = black and 65535 = white.

    Lossless: an 8-bit grey g becomes 257 g, the same fraction of white. Floating-point TIFF must be canonical. `name`
    identifies the image in errors.

    Raises:
        ImageError: the file is damaged or too large, or its range of intensities is implausible.
    """
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            return _on_canvas(image, name, side, fit)
    except ImageError:
        raise
    except Image.DecompressionBombError:
        raise ImageError(f"image {name}: over {MAX_PIXELS:,} pixels; export it smaller") from None
    except Exception:  # decoders raise many types on damaged files
        formats = ", ".join(FORMATS)
        raise ImageError(f"image {name} is damaged, or not {formats}; ingest its source again") from None


def canonical(stored: UInt16[np.ndarray, "*image"]) -> Float[np.ndarray, "*image"]:
    """Convert stored pixels to float32 from 0 (black) to 1 (white)."""
    return stored / np.float32(65535)


def _on_canvas(image: Image.Image, name: str, side: int, fit: Fit) -> UInt16[np.ndarray, "side side"]:
    placed = place(*image.size, side, fit)
    image.draft("L", (2 * placed.width, 2 * placed.height))  # a large JPEG is decoded at a half, quarter, eighth
    grey, white = _grey(image)
    pixels = np.asarray(grey)
    check_canonical(float(pixels.min()) / white, float(pixels.max()) / white, name)
    small = grey.resize((placed.width, placed.height), Image.Resampling.BILINEAR)  # with antialiasing
    canvas = np.zeros((side, side), dtype=np.uint16)
    values = np.asarray(small, dtype=np.float64) * (65535 / white)
    canvas[placed.top :, placed.left :][: placed.height, : placed.width] = values.clip(0, 65535).round()
    return canvas


def _grey(image: Image.Image) -> tuple[Image.Image, float]:
    """Return the image in one channel, and its white level."""
    if image.mode == "F":
        return image, 1.0
    if image.mode == "I;16":
        return image, 65535.0
    if image.mode.startswith("I"):  # 16 bits in another byte order, or 32 bits
        return Image.fromarray(np.asarray(image).astype(np.float32)), 65535.0
    return image.convert("L"), 255.0

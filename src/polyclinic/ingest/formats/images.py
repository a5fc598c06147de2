"""Decode image files safely: bounded size, upright, grey with 0 = black."""

import io
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped
from PIL import Image, ImageOps

from polyclinic.ingest.errors import UnreadableRecord

MAX_PIXELS = 64_000_000  # 8,000 x 8,000, about twice the largest radiograph detectors; 128 MB at 16 bits
_REMEDY_SIZE = f"export the image with at most {MAX_PIXELS // 1_000_000} million pixels"
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")  # no format whose decoder runs another program
_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N")

Pixels = Shaped[np.ndarray, "height width"]  # uint8 or uint16, 0 = black


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
        raise UnreadableImage("image too large", _REMEDY_SIZE)


def read_grey(source: Path | bytes) -> Pixels:
    """Decode an image file to grey, upright, with 8 or 16 bits.

    Colour becomes luminance (ITU-R 601) and transparency black; EXIF orientation is applied.

    Raises:
        UnreadableImage: not an image in one of `FORMATS`, too large, truncated, or of several frames.
    """
    opened = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with Image.open(opened, formats=FORMATS) as image:
            check_size(*image.size)
            if getattr(image, "n_frames", 1) > 1:
                raise UnreadableImage("image of several frames", "export each frame as a separate image")
            image.load()
            return _grey(ImageOps.exif_transpose(image))
    except UnreadableImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnreadableImage("image too large", _REMEDY_SIZE) from None
    except Exception:  # decoders raise nearly any exception on damaged files
        raise UnreadableImage("not a readable image", f"export the image as one of {', '.join(FORMATS)}") from None


def _grey(image: Image.Image) -> Pixels:
    if image.mode in _SIXTEEN_BIT:
        return np.asarray(image, dtype=np.uint16)
    if image.mode in ("I", "F"):
        return _within_sixteen_bits(np.asarray(image))
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image.convert("RGBA"))
    return np.asarray(image.convert("L"), dtype=np.uint8)


def _within_sixteen_bits(pixels: Float[np.ndarray, "height width"]) -> Pixels:
    rounded = np.rint(pixels)
    if not np.array_equal(rounded, pixels) or rounded.min() < 0 or rounded.max() > np.iinfo(np.uint16).max:
        raise UnreadableImage("unsupported image values", "export the image with 8 or 16 bits per pixel")
    return np.asarray(rounded, dtype=np.uint16)


def png(pixels: Pixels) -> bytes:
    """Encode grey pixels (uint8 or uint16) as PNG; equal pixels give equal bytes, and so one blob."""
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim != 2:
        raise TypeError(f"pixels must be uint8 or uint16 [height, width], not {pixels.dtype} {pixels.shape}")
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG", compress_level=3)
    return buffer.getvalue()

"""Decode image files safely: bounded size, upright, grey with 0 = black."""

import io
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from PIL import Image, ImageOps

from polyclinic.ingest.formats.dicom_signature import HEAD_BYTES, looks_like_dicom
from polyclinic.ingest.formats.image_checks import (
    REMEDY_SIZE,
    Pixels,
    UnreadableImage,
    check_size,
    check_usable,
)
from polyclinic.ingest.formats.value_range import histogram, likely_range

__all__ = ["FORMATS", "UnreadableImage", "check_size", "decode_grey", "png", "read_grey"]

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")  # no format whose decoder runs another program
BIT_DEPTHS = (8, 10, 12, 14, 16)
"""Of detectors and exports, any of which may be found in files of 16 bits."""
_WHITE = 65535
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0  # a tag of TIFF
_REMEDY_VALUES = "export the image with 8 or 16 bits per pixel, or as fractions of white from 0 to 1"


def read_grey(source: Path | bytes) -> Pixels:
    """Decode an image file as `decode_grey` does, and check that it can be used.

    Raises:
        UnreadableImage: as `decode_grey` and `check_usable`.
    """
    pixels = decode_grey(source)
    check_usable(pixels)
    return pixels


def decode_grey(source: Path | bytes) -> Pixels:
    """Decode an image file to grey, upright, with 8 or 16 bits.

    Colour becomes luminance (ITU-R 601) and transparency black; transparency that is the same everywhere is ignored.
    Values of fewer bits in a container of more are scaled to white. EXIF orientation is applied.

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
            return _grey(ImageOps.exif_transpose(image), _is_white_zero(image))
    except UnreadableImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnreadableImage("image too large", REMEDY_SIZE) from None
    except Exception:  # decoders raise nearly any exception on damaged files
        raise _unreadable(source) from None


def _unreadable(source: Path | bytes) -> UnreadableImage:
    if looks_like_dicom(_head(source)):
        remedy = "read DICOM files with `polyclinic ingest dicom`, or export this one as PNG"
        return UnreadableImage("a DICOM file", remedy)
    return UnreadableImage("not a readable image", f"export the image as one of {', '.join(FORMATS)}")


def _head(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source[:HEAD_BYTES]
    try:
        with source.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:  # the caller rejects the file
        return b""


def _is_white_zero(image: Image.Image) -> bool:
    """Return whether white is stored as 0; the decoder inverts images of up to 8 bits itself."""
    return getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def _grey(image: Image.Image, white_is_zero: bool) -> Pixels:
    if image.mode.startswith(("I", "F")):
        pixels = _from_numbers(np.asarray(image))
        return np.iinfo(pixels.dtype).max - pixels if white_is_zero else pixels
    if image.mode == "LAB":
        return np.asarray(image.getchannel("L"), dtype=np.uint8)
    return np.asarray(_opaque(image).convert("L"), dtype=np.uint8)


def _opaque(image: Image.Image) -> Image.Image:
    """Put an image on black; transparency of one degree, as of failed exports, says nothing and is ignored."""
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    least, most = image.getchannel("A").getextrema()
    if least == most:
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)


def _from_numbers(numbers: Shaped[np.ndarray, "height width"]) -> Pixels:
    """Convert numbers of one channel: fractions of white from 0 to 1, or values of up to 16 bits."""
    if not (numbers.min() >= 0 and numbers.max() <= _WHITE):  # or NaN
        raise UnreadableImage("unsupported image values", _REMEDY_VALUES)
    if np.issubdtype(numbers.dtype, np.floating) and numbers.max() <= 1:
        return np.rint(numbers.astype(np.float64) * _WHITE).astype(np.uint16)
    return _scaled_to_white(np.rint(numbers).astype(np.uint16))


def _scaled_to_white(pixels: Shaped[np.ndarray, "height width"]) -> Pixels:
    """Scale 16-bit values of fewer bits, by the smallest of `BIT_DEPTHS` that holds all but outliers."""
    _, high = likely_range(histogram(pixels, 0, _WHITE + 1))
    white = next(2**bits - 1 for bits in BIT_DEPTHS if high < 2**bits)
    if white == _WHITE:
        return pixels
    if white == np.iinfo(np.uint8).max:
        return pixels.clip(max=white).astype(np.uint8)
    scaled = np.rint(np.arange(_WHITE + 1).clip(max=white) * (_WHITE / white)).astype(np.uint16)
    return np.asarray(scaled[pixels])


def png(pixels: Pixels) -> bytes:
    """Encode grey pixels (uint8 or uint16) as PNG; equal pixels give equal bytes, and so one blob."""
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim != 2:
        raise TypeError(f"pixels must be uint8 or uint16 [height, width], not {pixels.dtype} {pixels.shape}")
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG", compress_level=3)
    return buffer.getvalue()

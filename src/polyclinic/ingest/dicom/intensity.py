"""DICOM pixels to a grey picture of 8 bits, 0 = black, as the object says it is to be shown.

The steps are those of the standard's grayscale pipeline (PS3.4 N.2): stored value → modality LUT or rescale → VOI LUT
or window (the first of several) → MONOCHROME1 and an inverse presentation LUT shape turned to 0 = black. Where no
window is stated, values of up to 8 bits keep their place in the range of their bits, and deeper ones are spread from
the picture's darkest to its brightest. Padding around the picture is black, and does not count for the spread. Colour
becomes luminance (ITU-R 601).
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Integer, Shaped, UInt8
from pydicom import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi
from pydicom.pixels.utils import pixel_array

from polyclinic.ingest.dicom.header import Refused, number, text

Values = Float[np.ndarray, "..."]
_GREY, _COLOUR = ("MONOCHROME1", "MONOCHROME2"), ("RGB", "YBR", "PALETTE COLOR")
_LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_REMEDY_PIXELS = (
    "fetch the object again, or decompress it: its pixels are missing, cut off, not as its header says, or compressed "
    "in a way that is not read here"
)
_TABLE_VALUES = 1 << 16  # up to so many different stored values go through a table instead of pixel by pixel
_BLOCK_PIXELS = 1 << 20  # looked up at a time, as indices take 8 bytes each


def grey_picture(dataset: Dataset) -> UInt8[np.ndarray, "height width"]:
    """Decode the one frame of `dataset`, in the orientation in which it is stored.

    Raises:
        Refused: the pixels cannot be decoded, or are neither grey nor colour.
    """
    photometric = text(dataset, "PhotometricInterpretation") or "missing"
    if not photometric.startswith((*_GREY, *_COLOUR)):
        raise Refused("unknown kind of pixels", f"convert the object to {' or '.join(_GREY)}")
    if number(dataset, "HighBit") not in (None, (number(dataset, "BitsStored") or 0) - 1):
        raise Refused("unsupported layout of bits", "convert the object so that HighBit is BitsStored - 1")
    pixels = _decoded(dataset)
    if photometric.startswith(_COLOUR):
        return _from_colour(pixels, dataset)
    return _through_table(pixels, lambda stored: _shown(stored, dataset))


def _decoded(dataset: Dataset) -> Shaped[np.ndarray, "height width *colour"]:
    try:
        pixels: np.ndarray = pixel_array(dataset)
    except Exception as error:  # decoders raise nearly everything on damaged pixels
        raise Refused("unreadable pixels", _REMEDY_PIXELS) from error
    if pixels.ndim < 2 or pixels.size == 0:
        raise Refused("unreadable pixels", _REMEDY_PIXELS)
    return pixels


def _from_colour(pixels: Integer[np.ndarray, "height width *colour"], dataset: Dataset) -> UInt8[np.ndarray, "h w"]:
    white = 2 ** (number(dataset, "BitsStored") or 8) - 1
    if pixels.ndim == 2:  # palette indices
        pixels = apply_color_lut(pixels, dataset)
        white = float(np.iinfo(pixels.dtype).max)
    return _eight_bits(pixels[..., :3] @ _LUMINANCE / white)


def _through_table(
    pixels: Shaped[np.ndarray, "height width"],
    shown: Callable[[Shaped[np.ndarray, "..."]], UInt8[np.ndarray, "..."]],
) -> UInt8[np.ndarray, "height width"]:
    """Apply `shown`, which knows only a pixel's value, once per value instead of once per pixel."""
    lowest, highest = pixels.min(), pixels.max()
    if not np.issubdtype(pixels.dtype, np.integer) or int(highest) - int(lowest) >= _TABLE_VALUES:
        return shown(pixels)
    places = np.subtract(pixels, lowest).astype(np.uint16)  # what overflows in the first step comes back in the second
    rows = max(1, _BLOCK_PIXELS // places.shape[1])
    blocks = [places[start : start + rows] for start in range(0, len(places), rows)]
    present = np.zeros(_TABLE_VALUES, dtype=bool)
    for block in blocks:
        present[block] = True
    table = np.zeros(_TABLE_VALUES, dtype=np.uint8)
    table[present] = shown(np.flatnonzero(present) + int(lowest))
    return np.concatenate([table[block] for block in blocks])


def _shown(stored: Shaped[np.ndarray, "..."], dataset: Dataset) -> UInt8[np.ndarray, "..."]:
    padding = _is_padding(stored, dataset)
    brightness = _windowed(stored, padding, dataset)
    if text(dataset, "PhotometricInterpretation") == "MONOCHROME1" or _shape(dataset) == "INVERSE":
        brightness = 1 - brightness  # the two say the same thing of a radiograph: not twice
    return _eight_bits(np.where(padding, 0, brightness))


def _shape(dataset: Dataset) -> str | None:
    return text(dataset, "PresentationLUTShape")


def _is_padding(stored: Shaped[np.ndarray, "..."], dataset: Dataset) -> Bool[np.ndarray, "..."]:
    value = number(dataset, "PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, dtype=bool)
    limit = number(dataset, "PixelPaddingRangeLimit")
    ends = sorted((value, value if limit is None else limit))
    return (stored >= ends[0]) & (stored <= ends[1])


def _windowed(stored: Shaped[np.ndarray, "..."], padding: Bool[np.ndarray, "..."], dataset: Dataset) -> Values:
    """Give the brightness, 0 to 1."""
    values = _rescaled(stored, dataset)
    if "VOILUTSequence" in dataset:
        return _through_voi_lut(values, dataset)
    centre, width = number(dataset, "WindowCenter"), number(dataset, "WindowWidth")
    if centre is not None and width is not None and width > 0:
        return window(values, centre, width, text(dataset, "VOILUTFunction") or "LINEAR")
    lowest, highest = _range(values, padding, dataset)
    return np.clip((values - lowest) / (highest - lowest), 0, 1) if highest > lowest else np.zeros_like(values)


def _rescaled(stored: Shaped[np.ndarray, "..."], dataset: Dataset) -> Values:
    try:
        return np.asarray(apply_modality_lut(stored, dataset), dtype=np.float64)
    except Exception as error:
        raise Refused("unusable modality LUT", "correct the object's rescale or modality LUT, or remove it") from error


def _through_voi_lut(values: Values, dataset: Dataset) -> Values:
    try:
        white = float(2 ** int(dataset.VOILUTSequence[0].LUTDescriptor[2]) - 1)
        return np.asarray(apply_voi(np.rint(values).astype(np.int64), dataset), dtype=np.float64) / white
    except Exception as error:
        raise Refused("unusable VOI LUT", "correct the object's VOI LUT, or remove it") from error


def _range(values: Values, padding: Bool[np.ndarray, "..."], dataset: Dataset) -> tuple[float, float]:
    bits, signed = int(number(dataset, "BitsStored") or 16), number(dataset, "PixelRepresentation") == 1
    if bits <= 8:
        least = -(2 ** (bits - 1)) if signed else 0
        ends = _rescaled(np.array([least, least + 2**bits - 1]), dataset)
        return float(ends.min()), float(ends.max())
    inside = values[~padding]
    return (float(inside.min()), float(inside.max())) if inside.size else (0.0, 0.0)


def window(values: Values, centre: float, width: float, function: str) -> Values:
    """Give the brightness, 0 to 1, of `values` seen through a window (PS3.3 C.11.2.1.2 and C.11.2.1.3).

    Args:
        values: after the modality LUT or rescale.
        centre: of the window.
        width: of the window, above 0.
        function: `LINEAR`, `LINEAR_EXACT` or `SIGMOID`.

    Raises:
        Refused: the function is none of these.
    """
    if function == "LINEAR":
        if width <= 1:  # a threshold
            return np.where(values > centre - 0.5, 1.0, 0.0)
        return np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0, 1)
    if function == "SIGMOID":
        return (1 + np.tanh(2 * (values - centre) / width)) / 2  # 1 / (1 + exp(-4 …)), without overflow
    raise Refused("unknown VOI LUT function", "state VOILUTFunction as LINEAR, LINEAR_EXACT or SIGMOID")


def _eight_bits(brightness: Values) -> UInt8[np.ndarray, "..."]:
    return np.asarray(np.rint(brightness * 255), dtype=np.uint8)

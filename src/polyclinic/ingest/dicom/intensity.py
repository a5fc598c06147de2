"""Convert DICOM pixels to an 8-bit grey image, 0 = black, by the display pipeline of the standard.

The steps are those of the grayscale pipeline (PS3.4 N.2): stored value → modality LUT or rescale → VOI LUT or window
(the first of several) → inversion for MONOCHROME1 or an inverse presentation LUT shape. Without a window, values of
up to 8 bits are scaled by the range of their bits, and deeper ones by the image's own, excluding padding and outliers
such as a burnt-in marker. Padding becomes black, and colour becomes luminance (ITU-R 601).
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Integer, Shaped, UInt8
from pydicom import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi

from polyclinic.ingest.dicom.header import UnreadableDicom, number, text
from polyclinic.ingest.dicom.stored_pixels import stored_pixels
from polyclinic.ingest.formats.image_checks import UnreadableImage, check_usable
from polyclinic.ingest.formats.value_range import distinct, histogram, likely_range

Values = Float[np.ndarray, "..."]
_GREY, _COLOUR = ("MONOCHROME1", "MONOCHROME2"), ("RGB", "YBR", "PALETTE COLOR")
_LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_TABLE_VALUES = 1 << 16  # largest range of stored values mapped by a lookup table
_BLOCK_PIXELS = 1 << 20  # pixels per lookup, as indices take 8 bytes each


def grey_image(dataset: Dataset) -> UInt8[np.ndarray, "height width"]:
    """Decode the single frame of `dataset`, in its stored orientation.

    Raises:
        UnreadableDicom: the pixels cannot be decoded, are neither grey nor colour, or show nothing.
        UnreadableImage: the image is too small, blank or nearly black.
    """
    photometric = text(dataset, "PhotometricInterpretation") or "missing"
    if not photometric.startswith((*_GREY, *_COLOUR)):
        raise UnreadableDicom("unknown kind of pixels", f"convert the object to {' or '.join(_GREY)}")
    pixels = stored_pixels(dataset)
    if photometric.startswith(_COLOUR):
        grey = _from_colour(pixels, dataset)
    else:
        grey = _apply_per_value(pixels, lambda stored, counts: _displayed(stored, counts, dataset))
    _check_shows_something(grey, pixels, dataset)
    return grey


def _check_shows_something(grey: UInt8[np.ndarray, "h w"], pixels: Shaped[np.ndarray, "..."], dataset: Dataset) -> None:
    try:
        check_usable(grey)
    except UnreadableImage as error:
        if pixels.ndim > 2 or grey.shape != pixels.shape or pixels.min() == pixels.max() or not _is_windowed(dataset):
            raise
        remedy = "correct or remove the object's window or rescale (WindowCenter, WindowWidth, RescaleSlope)"
        raise UnreadableDicom(error.reason, f"{remedy}: it leaves nothing to see") from None


def _is_windowed(dataset: Dataset) -> bool:
    return any(number(dataset, keyword) is not None for keyword in ("WindowCenter", "RescaleSlope"))


def _from_colour(pixels: Integer[np.ndarray, "height width *colour"], dataset: Dataset) -> UInt8[np.ndarray, "h w"]:
    white = 2 ** (number(dataset, "BitsStored") or 8) - 1
    if pixels.ndim == 2:  # palette indices
        pixels = apply_color_lut(pixels, dataset)
        white = float(np.iinfo(pixels.dtype).max)
    return _eight_bits(pixels[..., :3] @ _LUMINANCE / white)


def _apply_per_value(
    pixels: Shaped[np.ndarray, "height width"],
    display: Callable[[Shaped[np.ndarray, " value"], Integer[np.ndarray, " value"]], UInt8[np.ndarray, " value"]],
) -> UInt8[np.ndarray, "height width"]:
    """Apply the function `display` of values and their counts once per distinct value instead of once per pixel."""
    lowest, highest = pixels.min(), pixels.max()
    if not np.issubdtype(pixels.dtype, np.integer) or int(highest) - int(lowest) >= _TABLE_VALUES:
        return display(pixels.reshape(-1), np.ones(pixels.size, dtype=np.int64)).reshape(pixels.shape)
    indices = np.subtract(pixels, lowest).astype(np.uint16)  # overflow in the subtraction is undone by the cast
    rows = max(1, _BLOCK_PIXELS // indices.shape[1])
    blocks = [indices[start : start + rows] for start in range(0, len(indices), rows)]
    present, counts = histogram(indices, 0, _TABLE_VALUES)
    table = np.zeros(_TABLE_VALUES, dtype=np.uint8)
    table[present] = display(present + int(lowest), counts)
    return np.concatenate([table[block] for block in blocks])


def _displayed(
    stored: Shaped[np.ndarray, " value"], counts: Integer[np.ndarray, " value"], dataset: Dataset
) -> UInt8[np.ndarray, " value"]:
    padding = _is_padding(stored, dataset)
    brightness = _windowed(stored, np.where(padding, 0, counts), dataset)
    if text(dataset, "PhotometricInterpretation") == "MONOCHROME1" or _lut_shape(dataset) == "INVERSE":
        brightness = 1 - brightness  # both mean inversion: apply it once
    return _eight_bits(np.where(padding, 0, brightness))


def _lut_shape(dataset: Dataset) -> str | None:
    return text(dataset, "PresentationLUTShape")


def _is_padding(stored: Shaped[np.ndarray, " value"], dataset: Dataset) -> Bool[np.ndarray, " value"]:
    value = number(dataset, "PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, dtype=bool)
    limit = number(dataset, "PixelPaddingRangeLimit")
    ends = sorted(_signed(end, dataset) for end in (value, value if limit is None else limit))
    return (stored >= ends[0]) & (stored <= ends[1])


def _signed(value: float, dataset: Dataset) -> float:
    """Return a padding value with the sign of the pixels; some objects state -2000 as 63536."""
    bits = int(number(dataset, "BitsStored") or 16)
    if number(dataset, "PixelRepresentation") != 1 or value < 2 ** (bits - 1):
        return value
    return value - 2.0 ** int(number(dataset, "BitsAllocated") or 16)


def _windowed(stored: Shaped[np.ndarray, " value"], counts: Integer[np.ndarray, " value"], dataset: Dataset) -> Values:
    """Return the brightness, from 0 to 1; `counts` are 0 for padding."""
    values = _rescaled(stored, dataset)
    if "VOILUTSequence" in dataset:
        return _apply_voi_lut(values, dataset)
    centre, width = number(dataset, "WindowCenter"), number(dataset, "WindowWidth")
    if centre is not None and width is not None and width > 0:
        return window(values, centre, width, text(dataset, "VOILUTFunction") or "LINEAR")
    lowest, highest = _range(values, counts, dataset)
    return np.clip((values - lowest) / (highest - lowest), 0, 1) if highest > lowest else np.zeros_like(values)


def _rescaled(stored: Shaped[np.ndarray, "..."], dataset: Dataset) -> Values:
    try:
        return np.asarray(apply_modality_lut(stored, dataset), dtype=np.float64)
    except Exception as error:
        raise UnreadableDicom(
            "unusable modality LUT", "correct the object's rescale or modality LUT, or remove it"
        ) from error


def _apply_voi_lut(values: Values, dataset: Dataset) -> Values:
    try:
        white = float(2 ** int(dataset.VOILUTSequence[0].LUTDescriptor[2]) - 1)
        return np.asarray(apply_voi(np.rint(values).astype(np.int64), dataset), dtype=np.float64) / white
    except Exception as error:
        raise UnreadableDicom("unusable VOI LUT", "correct the object's VOI LUT, or remove it") from error


def _range(values: Values, counts: Integer[np.ndarray, " value"], dataset: Dataset) -> tuple[float, float]:
    bits, signed = int(number(dataset, "BitsStored") or 16), number(dataset, "PixelRepresentation") == 1
    if bits <= 8:
        least = -(2 ** (bits - 1)) if signed else 0
        ends = _rescaled(np.array([least, least + 2**bits - 1]), dataset)
        return float(ends.min()), float(ends.max())
    seen = np.isfinite(values) & (counts > 0)
    return likely_range(distinct(values[seen], counts[seen])) if seen.any() else (0.0, 0.0)


def window(values: Values, centre: float, width: float, function: str) -> Values:
    """Apply a window (PS3.3 C.11.2.1.2 and C.11.2.1.3), returning the brightness from 0 to 1.

    Args:
        values: after the modality LUT or rescale.
        centre: of the window.
        width: of the window, above 0.
        function: `LINEAR`, `LINEAR_EXACT` or `SIGMOID`.

    Raises:
        UnreadableDicom: the function is not one of these.
    """
    if function == "LINEAR":
        if width <= 1:  # a threshold
            return np.where(values > centre - 0.5, 1.0, 0.0)
        return np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0, 1)
    if function == "SIGMOID":
        return (1 + np.tanh(2 * (values - centre) / width)) / 2  # 1 / (1 + exp(-4 …)), without overflow
    raise UnreadableDicom("unknown VOI LUT function", "state VOILUTFunction as LINEAR, LINEAR_EXACT or SIGMOID")


def _eight_bits(brightness: Values) -> UInt8[np.ndarray, "..."]:
    return np.asarray(np.rint(brightness * 255), dtype=np.uint8)

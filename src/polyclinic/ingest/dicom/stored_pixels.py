"""Decode the pixels of a DICOM object: frame, bits and transfer syntax."""

from contextlib import suppress
from typing import Any

import numpy as np
from jaxtyping import Integer, Shaped
from pydicom import Dataset, FileDataset
from pydicom.dataset import FileMetaDataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGExtended12Bit

from polyclinic.ingest.dicom.header import UnreadableDicom, number

_REMEDY_PIXELS = (
    "fetch the object again, or decompress it: its pixels are missing, cut off, not as its header says, or compressed "
    "in a way that is not read here"
)
_PREFERRED = "pillow"  # before other decoders, so that an object gives the same pixels whatever is installed
_DECODED_EXTENDED = 8  # bits of JPEG Extended that the decoders read
_EVERY_BIT: Any = {"correct_unused_bits": False}  # an option of decoding
_EVERY = 4  # rows of an image compared
_NATIVE = {  # transfer syntax of pixels without compression by (implicit, little endian)
    (True, True): ImplicitVRLittleEndian,
    (False, True): ExplicitVRLittleEndian,
    (False, False): ExplicitVRBigEndian,
}


def check_decodable(syntax: UID) -> None:
    """Check that pixels of a transfer syntax can be decoded; an empty one is found later, from the object.

    Raises:
        UnreadableDicom: no decoder is installed for it.
    """
    try:
        available = not syntax or not syntax.is_encapsulated or get_decoder(syntax).is_available
    except (NotImplementedError, ValueError):
        available = False
    if not available:
        more = ", or install the decoders with `pip install python-gdcm`"
        raise UnreadableDicom("unsupported compression", f"{_decompress(syntax)}{more}")


def _decompress(syntax: UID) -> str:
    name = "an unknown transfer syntax" if syntax.name == syntax else f"{syntax.name} ({syntax})"
    return (
        f"its pixels are compressed as {name}: decompress the object, for example with `gdcmconv --raw` or `dcmdjpeg`"
    )


def add_missing_syntax(dataset: FileDataset) -> None:
    """Set the transfer syntax of an object that does not state one, from how its elements are encoded.

    Raises:
        UnreadableDicom: its pixels are compressed, and nothing says how.
    """
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
    if dataset.file_meta.get("TransferSyntaxUID"):
        return
    implicit, little_endian = dataset.original_encoding
    syntax = _NATIVE.get((bool(implicit), bool(little_endian)))
    if syntax is None or ("PixelData" in dataset and dataset["PixelData"].is_undefined_length):
        raise UnreadableDicom(
            "missing transfer syntax",
            "state TransferSyntaxUID (0002,0010): the pixels are compressed, and nothing says how",
        )
    dataset.file_meta.TransferSyntaxUID = syntax


def stored_pixels(dataset: Dataset) -> Shaped[np.ndarray, "height width *colour"]:
    """Decode the single frame: stored values, without bits that do not belong to them.

    Raises:
        UnreadableDicom: the pixels are missing, damaged or compressed in an unknown way, or contradict the header.
    """
    pixels = _decoded(dataset)
    if pixels.ndim != 2 or "PixelData" not in dataset or not np.issubdtype(pixels.dtype, np.integer):
        return pixels
    return _without_other_bits(pixels, dataset)


def _decoded(dataset: Dataset) -> Shaped[np.ndarray, "height width *colour"]:
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax == JPEGExtended12Bit and number(dataset, "BitsStored") != _DECODED_EXTENDED:
        raise UnreadableDicom("unsupported compression", f"with more than 8 bits, {_decompress(syntax)}")
    try:
        pixels = _by_any_decoder(dataset)
    except Exception as error:  # decoders raise nearly any exception on damaged pixels
        raise UnreadableDicom("unreadable pixels", _REMEDY_PIXELS) from error
    if pixels.ndim < 2 or pixels.size == 0:
        raise UnreadableDicom("unreadable pixels", _REMEDY_PIXELS)
    return pixels


def _by_any_decoder(dataset: Dataset) -> np.ndarray:
    decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    if _PREFERRED in decoder.available_plugins:
        with suppress(Exception):  # it does not read every variant; others may
            return decoder.as_array(dataset, decoding_plugin=_PREFERRED, **_EVERY_BIT)[0]
    return decoder.as_array(dataset, **_EVERY_BIT)[0]


def _without_other_bits(pixels: Integer[np.ndarray, "height width"], dataset: Dataset) -> np.ndarray:
    """Take the `BitsStored` bits up to `HighBit`; the others may hold overlays (PS3.5, 8.1.1)."""
    bits = pixels.dtype.itemsize * 8
    stored = int(number(dataset, "BitsStored") or bits)
    stated = number(dataset, "HighBit")
    high = stored - 1 if stated is None else int(stated)
    below, above = high + 1 - stored, bits - (high + 1)
    if below < 0 or (below and above < 0):
        raise UnreadableDicom("unsupported layout of bits", "correct HighBit, usually to BitsStored - 1")
    if above <= 0 and not below:
        return pixels
    own: np.ndarray = (pixels << above) >> (above + below)
    if not below and _roughness(own) > _roughness(pixels):
        remedy = "correct BitsStored: the pixels have more bits, and those beyond it are no overlay"
        raise UnreadableDicom("unsupported layout of bits", remedy)
    return own


def _roughness(pixels: Integer[np.ndarray, "height width"]) -> float:
    """Return the mean difference between neighbours; dropping bits of a picture, but not of an overlay, raises it."""
    return float(np.abs(np.diff(pixels[::_EVERY].astype(np.int64), axis=1)).sum())

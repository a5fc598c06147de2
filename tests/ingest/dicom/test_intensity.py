"""Intensity: the same film in any bits, signs, layouts and with any marker gives the same grey picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import JPEG2000Lossless, JPEGExtended12Bit, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from polyclinic.ingest.dicom import stored_pixels
from polyclinic.ingest.dicom.header import UnreadableDicom
from polyclinic.ingest.dicom.image import DicomImage, read_image
from polyclinic.ingest.dicom.intensity import grey_image
from polyclinic.ingest.formats.image_checks import UnreadableImage
from tests.ingest.dicom.test_reader import radiograph, write

LINE = np.linspace(0, 1, 60)
FILM = np.add.outer(0.6 * LINE[:40], 0.4 * LINE)[:, :60]  # fractions of the brightest value
GREY = np.rint(FILM / FILM.max() * 255)


def dataset(values: np.ndarray, **elements) -> Dataset:
    """Return an object with `values` as they are."""
    return radiograph(values[:2, :2], **{"Rows": 40, "Columns": 60, "PixelData": values.tobytes()} | elements)


def film(white: int, black: int = 0) -> np.ndarray:
    return np.rint(FILM / FILM.max() * (white - black) + black).astype(np.int64)


@given(
    bits=st.integers(9, 16), high=st.integers(8, 15), signed=st.booleans(), junk=st.integers(0, 65535), data=st.data()
)
def test_any_layout_of_bits_gives_the_same_picture(bits, high, signed, junk, data):
    """The bits beside those stored hold an overlay."""
    high = max(high, bits - 1)
    black = -(2 ** (bits - 1)) if signed else 0
    low = high + 1 - bits
    own = (film(black + 2**bits - 1, black) & (2**bits - 1)) << low
    overlay = np.zeros((40, 60), dtype=np.int64)
    overlay[10 : data.draw(st.integers(10, 20)), 20:40] = junk & ~((2**bits - 1) << low)
    words = (own | overlay).astype(np.uint16)
    read = grey_image(dataset(words, BitsStored=bits, HighBit=high, PixelRepresentation=int(signed)))
    np.testing.assert_allclose(read, GREY, atol=1 if bits > 9 else 2)


@pytest.mark.parametrize("bits", [4, 8])
def test_eight_bits_in_sixteen_are_scaled_by_their_bits(bits):
    read = grey_image(dataset(film(2**bits - 1).astype(np.uint16), BitsStored=bits))
    np.testing.assert_allclose(read, GREY, atol=0.5 * 255 / (2**bits - 1) + 1)


def test_pixels_with_more_bits_than_stated_are_refused():
    with pytest.raises(UnreadableDicom, match="correct BitsStored"):
        grey_image(dataset(film(60_000).astype(np.uint16), BitsStored=12))


MARKERS = st.tuples(st.integers(0, 38), st.integers(0, 48))  # row and column of 11 pixels, 0.46 %


@given(brightness=st.integers(0, 65535), place=MARKERS, lowest=st.integers(0, 2000), span=st.integers(500, 4000))
def test_a_marker_of_any_brightness_moves_the_grey_by_little(brightness, place, lowest, span):
    values = film(lowest + span, lowest)
    values[place[0], place[1] : place[1] + 11] = brightness
    read = grey_image(dataset(values.astype(np.uint16)))
    assert abs(np.median(read) - np.median(GREY)) <= 0.2 * 255
    assert np.ptp(np.percentile(read, (5, 95))) >= 0.7 * np.ptp(np.percentile(GREY, (5, 95)))
    if brightness > lowest + 1.5 * span:
        others = np.delete(read, place[0], axis=0).astype(int), np.delete(GREY, place[0], axis=0)
        np.testing.assert_allclose(*others, atol=7)


@given(value=st.sampled_from([-32768, -20000, 20000, 32767]), rows=st.integers(1, 15))
def test_padding_that_is_not_declared_does_not_set_the_range(value, rows):
    values = film(2000, 0).astype(np.int16)
    values[:rows] = value
    read = grey_image(dataset(values))
    assert (read[:rows] == (255 if value > 0 else 0)).all()
    assert np.ptp(read[rows:]) == 255


@given(padding=st.integers(1, 32768), wrong_sign=st.booleans())
def test_padding_is_black_and_has_no_part_in_the_range(padding, wrong_sign):
    values = film(3000, 10).astype(np.int16)
    values[:10] = -padding
    stated = {"PixelPaddingValue": 65536 - padding if wrong_sign else -padding}
    read = grey_image(dataset(values, **stated))
    assert not read[:10].any()
    plain = grey_image(dataset(np.where(values < 0, values[10:].min(), values).astype(np.int16)))
    np.testing.assert_array_equal(read[10:], plain[10:])


@given(shade=st.integers(0, 65535), photometric=st.sampled_from(["MONOCHROME1", "MONOCHROME2"]))
def test_constant_objects_are_rejected(shade, photometric):
    with pytest.raises(UnreadableImage, match="blank image: leave it out"):
        grey_image(dataset(np.full((40, 60), shade, np.uint16), PhotometricInterpretation=photometric))


@given(centre=st.integers(5000, 60_000), width=st.integers(1, 1000), below=st.booleans())
def test_a_window_beside_all_values_is_the_stated_reason(centre, width, below):
    with pytest.raises(UnreadableDicom, match="blank image: correct or remove the object's window"):
        grey_image(dataset(film(4095).astype(np.uint16), WindowCenter=-centre if below else centre, WindowWidth=width))


def test_a_window_rules_over_outliers():
    values = film(4000)
    values[0, :11] = 65535
    read = grey_image(dataset(values.astype(np.uint16), WindowCenter=2000, WindowWidth=4000))
    np.testing.assert_allclose(read[1:], GREY[1:], atol=1)


# Files


def instance(path, syntax=None, keep_preamble=True, keep_syntax=True, **elements):
    """Write an object, without its preamble, file meta information or transfer syntax."""
    made = dataset(film(4095).astype(np.uint16), BitsStored=12, **elements)
    if syntax:
        made.compress(syntax)
    content = write(path, made).read_bytes()
    if not keep_syntax:
        start = content.index(b"\x02\x00\x10\x00UI")
        length = 8 + int.from_bytes(content[start + 6 : start + 8], "little")
        group = int.from_bytes(content[140:144], "little") - length
        content = content[:140] + group.to_bytes(4, "little") + content[144:start] + content[start + length :]
    path.write_bytes(content if keep_preamble else content[132:])
    return path


@pytest.mark.parametrize("keep_preamble", [True, False])
@pytest.mark.parametrize("keep_syntax", [True, False])
def test_files_without_preamble_or_syntax_are_read(keep_preamble, keep_syntax, tmp_path):
    whole = read_image(instance(tmp_path / "a.dcm"))
    read = read_image(instance(tmp_path / "b.dcm", None, keep_preamble, keep_syntax))
    assert isinstance(whole, DicomImage)
    assert isinstance(read, DicomImage)
    assert read.content == whole.content


def test_a_data_set_alone_is_read(tmp_path):
    path = instance(tmp_path / "a.dcm")
    content = path.read_bytes()
    meta = 144 + int.from_bytes(content[140:144], "little")
    path.write_bytes(content[meta:])
    read = read_image(path)
    assert isinstance(read, DicomImage)
    assert read.patient == "patient-7"


def test_compressed_pixels_without_syntax_are_refused_with_the_reason(tmp_path):
    refused = read_image(instance(tmp_path / "a.dcm", RLELossless, keep_syntax=False))
    assert isinstance(refused, UnreadableDicom)
    assert refused.reason == "missing transfer syntax"


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless])
def test_a_syntax_without_decoder_is_named(syntax, tmp_path, monkeypatch):
    monkeypatch.setattr(type(get_decoder(syntax)), "is_available", False)
    made = dataset(film(4095).astype(np.uint16), BitsStored=12, PixelData=encapsulate([b"\xff\xd8"]))
    made.file_meta.TransferSyntaxUID = syntax
    refused = read_image(write(tmp_path / "a.dcm", made))
    assert isinstance(refused, UnreadableDicom)
    assert refused.reason == "unsupported compression"
    assert syntax.name in refused.remedy
    assert syntax in refused.remedy


def test_extended_jpeg_of_more_than_eight_bits_is_named(tmp_path):
    made = dataset(film(4095).astype(np.uint16), BitsStored=12, PixelData=encapsulate([b"\xff\xd8"]))
    made.file_meta.TransferSyntaxUID = JPEGExtended12Bit
    refused = read_image(write(tmp_path / "a.dcm", made))
    assert isinstance(refused, UnreadableDicom)
    assert refused.reason == "unsupported compression"
    assert refused.remedy.startswith("with more than 8 bits, its pixels are compressed as JPEG Extended")


@pytest.mark.parametrize("syntax", ["JPEGLosslessProcess14_1", "JPEGLosslessProcess14", "JPEGLSLossless"])
def test_lossless_jpeg_of_picture_archives_is_read(syntax, tmp_path):
    gdcm = pytest.importorskip("gdcm")
    path = instance(tmp_path / "a.dcm")
    expected = read_image(path)
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(path))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(tmp_path / "b.dcm"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    read = read_image(tmp_path / "b.dcm")
    assert isinstance(read, DicomImage)
    assert isinstance(expected, DicomImage)
    assert read.content == expected.content


def test_overlay_bits_in_compressed_pixels_are_masked(monkeypatch):
    """JPEG 2000 decoders return every bit of the codestream."""
    clean = film(4095).astype(np.uint16)
    dirty = clean.copy()
    dirty[5:15, 20:40] |= 0x8000
    made = dataset(clean, BitsStored=12)
    made.file_meta.TransferSyntaxUID = JPEG2000Lossless
    monkeypatch.setattr(stored_pixels, "_by_any_decoder", lambda _: dirty)
    np.testing.assert_array_equal(grey_image(made), grey_image(dataset(clean, BitsStored=12)))

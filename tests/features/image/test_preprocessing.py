"""Decoding pictures to canonical pixels, and refusing what cannot be right."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from polyclinic.features.image.preprocessing import PictureError, canonical, check_canonical, place, read_picture


def encoded(pixels: np.ndarray, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def slope(height: int, width: int, white: int, dtype: type) -> np.ndarray:
    """A picture that grows brighter to the right, and a little downwards."""
    across, down = np.linspace(0, 0.8, width), np.linspace(0, 0.2, height)
    return ((across + down[:, None]) * white).round().astype(dtype)


def test_eight_bits_are_kept_exactly():
    pixels = slope(64, 64, 255, np.uint8)
    stored = read_picture(encoded(pixels), "a.png", 64)
    assert stored.dtype == np.uint16
    np.testing.assert_array_equal(stored, pixels.astype(int) * 257)
    np.testing.assert_array_equal(canonical(stored), pixels / np.float32(255))


def test_sixteen_bits_are_kept_exactly():
    pixels = slope(64, 64, 65535, np.uint16)
    np.testing.assert_array_equal(read_picture(encoded(pixels), "a.png", 64), pixels)


@pytest.mark.parametrize("fit", ["letterbox", "stretch"])
@pytest.mark.parametrize("shape", [(300, 200), (90, 400), (224, 224), (30, 50)])
def test_depths_agree_at_any_size(shape, fit):
    eight = read_picture(encoded(slope(*shape, 255, np.uint8)), "a.png", 96, fit)
    sixteen = read_picture(encoded(slope(*shape, 255, np.uint8).astype(np.uint16) * 257), "a.png", 96, fit)
    assert np.abs(eight.astype(int) - sixteen).max() <= 257


def test_letterbox_keeps_proportions_and_centres():
    white = np.full((50, 100), 255, np.uint8)
    white[:, :10] = 100
    stored = read_picture(encoded(white), "a.png", 80)
    assert place(100, 50, 80, "letterbox") == (0, 20, 80, 40)
    assert not stored[:20].any()
    assert not stored[60:].any()
    assert (stored[20:60] > 0).all()


def test_stretch_fills_the_canvas():
    assert place(100, 50, 80, "stretch") == (0, 0, 80, 80)
    assert (read_picture(encoded(slope(50, 100, 255, np.uint8) | 1), "a.png", 80, "stretch") > 0).all()


def test_a_line_of_one_pixel_does_not_vanish():
    assert place(1000, 1, 80, "letterbox").height == 1


def test_resizing_averages_what_lies_between():
    """Stripes of one pixel become even grey, not other stripes."""
    stripes = np.zeros((256, 256), np.uint8)
    stripes[:, ::2] = 255
    inner = canonical(read_picture(encoded(stripes), "a.png", 32))[4:-4, 4:-4]
    np.testing.assert_allclose(inner, 0.5, atol=0.02)


def test_colour_becomes_luminance_and_jpeg_is_read():
    red = np.zeros((40, 40, 3), np.uint8)
    red[:, 20:, 0] = 255
    for content in (encoded(red), encoded(red, "JPEG", quality=95)):
        grey = canonical(read_picture(content, "a", 40))
        np.testing.assert_allclose(grey[5:-5, 25:-5], 0.299, atol=0.02)
        np.testing.assert_allclose(grey[5:-5, 5:15], 0, atol=0.02)


def test_a_large_jpeg_is_the_same_when_decoded_smaller():
    pixels = slope(900, 900, 255, np.uint8)
    small = canonical(read_picture(encoded(pixels, "JPEG", quality=95), "a.jpg", 64))
    np.testing.assert_allclose(small, canonical(read_picture(encoded(pixels), "a.png", 64)), atol=0.02)


def test_canonical_floats_are_read():
    pixels = slope(30, 30, 1, np.float32) + np.linspace(0, 1, 30, dtype=np.float32) * 0
    pixels[0, 0], pixels[0, 1] = 0.25, 1.0
    stored = read_picture(encoded(pixels, "TIFF"), "a.tiff", 30)
    assert (stored[0, 0], stored[0, 1]) == (16384, 65535)


@pytest.mark.parametrize(
    ("pixels", "kind", "remedy"),
    [
        (slope(30, 30, 255, np.float32), "TIFF", "divide by 255"),
        (slope(30, 30, 4, np.float32) / 2 - 1, "TIFF", "black is 0 and white is 1"),
        (np.where(np.eye(30) > 0, np.nan, 0.5).astype(np.float32), "TIFF", "not canonical"),
        (np.full((30, 30), 128, np.uint8), "PNG", "nearly the same grey"),
        (np.zeros((30, 30), np.uint8), "PNG", "nearly the same grey"),
        (slope(30, 30, 4095, np.uint16), "PNG", "12-bit values in a 16-bit file"),
    ],
)
def test_a_wrong_range_is_an_error_with_its_remedy(pixels, kind, remedy):
    with pytest.raises(PictureError, match=f"picture scan-7.*{remedy}"):
        read_picture(encoded(pixels, kind), "scan-7", 30)


@pytest.mark.parametrize(("low", "high"), [(-0.1, 1.0), (0.0, 1.01), (0, 255), (float("nan"), float("nan"))])
def test_ranges_beyond_black_and_white(low, high):
    with pytest.raises(PictureError, match="not canonical"):
        check_canonical(low, high, "a")


def test_the_full_range_is_canonical():
    check_canonical(0.0, 1.0, "a")
    check_canonical(0.2, 0.6, "a")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_damaged_files_are_errors_that_name_the_picture(kind):
    whole = encoded(slope(200, 200, 255, np.uint8), kind)
    for content in (b"", b"not a picture", whole[: len(whole) // 2], whole[:40]):
        with pytest.raises(PictureError, match=r"picture ab12.* is damaged"):
            read_picture(content, "ab12", 64)


@pytest.mark.parametrize("side", [8_001, 60_000])
@pytest.mark.filterwarnings("ignore:Image size")
def test_too_many_pixels_are_refused_before_they_are_decoded(side):
    """The header alone says how large it is; there are no such pixels in the file."""
    small = encoded(slope(11, 11, 255, np.uint8))
    header = small[12:16] + struct.pack(">II", side, side) + small[24:29]
    content = small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:]
    with pytest.raises(PictureError, match=r"a\.png: over 64,000,000 pixels"):
        read_picture(content, "a.png", 64)


@pytest.mark.real_data
def test_real_radiographs(real_data):
    files = sorted((real_data("covid_cxr") / "images").iterdir())[:12]
    for file in files:
        pixels = canonical(read_picture(file.read_bytes(), file.name, 224))
        assert pixels.shape == (224, 224)
        assert 0 <= pixels.min() < 0.3 < pixels.max() <= 1
        assert 0.1 < pixels.mean() < 0.8

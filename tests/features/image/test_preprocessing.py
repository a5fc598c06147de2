"""Decoding images to canonical pixels, and rejecting implausible ones."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from polyclinic.features.image.preprocessing import ImageError, canonical, check_canonical, place, read_image


def encoded(pixels: np.ndarray, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(height: int, width: int, white: int, dtype: type) -> np.ndarray:
    """An image with brightness increasing to the right, and slightly downwards."""
    across, down = np.linspace(0, 0.8, width), np.linspace(0, 0.2, height)
    return ((across + down[:, None]) * white).round().astype(dtype)


def test_eight_bits_are_kept_exactly():
    pixels = gradient(64, 64, 255, np.uint8)
    stored = read_image(encoded(pixels), "a.png", 64)
    assert stored.dtype == np.uint16
    np.testing.assert_array_equal(stored, pixels.astype(int) * 257)
    np.testing.assert_array_equal(canonical(stored), pixels / np.float32(255))


def test_sixteen_bits_are_kept_exactly():
    pixels = gradient(64, 64, 65535, np.uint16)
    np.testing.assert_array_equal(read_image(encoded(pixels), "a.png", 64), pixels)


@pytest.mark.parametrize("fit", ["letterbox", "stretch"])
@pytest.mark.parametrize("shape", [(300, 200), (90, 400), (224, 224), (30, 50)])
def test_bit_depths_agree_at_any_size(shape, fit):
    eight = read_image(encoded(gradient(*shape, 255, np.uint8)), "a.png", 96, fit)
    sixteen = read_image(encoded(gradient(*shape, 255, np.uint8).astype(np.uint16) * 257), "a.png", 96, fit)
    assert np.abs(eight.astype(int) - sixteen).max() <= 257


def test_letterbox_preserves_aspect_ratio_and_centres():
    white = np.full((50, 100), 255, np.uint8)
    white[:, :10] = 100
    stored = read_image(encoded(white), "a.png", 80)
    assert place(100, 50, 80, "letterbox") == (0, 20, 80, 40)
    assert not stored[:20].any()
    assert not stored[60:].any()
    assert (stored[20:60] > 0).all()


def test_stretch_fills_the_canvas():
    assert place(100, 50, 80, "stretch") == (0, 0, 80, 80)
    assert (read_image(encoded(gradient(50, 100, 255, np.uint8) | 1), "a.png", 80, "stretch") > 0).all()


def test_one_pixel_line_is_preserved():
    assert place(1000, 1, 80, "letterbox").height == 1


def test_resizing_averages_pixels():
    """One-pixel stripes become uniform grey, without aliasing."""
    stripes = np.zeros((256, 256), np.uint8)
    stripes[:, ::2] = 255
    inner = canonical(read_image(encoded(stripes), "a.png", 32))[4:-4, 4:-4]
    np.testing.assert_allclose(inner, 0.5, atol=0.02)


def test_colour_becomes_luminance_and_jpeg_is_read():
    red = np.zeros((40, 40, 3), np.uint8)
    red[:, 20:, 0] = 255
    for content in (encoded(red), encoded(red, "JPEG", quality=95)):
        grey = canonical(read_image(content, "a", 40))
        np.testing.assert_allclose(grey[5:-5, 25:-5], 0.299, atol=0.02)
        np.testing.assert_allclose(grey[5:-5, 5:15], 0, atol=0.02)


def test_reduced_jpeg_decoding_gives_the_same_image():
    pixels = gradient(900, 900, 255, np.uint8)
    small = canonical(read_image(encoded(pixels, "JPEG", quality=95), "a.jpg", 64))
    np.testing.assert_allclose(small, canonical(read_image(encoded(pixels), "a.png", 64)), atol=0.02)


def test_canonical_floats_are_read():
    pixels = gradient(30, 30, 1, np.float32) + np.linspace(0, 1, 30, dtype=np.float32) * 0
    pixels[0, 0], pixels[0, 1] = 0.25, 1.0
    stored = read_image(encoded(pixels, "TIFF"), "a.tiff", 30)
    assert (stored[0, 0], stored[0, 1]) == (16384, 65535)


@pytest.mark.parametrize(
    ("pixels", "kind", "remedy"),
    [
        (gradient(30, 30, 255, np.float32), "TIFF", "divide by 255"),
        (gradient(30, 30, 4, np.float32) / 2 - 1, "TIFF", "black is 0 and white is 1"),
        (np.where(np.eye(30) > 0, np.nan, 0.5).astype(np.float32), "TIFF", "not canonical"),
        (np.full((30, 30), 128, np.uint8), "PNG", "nearly the same grey"),
        (np.zeros((30, 30), np.uint8), "PNG", "nearly the same grey"),
        (gradient(30, 30, 4095, np.uint16), "PNG", "12-bit values in a 16-bit file"),
    ],
)
def test_implausible_range_raises_with_the_remedy(pixels, kind, remedy):
    with pytest.raises(ImageError, match=f"image scan-7.*{remedy}"):
        read_image(encoded(pixels, kind), "scan-7", 30)


@pytest.mark.parametrize(("low", "high"), [(-0.1, 1.0), (0.0, 1.01), (0, 255), (float("nan"), float("nan"))])
def test_ranges_beyond_0_to_1_raise(low, high):
    with pytest.raises(ImageError, match="not canonical"):
        check_canonical(low, high, "a")


def test_ranges_within_0_to_1_are_accepted():
    check_canonical(0.0, 1.0, "a")
    check_canonical(0.2, 0.6, "a")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_damaged_files_raise_naming_the_image(kind):
    whole = encoded(gradient(200, 200, 255, np.uint8), kind)
    for content in (b"", b"not an image", whole[: len(whole) // 2], whole[:40]):
        with pytest.raises(ImageError, match=r"image ab12.* is damaged"):
            read_image(content, "ab12", 64)


@pytest.mark.parametrize("side", [8_001, 60_000])
@pytest.mark.filterwarnings("ignore:Image size")
def test_too_many_pixels_raise_before_decoding(side):
    """The size is only in the header; the file has no such pixels."""
    small = encoded(gradient(11, 11, 255, np.uint8))
    header = small[12:16] + struct.pack(">II", side, side) + small[24:29]
    content = small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:]
    with pytest.raises(ImageError, match=r"a\.png: over 64,000,000 pixels"):
        read_image(content, "a.png", 64)


@pytest.mark.real_data
def test_real_radiographs(real_data):
    files = sorted((real_data("covid_cxr") / "images").iterdir())[:12]
    for file in files:
        pixels = canonical(read_image(file.read_bytes(), file.name, 224))
        assert pixels.shape == (224, 224)
        assert 0 <= pixels.min() < 0.3 < pixels.max() <= 1
        assert 0.1 < pixels.mean() < 0.8

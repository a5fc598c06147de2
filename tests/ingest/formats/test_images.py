"""Images are decoded upright, grey and bounded; equal pixels give equal blobs."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from polyclinic.ingest.formats.images import UnreadableImage, png, read_grey


def encoded(image: Image.Image, form: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=form, **options)
    return buffer.getvalue()


@given(npst.arrays(st.sampled_from([np.uint8, np.uint16]), npst.array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_png_is_lossless(pixels):
    np.testing.assert_array_equal(read_grey(png(pixels)), pixels)
    assert read_grey(png(pixels)).dtype == pixels.dtype


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "GIF"])
def test_lossless_formats_give_equal_blobs(form):
    pixels = np.arange(30, dtype=np.uint8).reshape(5, 6)
    assert png(read_grey(encoded(Image.fromarray(pixels), form))) == png(pixels)


def test_colour_becomes_luminance_and_transparency_black():
    image = Image.new("RGBA", (2, 1), (255, 255, 255, 255))
    image.putpixel((1, 0), (255, 255, 255, 0))
    assert read_grey(encoded(image)).tolist() == [[255, 0]]
    assert read_grey(encoded(Image.new("RGB", (1, 1), (255, 0, 0)))).tolist() == [[76]]


def test_palette_is_applied():
    image = Image.fromarray(np.array([[0, 1]], np.uint8), mode="P")
    image.putpalette([0, 0, 0, 200, 200, 200])
    assert read_grey(encoded(image)).tolist() == [[0, 200]]


def test_exif_orientation_is_applied():
    image = Image.fromarray(np.array([[10, 20, 30]], np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    assert read_grey(encoded(image, exif=exif)).tolist() == [[10], [20], [30]]


def test_several_frames_are_rejected():
    frames = [Image.new("L", (2, 2), shade) for shade in (0, 100)]
    with pytest.raises(UnreadableImage, match="several frames"):
        read_grey(encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:]))


def test_values_that_do_not_fit_16_bits_are_rejected():
    with pytest.raises(UnreadableImage, match="unsupported"):
        read_grey(encoded(Image.fromarray(np.array([[0.5]], np.float32)), "TIFF"))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_rejected(content):
    for start in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0", b"BM"):
        with pytest.raises(UnreadableImage):
            read_grey(start + content)


@pytest.mark.parametrize("shape", [(2, 2, 3), (4,)])
def test_only_grey_is_encoded(shape):
    with pytest.raises(TypeError, match="height, width"):
        png(np.zeros(shape, np.uint8))

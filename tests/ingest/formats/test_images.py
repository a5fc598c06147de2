"""Images are decoded upright, grey and bounded; equal pixels give equal blobs; unusable ones are rejected."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from polyclinic.features.image.preprocessing import read_image
from polyclinic.ingest.formats.images import UnreadableImage, decode_grey, png, read_grey
from tests.images import film

FILM = film(0, 40, 60)
SHADES = st.integers(0, 255)


def encoded(image: Image.Image | np.ndarray, form: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(buffer, form, **options)
    return buffer.getvalue()


def fractions(pixels: np.ndarray) -> np.ndarray:
    """Return decoded pixels as fractions of white."""
    return pixels / np.iinfo(pixels.dtype).max


def reason(content: bytes) -> str:
    with pytest.raises(UnreadableImage) as refused:
        read_grey(content)
    return refused.value.reason


@given(npst.arrays(st.sampled_from([np.uint8, np.uint16]), npst.array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_png_is_lossless(pixels):
    pixels[0, 0] = np.iinfo(pixels.dtype).max  # of deeper pixels, all bits are used
    np.testing.assert_array_equal(decode_grey(png(pixels)), pixels)
    assert decode_grey(png(pixels)).dtype == pixels.dtype


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "GIF"])
def test_lossless_formats_give_equal_blobs(form):
    assert png(read_grey(encoded(FILM, form))) == png(FILM)


def test_colour_becomes_luminance_and_transparency_black():
    image = Image.new("RGBA", (2, 1), (255, 255, 255, 255))
    image.putpixel((1, 0), (255, 255, 255, 0))
    assert decode_grey(encoded(image)).tolist() == [[255, 0]]
    assert decode_grey(encoded(Image.new("RGB", (1, 1), (255, 0, 0)))).tolist() == [[76]]


def test_palette_is_applied():
    image = Image.fromarray(np.array([[0, 1]], np.uint8), mode="P")
    image.putpalette([0, 0, 0, 200, 200, 200])
    assert decode_grey(encoded(image)).tolist() == [[0, 200]]


def test_exif_orientation_is_applied():
    image = Image.fromarray(np.array([[10, 20, 30]], np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    assert decode_grey(encoded(image, exif=exif)).tolist() == [[10], [20], [30]]


def test_several_frames_are_rejected():
    frames = [Image.new("L", (2, 2), shade) for shade in (0, 100)]
    with pytest.raises(UnreadableImage, match="several frames"):
        read_grey(encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:]))


@pytest.mark.parametrize("value", [-0.5, 65_536.0, np.nan, np.inf])
def test_values_that_do_not_fit_16_bits_are_rejected(value):
    pixels = FILM.astype(np.float32)
    pixels[3, 4] = value
    assert reason(encoded(pixels, "TIFF")) == "unsupported image values"


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_rejected(content):
    for start in (b"", b"\x08\0", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0", b"BM"):
        with pytest.raises(UnreadableImage):
            read_grey(start + content)


@pytest.mark.parametrize("shape", [(2, 2, 3), (4,)])
def test_only_grey_is_encoded(shape):
    with pytest.raises(TypeError, match="height, width"):
        png(np.zeros(shape, np.uint8))


# Bit depths


@st.composite
def pictures(draw, darkest_white: float = 0.3):
    """Draw fractions of white from black to at least `darkest_white`, of any histogram."""
    shape = draw(st.tuples(st.integers(16, 40), st.integers(16, 40)))
    greys = draw(npst.arrays(np.float64, 12, elements=st.floats(0, 1)))
    picture = np.resize(greys, shape) * draw(st.floats(darkest_white, 1))
    picture[: shape[0] // 3] = 0
    picture[-shape[0] // 3 :] = max(darkest_white, float(picture.max()))
    return picture


CONTAINERS = {
    "16-bit PNG": lambda values: encoded(values.astype(np.uint16)),
    "16-bit TIFF": lambda values: encoded(values.astype(np.uint16), "TIFF"),
    "32-bit TIFF": lambda values: encoded(values.astype(np.int32), "TIFF"),
    "floating-point TIFF": lambda values: encoded(values.astype(np.float32), "TIFF"),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@given(picture=pictures())
def test_any_bit_depth_gives_the_same_picture(container, bits, picture):
    white = 2**bits - 1
    read = read_grey(CONTAINERS[container](np.rint(picture * white)))
    np.testing.assert_allclose(fractions(read), picture, atol=1 / white)
    assert read_image(png(read), "a.png", 64).any()  # accepted before an encoder as well


@given(picture=pictures())
def test_fractions_of_white_are_read(picture):
    read = read_grey(encoded(picture.astype(np.float32), "TIFF"))
    np.testing.assert_allclose(fractions(read), picture, atol=1e-4)


@pytest.mark.parametrize("white", [255, 4095, 65535])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_tiff_whose_white_is_zero_is_inverted(white, dtype):
    values = np.rint((1 - FILM / 255) * white).astype(dtype)
    read = read_grey(encoded(values, "TIFF", tiffinfo={262: 0}))
    np.testing.assert_allclose(fractions(read), FILM / 255, atol=0.01)


@given(picture=pictures(), bits=st.sampled_from([8, 10, 12, 14]), extra=st.floats(1, 15), data=st.data())
def test_a_marker_in_unused_bits_changes_nothing_else(picture, bits, extra, data):
    picture = np.resize(picture, (40, 60))
    values = np.rint(picture * (2**bits - 1)).astype(np.uint16)
    plain = read_grey(encoded(values))
    column = data.draw(st.integers(0, 50))
    values[2, column : column + 10] = min(65535, round(2**bits * (1 + extra)))  # 0.4 % of the pixels
    marked = read_grey(encoded(values))
    assert (fractions(marked)[2, column : column + 10] == 1).all()
    np.testing.assert_array_equal(np.delete(marked, 2, axis=0), np.delete(plain, 2, axis=0))


# Colours and transparency


def in_mode(mode: str) -> Image.Image:
    grey = Image.fromarray(FILM)
    match mode:
        case "I;16" | "I" | "F":
            return Image.fromarray(FILM.astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]))
        case "LAB":
            return Image.merge("LAB", (grey, *(Image.new("L", grey.size, 0) for _ in "ab")))
        case "P":
            return grey.convert("RGB").quantize(256)
        case "CMYK":
            return grey.convert("RGB").convert("CMYK")
        case _:
            return grey.convert(mode)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "I;16", "I", "F"])
def test_every_mode_gives_the_film(mode):
    form = "TIFF" if mode in ("CMYK", "LAB", "F", "I") else "PNG"
    np.testing.assert_array_equal(read_grey(encoded(in_mode(mode), form)), FILM)


def test_one_bit_is_black_or_white():
    read = read_grey(encoded(Image.fromarray(FILM > 100)))
    np.testing.assert_array_equal(read, np.where(FILM > 100, 255, 0))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@given(alpha=SHADES)
def test_transparency_that_is_the_same_everywhere_is_ignored(mode, alpha):
    image = Image.fromarray(FILM).convert(mode)
    image.putalpha(alpha)
    np.testing.assert_array_equal(read_grey(encoded(image)), FILM)


# Images that show nothing


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@given(shade=st.floats(0, 1), shape=st.tuples(st.integers(16, 60), st.integers(16, 60)))
def test_constant_images_are_rejected(dtype, shade, shape):
    white = np.iinfo(dtype).max
    assert reason(encoded(np.full(shape, round(shade * white), dtype))) == "blank image"


@given(shade=SHADES, marker=SHADES, noise=st.integers(0, 2), data=st.data())
def test_constant_images_with_a_marker_or_little_noise_are_rejected(shade, marker, noise, data):
    pixels = np.random.default_rng(0).integers(0, noise + 1, (64, 64)) + min(shade, 255 - noise)
    column = data.draw(st.integers(0, 40))
    pixels[5, column : column + 20] = marker  # 0.49 % of the pixels
    assert reason(encoded(pixels.astype(np.uint8))) == "blank image"


@given(alpha=npst.arrays(np.uint8, (40, 60), elements=st.integers(0, 1)))
def test_transparent_images_are_the_film_or_rejected(alpha):
    image = Image.fromarray(FILM).convert("RGBA")
    image.putalpha(Image.fromarray(alpha))
    if alpha.min() == alpha.max():
        np.testing.assert_array_equal(read_grey(encoded(image)), FILM)
    else:
        assert reason(encoded(image)) == "blank image"


@pytest.mark.parametrize("shape", [(1, 1), (15, 400), (400, 15), (2, 3)])
def test_small_images_are_rejected(shape):
    assert reason(encoded(film(0, *shape))) == "image too small"


def test_dark_images_are_rejected():
    assert reason(encoded(FILM // 8)) == "nearly black image"


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("preamble", [True, False])
def test_a_dicom_file_is_named_as_such(syntax, preamble, tmp_path):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = dataset.SOPInstanceUID = "1.2.3"
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    content = (tmp_path / "a.dcm").read_bytes()
    whole = content if preamble else content[132:]
    with pytest.raises(UnreadableImage, match="a DICOM file: read DICOM files with `polyclinic ingest dicom`"):
        read_grey(whole)
    (tmp_path / "b.png").write_bytes(whole)
    with pytest.raises(UnreadableImage, match="a DICOM file"):
        read_grey(tmp_path / "b.png")

"""Mapping from the canvas to the image, and millimetres."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from polyclinic.explain.localisation.coordinates import box_on_map, canvas_of, pixel_spacing, region_in_picture
from polyclinic.explain.localisation.localisation import localise
from polyclinic.explain.localisation.pixel_spacing import spacing_of
from polyclinic.explain.localisation.regions import Box, Mask, box_iou
from polyclinic.explain.sample import Sample
from polyclinic.features.feature_set import FeatureSet
from polyclinic.features.image.preprocessing import FITS, read_image
from tests.explain.maps import blob


@st.composite
def canvases(draw):
    sides = st.integers(1, 700)
    return canvas_of(draw(sides), draw(sides), draw(st.sampled_from([32, 224])), draw(st.sampled_from(FITS)))


@given(canvases())
def test_corners_of_the_image_are_those_of_its_placement(canvas):
    lies = canvas.placement
    whole = box_on_map(Box.of_xyxy(0, 0, canvas.width, canvas.height), canvas)
    expected = (lies.left, lies.top, lies.left + lies.width, lies.top + lies.height)
    np.testing.assert_allclose(whole.xyxy, expected, atol=1e-9)
    coarse = box_on_map(Box.of_xyxy(0, 0, canvas.width, canvas.height), canvas, (canvas.side // 4,) * 2)
    np.testing.assert_allclose(coarse.xyxy, np.array(expected) / 4, atol=1e-9)


@given(canvases(), st.floats(0, 32), st.floats(0, 32))
def test_points_agree_with_the_canvas_which_counts_from_centres(canvas, y, x):
    point = box_on_map(Box((y, x), (y + 1, x + 1)), canvas).start
    np.testing.assert_allclose(np.subtract(point, 0.5)[::-1], canvas.to_canvas(x - 0.5, y - 0.5), atol=1e-9)


@given(canvases(), st.data())
@settings(deadline=None)
def test_a_region_maps_back_to_where_it_was_drawn(canvas, data):
    """A box of the image marked on the canvas maps back to the image, to a pixel of the coarser grid."""
    x0, y0 = data.draw(st.integers(0, canvas.width - 1)), data.draw(st.integers(0, canvas.height - 1))
    x1, y1 = data.draw(st.integers(x0 + 1, canvas.width)), data.draw(st.integers(y0 + 1, canvas.height))
    drawn = Box.of_xyxy(x0, y0, x1, y1)
    on_map = box_on_map(drawn, canvas)
    heat = np.zeros((canvas.side, canvas.side))
    marked = tuple(
        slice(int(a), max(int(np.ceil(b)), int(a) + 1)) for a, b in zip(on_map.start, on_map.stop, strict=True)
    )
    heat[marked] = 1
    regions = localise(heat, 0)
    assume(regions)
    found = region_in_picture(regions[0], canvas)
    lies = canvas.placement
    pixel = np.array([canvas.height / lies.height, canvas.width / lies.width])  # of the map, in the picture
    assert (np.array(found.box.start) <= np.array(drawn.start) + 1e-6).all()
    assert (np.array(found.box.stop) >= np.array(drawn.stop) - 1e-6).all()
    assert (np.abs(np.subtract(found.box.start, drawn.start)) <= pixel + 1e-6).all()
    assert (np.abs(np.subtract(found.box.stop, drawn.stop)) <= pixel + 1e-6).all()
    pixels = np.argwhere(found.mask.array())
    assert found.mask.shape == (canvas.height, canvas.width)
    assert (pixels + 1 > np.array(found.box.start) - 1e-6).all()
    assert (pixels < np.array(found.box.stop) + 1e-6).all()
    away = np.linalg.norm(pixels + 0.5 - found.circle.centre, axis=1)
    assert away.max() <= found.circle.radius + np.linalg.norm(pixel) + 1  # the circle covers the mask


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("shape", [(300, 200), (120, 400), (50, 30)])
def test_a_bright_spot_is_found_at_its_place_in_the_image(shape, fit, tmp_path):
    """Through the decoder: pixels bright in the input of the network are bright in the file."""
    pixels = np.zeros(shape, np.uint8)
    top, left = shape[0] // 5, shape[1] // 3
    pixels[top : top + shape[0] // 4, left : left + shape[1] // 5] = 255
    Image.fromarray(pixels).save(tmp_path / "spot.png")
    seen = read_image((tmp_path / "spot.png").read_bytes(), "spot", 224, fit)
    (on_map,) = localise(seen.astype(float), 0.5)
    region = region_in_picture(on_map, canvas_of(*shape, 224, fit))
    spot = Box.of_xyxy(left, top, left + shape[1] // 5, top + shape[0] // 4)
    assert box_iou(region.box, spot) > 0.85
    mask = region.mask.array()
    assert (mask & (pixels > 0)).sum() / (mask | (pixels > 0)).sum() > 0.85
    assert spot.holds(region.peak)


def test_a_pixel_of_a_small_image_is_not_lost_between_map_pixels():
    heat = np.zeros((224, 224))
    heat[100, 100:102] = 1
    found = region_in_picture(localise(heat, 0)[0], canvas_of(28, 28))
    assert found.mask == Mask((28, 28), (12 * 28 + 12, 1))


def test_a_region_in_the_black_border_is_not_in_the_image():
    canvas = canvas_of(400, 100)
    border, inside = (localise(blob((224, 224), 100, x), 0.5)[0] for x in (30, 112))
    assert region_in_picture(border, canvas) is None
    across = localise(blob((224, 224), 100, 84), 0.5)[0]
    cut = region_in_picture(across, canvas)
    assert cut.box.start[1] == 0
    assert region_in_picture(inside, canvas).circle.centre == pytest.approx((100 / 0.56, 50))


def test_millimetres_of_an_image():
    found = region_in_picture(localise(blob((224, 224), 100, 50), 0.5)[0], canvas_of(448, 448), (0.2, 0.2))
    assert found.circle.centre == pytest.approx((200, 100))
    assert found.circle_mm.centre == pytest.approx((40, 20))
    assert found.circle_mm.radius == pytest.approx(found.circle.radius * 0.2)
    assert found.box_mm.size == pytest.approx(found.box.size * 0.04)
    assert found.in_mm((0.2, 0.5)).circle_mm.radius == pytest.approx(found.circle.radius * 0.5)
    for wrong in ((0.2,), (0.2, 0), (0.2, np.nan)):
        with pytest.raises(ValueError, match="2 finite numbers above 0"):
            found.in_mm(wrong)


def test_the_spacing_in_the_patient_is_preferred_to_that_on_the_detector():
    detector = {"DICOM//imager_pixel_spacing//mm": 0.143}
    assert pixel_spacing(detector) == (0.143, "detector")
    assert pixel_spacing(detector | {"DICOM//pixel_spacing//mm": 0.13}) == (0.13, "patient")
    assert pixel_spacing(detector | {"DICOM//pixel_spacing//mm": 0.0}) == (0.143, "detector")
    assert pixel_spacing({"DICOM//pixel_spacing//mm": None}) is None


def test_spacing_codes_are_those_of_the_dicom_reader():
    from polyclinic.ingest.dicom.header import NUMBER_FACTS

    for keyword, measured in (("PixelSpacing", "patient"), ("ImagerPixelSpacing", "detector")):
        assert pixel_spacing({NUMBER_FACTS[keyword]: 0.2}) == (0.2, measured)


AT = datetime(2024, 3, 5, 8)
LATER = datetime(2024, 3, 5, 9)
NOTHING: Mapping[str, Any] = {}


def taken(*rows):
    """Return a sample with image events: time, code, number, blob."""
    columns = {"time": pl.Datetime("us"), "code": pl.Categorical(), "numeric_value": pl.Float32(), "blob": pl.String()}
    events = pl.DataFrame(list(rows), schema=columns, orient="row")
    return Sample(1, LATER, events.clear(), NOTHING, FeatureSet({}), Path, events)


def picture(name, at=AT):
    return at, "IMAGE//DX//PA", None, name


def spaced(mm, at=AT, code="DICOM//imager_pixel_spacing//mm"):
    return at, code, mm, None


def test_the_spacing_of_an_image_is_that_at_its_time():
    sample = taken(picture("a"), spaced(0.25), picture("b", LATER), spaced(0.5, LATER), picture("c", None))
    assert spacing_of(sample, "a") == (0.25, "detector")
    assert spacing_of(sample, "b") == (0.5, "detector")
    assert spacing_of(sample, "c") is None
    assert spacing_of(taken(picture("a"), spaced(None)), "a") is None
    both = taken(picture("a"), spaced(0.25), spaced(0.125, code="DICOM//pixel_spacing//mm"))
    assert spacing_of(both, "a") == (0.125, "patient")


def test_an_undated_image_has_the_undated_spacing():
    assert spacing_of(taken(picture("a", None), spaced(0.25, None), spaced(0.5)), "a") == (0.25, "detector")


def test_images_of_one_time_share_a_spacing_or_have_none():
    assert spacing_of(taken(picture("a"), picture("b"), spaced(0.25)), "b") == (0.25, "detector")
    assert spacing_of(taken(picture("a"), picture("b"), spaced(0.25), spaced(0.5)), "b") is None


def test_a_sample_has_the_spacing_although_its_tasks_exclude_it(bundle, with_inputs, hospital):
    sample = with_inputs()
    pictured = str(sample.arrays["image"]["blob"][0][0])
    stated = sample.taken.filter(pl.col("code").cast(pl.String) == "DICOM//imager_pixel_spacing//mm")
    assert spacing_of(sample, pictured) == (stated["numeric_value"][0], "detector")
    assert not sample.known["code"].cast(pl.String).str.starts_with("DICOM//").any()
    assert sample.taken["time"].max() <= sample.prediction_time
    before = sample.taken["time"].min() - timedelta(minutes=1)
    earlier = Sample.of(bundle, hospital.subject(sample.subject_id), sample.subject_id, before, hospital.blob)
    assert earlier.taken.is_empty()
    assert spacing_of(earlier, pictured) is None
    assert spacing_of(replace(sample, taken=None), pictured) is None


def test_a_map_of_another_shape_is_rejected():
    with pytest.raises(ValueError, match="square canvas"):
        region_in_picture(localise(np.ones((10, 20)), 0)[0], canvas_of(100, 100))
    with pytest.raises(ValueError, match="at least one pixel"):
        canvas_of(0, 10)

"""Circle, box and mask; the way from the canvas back to the picture; millimetres; JSON."""

import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from polyclinic.explain.localisation import localise
from polyclinic.explain.regions import Box, Canvas, Circle, Mask, Region, box_iou, pixel_spacing
from polyclinic.features.image_pixels import FITS, place, read_picture

from .maps import blob, heat_maps

numbers = st.floats(-1e6, 1e6)


@st.composite
def boxes(draw, most: float = 50):
    (x0, x1), (y0, y1) = (
        sorted(draw(st.tuples(*[st.floats(0, most)] * 2).filter(lambda ends: abs(ends[0] - ends[1]) > 1e-3)))
        for _ in range(2)
    )
    return Box.of_xyxy(x0, y0, x1, y1)


@st.composite
def canvases(draw):
    sides = st.integers(1, 700)
    return Canvas(draw(sides), draw(sides), draw(st.sampled_from([32, 224])), draw(st.sampled_from(FITS)))


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=3, max_side=9)))
def test_a_mask_comes_back(array):
    mask = Mask.of(array)
    np.testing.assert_array_equal(mask.array(), array)
    assert mask.pixels == array.sum()
    assert Mask.of(mask.array()) == mask


@pytest.mark.parametrize("runs", [(1,), (0, 0), (-1, 2), (5, 2, 1, 2), (0, 2, 2, 2), (11, 2), (0, 13)])
def test_runs_that_are_no_mask_are_refused(runs):
    with pytest.raises(ValueError, match="runs of a mask"):
        Mask((3, 4), runs)


@given(heat_maps(), st.floats(0, 1))
@settings(deadline=None)
def test_regions_go_through_json_and_back(drawn, s):
    for region in localise(drawn[0], s, drawn[1]):
        assert Region.from_json(region.to_json()) == region
        assert Region.from_dict(json.loads(json.dumps(region.to_dict()))) == region
        assert Mask.of(region.mask.array()) == region.mask


def test_a_region_cannot_be_changed():
    (region,) = localise(np.ones((9, 9)), 0)
    for part, name in ((region, "circle"), (region.circle, "radius"), (region.box, "stop"), (region.mask, "runs")):
        with pytest.raises(AttributeError):
            setattr(part, name, None)
    assert len({region, *localise(np.ones((9, 9)), 1)}) == 1


@given(boxes(), boxes())
def test_iou_against_the_areas(one, other):
    iou = box_iou(one, other)
    assert 0 <= iou <= 1
    assert iou == box_iou(other, one)
    assert box_iou(one, one) == pytest.approx(1)
    steps = np.linspace(0, 50, 400)
    y, x = np.meshgrid(steps, steps, indexing="ij")
    inside = [(y >= b.start[0]) & (y < b.stop[0]) & (x >= b.start[1]) & (x < b.stop[1]) for b in (one, other)]
    union = (inside[0] | inside[1]).sum()
    assume(union > 2000)
    np.testing.assert_allclose(iou, (inside[0] & inside[1]).sum() / union, atol=0.05)


def test_iou_of_known_boxes():
    assert box_iou(Box.of_xyxy(0, 0, 2, 2), Box.of_xyxy(2, 0, 4, 2)) == 0
    assert box_iou(Box((0, 0, 0), (2, 2, 2)), Box((0, 0, 0), (1, 2, 2))) == 0.5


def test_a_box_holds_its_start_and_not_its_stop():
    box = Box.of_xyxy(10, 20, 30, 40)
    assert box.xyxy == (10, 20, 30, 40)
    assert box.holds((20, 10))
    assert not box.holds((40, 10))
    assert not box.holds((19.5, 10))
    assert box.holds((19.5, 10), margin=0.5)
    assert box.grown(2) == Box.of_xyxy(8, 18, 32, 42)
    assert box.clipped((25, 100)) == Box.of_xyxy(10, 20, 30, 25)
    assert box.clipped((20, 100)) is None
    assert Circle((3.0, 4.0), 2.0).xyr == (4, 3, 2)


@pytest.mark.parametrize("wrong", [((0, 0), (1, 0)), ((0, 0), (1, np.inf)), ((0,), (1, 1)), ((np.nan, 0), (1, 1))])
def test_what_is_no_box_is_refused(wrong):
    with pytest.raises(ValueError, match="a box has"):
        Box(*wrong)
    for centre, radius in (((0.0, 0.0), -1.0), ((0.0, np.nan), 1.0)):
        with pytest.raises(ValueError, match="a circle has"):
            Circle(centre, radius)


@given(canvases(), st.data())
def test_a_pictures_corners_lie_where_the_picture_lies(canvas, data):
    lies = place(canvas.width, canvas.height, canvas.side, canvas.fit)
    whole = canvas.to_map(Box.of_xyxy(0, 0, canvas.width, canvas.height))
    expected = (lies.left, lies.top, lies.left + lies.width, lies.top + lies.height)
    np.testing.assert_allclose(whole.xyxy, expected, atol=1e-9)
    coarse = canvas.to_map(Box.of_xyxy(0, 0, canvas.width, canvas.height), (canvas.side // 4,) * 2)
    np.testing.assert_allclose(coarse.xyxy, np.array(expected) / 4, atol=1e-9)


@given(canvases(), st.data())
@settings(deadline=None)
def test_a_region_comes_back_to_where_it_was_drawn(canvas, data):
    """A box of the picture, marked on the canvas, is found again in the picture, to a pixel of the coarser grid."""
    x0, y0 = data.draw(st.integers(0, canvas.width - 1)), data.draw(st.integers(0, canvas.height - 1))
    x1, y1 = data.draw(st.integers(x0 + 1, canvas.width)), data.draw(st.integers(y0 + 1, canvas.height))
    drawn = Box.of_xyxy(x0, y0, x1, y1)
    on_map = canvas.to_map(drawn)
    heat = np.zeros((canvas.side, canvas.side))
    marked = tuple(
        slice(int(a), max(int(np.ceil(b)), int(a) + 1)) for a, b in zip(on_map.start, on_map.stop, strict=True)
    )
    heat[marked] = 1
    regions = localise(heat, 0)
    assume(regions)
    found = canvas.to_picture(regions[0])
    lies = place(canvas.width, canvas.height, canvas.side, canvas.fit)
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
def test_a_bright_spot_is_found_where_it_is_in_the_picture(shape, fit, tmp_path):
    """Through the decoder itself: what the network sees as bright is bright in the file."""
    pixels = np.zeros(shape, np.uint8)
    top, left = shape[0] // 5, shape[1] // 3
    pixels[top : top + shape[0] // 4, left : left + shape[1] // 5] = 255
    Image.fromarray(pixels).save(tmp_path / "spot.png")
    seen = read_picture((tmp_path / "spot.png").read_bytes(), "spot", 224, fit)
    (region,) = (Canvas(*shape, 224, fit).to_picture(found) for found in localise(seen.astype(float), 0.5))
    spot = Box.of_xyxy(left, top, left + shape[1] // 5, top + shape[0] // 4)
    assert box_iou(region.box, spot) > 0.85
    mask = region.mask.array()
    assert (mask & (pixels > 0)).sum() / (mask | (pixels > 0)).sum() > 0.85
    assert spot.holds(region.peak)


def test_a_pixel_of_a_small_picture_is_not_lost_between_those_of_the_map():
    heat = np.zeros((224, 224))
    heat[100, 100:102] = 1
    found = Canvas(28, 28).to_picture(localise(heat, 0)[0])
    assert found.mask == Mask((28, 28), (12 * 28 + 12, 1))


def test_what_lies_in_the_black_border_alone_is_not_in_the_picture():
    canvas = Canvas(400, 100)
    border, inside = (localise(blob((224, 224), 100, x), 0.5)[0] for x in (30, 112))
    assert canvas.to_picture(border) is None
    across = localise(blob((224, 224), 100, 84), 0.5)[0]
    cut = canvas.to_picture(across)
    assert cut.box.start[1] == 0
    assert canvas.to_picture(inside).circle.centre == pytest.approx((100 / 0.56, 50))


def test_millimetres_of_a_picture():
    found = Canvas(448, 448).to_picture(localise(blob((224, 224), 100, 50), 0.5)[0], (0.2, 0.2))
    assert found.circle.centre == pytest.approx((200, 100))
    assert found.circle_mm.centre == pytest.approx((40, 20))
    assert found.circle_mm.radius == pytest.approx(found.circle.radius * 0.2)
    assert found.box_mm.size == pytest.approx(found.box.size * 0.04)
    assert found.in_mm((0.2, 0.5)).circle_mm.radius == pytest.approx(found.circle.radius * 0.5)
    for wrong in ((0.2,), (0.2, 0), (0.2, np.nan)):
        with pytest.raises(ValueError, match="2 finite numbers above 0"):
            found.in_mm(wrong)


def test_the_spacing_in_the_patient_goes_before_that_on_the_detector():
    detector = {"DICOM//imager_pixel_spacing//mm": 0.143}
    assert pixel_spacing(detector) == (0.143, "detector")
    assert pixel_spacing(detector | {"DICOM//pixel_spacing//mm": 0.13}) == (0.13, "patient")
    assert pixel_spacing(detector | {"DICOM//pixel_spacing//mm": 0.0}) == (0.143, "detector")
    assert pixel_spacing({"DICOM//pixel_spacing//mm": None}) is None


def test_its_codes_are_those_the_dicom_reader_writes():
    from polyclinic.ingest.dicom_header import NUMBER_FACTS

    for keyword, measured in (("PixelSpacing", "patient"), ("ImagerPixelSpacing", "detector")):
        assert pixel_spacing({NUMBER_FACTS[keyword]: 0.2}) == (0.2, measured)


def test_a_map_that_is_not_of_the_canvas_is_refused():
    with pytest.raises(ValueError, match="square canvas"):
        Canvas(100, 100).to_picture(localise(np.ones((10, 20)), 0)[0])
    with pytest.raises(ValueError, match="at least one pixel"):
        Canvas(0, 10)

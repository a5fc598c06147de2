"""Circle, box and mask, and their JSON."""

import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from polyclinic.explain.localisation.localisation import localise
from polyclinic.explain.localisation.regions import Box, Circle, Mask, Region, box_iou
from tests.explain.maps import heat_maps


@st.composite
def boxes(draw, most: float = 50):
    (x0, x1), (y0, y1) = (
        sorted(draw(st.tuples(*[st.floats(0, most)] * 2).filter(lambda ends: abs(ends[0] - ends[1]) > 1e-3)))
        for _ in range(2)
    )
    return Box.of_xyxy(x0, y0, x1, y1)


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=3, max_side=9)))
def test_mask_round_trip(array):
    mask = Mask.of(array)
    np.testing.assert_array_equal(mask.array(), array)
    assert mask.pixels == array.sum()
    assert Mask.of(mask.array()) == mask


@pytest.mark.parametrize("runs", [(1,), (0, 0), (-1, 2), (5, 2, 1, 2), (0, 2, 2, 2), (11, 2), (0, 13)])
def test_invalid_runs_are_rejected(runs):
    with pytest.raises(ValueError, match="runs of a mask"):
        Mask((3, 4), runs)


@given(heat_maps(), st.floats(0, 1))
@settings(deadline=None)
def test_region_json_round_trip(drawn, s):
    for region in localise(drawn[0], s, drawn[1]):
        assert Region.from_json(region.to_json()) == region
        assert Region.from_dict(json.loads(json.dumps(region.to_dict()))) == region
        assert Mask.of(region.mask.array()) == region.mask


def test_regions_are_immutable():
    (region,) = localise(np.ones((9, 9)), 0)
    for part, name in ((region, "circle"), (region.circle, "radius"), (region.box, "stop"), (region.mask, "runs")):
        with pytest.raises(AttributeError):
            setattr(part, name, None)
    assert len({region, *localise(np.ones((9, 9)), 1)}) == 1


@given(boxes(), boxes())
def test_iou_from_areas(one, other):
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


def test_a_box_contains_its_start_and_not_its_stop():
    box = Box.of_xyxy(10, 20, 30, 40)
    assert box.xyxy == (10, 20, 30, 40)
    assert box.holds((20, 10))
    assert not box.holds((40, 10))
    assert not box.holds((19.5, 10))
    assert box.holds((19.5, 10), margin=0.5)
    assert box.clipped((25, 100)) == Box.of_xyxy(10, 20, 30, 25)
    assert box.clipped((20, 100)) is None
    assert Circle((3.0, 4.0), 2.0).xyr == (4, 3, 2)


@pytest.mark.parametrize("wrong", [((0, 0), (1, 0)), ((0, 0), (1, np.inf)), ((0,), (1, 1)), ((np.nan, 0), (1, 1))])
def test_invalid_boxes_are_rejected(wrong):
    with pytest.raises(ValueError, match="a box has"):
        Box(*wrong)
    for centre, radius in (((0.0, 0.0), -1.0), ((0.0, np.nan), 1.0)):
        with pytest.raises(ValueError, match="a circle has"):
            Circle(centre, radius)

"""Phantoms: every lesion is where the truth says, and nothing else changes with it."""

import numpy as np
import pytest

from polyclinic.demo.phantom import Build, Lesion, render

BUILD = Build(female=False, age=60, bmi=26, hyperinflated=False, cardiothoracic_ratio=0.46, portable=False)
IN_LUNG = {"effusion": 0.4, "consolidation": 0.3, "nodule": 24, "pneumothorax": 0.4}
LESIONS = [Lesion(finding, side, size, 0.4, 0.5) for finding, size in IN_LUNG.items() for side in (-1, 1)]
LARGE_HEART = Lesion("cardiomegaly", 0, 0.62)
SEEDS = range(6)


@pytest.mark.parametrize("lesion", [*LESIONS, LARGE_HEART], ids=lambda lesion: f"{lesion.finding}{lesion.side:+d}")
@pytest.mark.parametrize("seed", SEEDS)
def test_the_picture_differs_inside_the_box_and_hardly_outside(seed, lesion):
    sick, well = render((7, seed), BUILD, [lesion]), render((7, seed), BUILD)
    (box,) = sick.boxes
    difference = np.abs(sick.pixels - well.pixels)
    inside = np.zeros_like(difference, bool)
    inside[box.y0 : box.y1, box.x0 : box.x1] = True
    assert (box.finding, box.side) == (lesion.finding, lesion.side)
    assert difference[inside].mean() > 0.025
    assert difference[inside].mean() > 8 * difference[~inside].mean()
    assert difference[inside].sum() > 0.6 * difference.sum()


@pytest.mark.parametrize("lesion", LESIONS, ids=lambda lesion: f"{lesion.finding}{lesion.side:+d}")
@pytest.mark.parametrize("seed", SEEDS)
def test_boxes_lie_within_the_lung_of_their_side(seed, lesion):
    drawn = render((8, seed), BUILD, [lesion])
    (box,) = drawn.boxes
    width = drawn.pixels.shape[1]
    rows, columns = np.nonzero(drawn.lungs > 0.02)
    assert rows.min() - 2 <= box.y0 < box.y1 <= rows.max() + 3
    assert columns.min() - 2 <= box.x0 < box.x1 <= columns.max() + 3
    middle = (box.x0 + box.x1) / 2
    assert (middle > width / 2) == (lesion.side > 0)  # the patient's left is on the right of the picture


@pytest.mark.parametrize(
    ("finding", "share", "least", "most"),
    [
        ("effusion", 0.9, 0.1, 1),
        ("consolidation", 0.9, 0.1, 1),
        ("nodule", 0.9, 0.1, 1),
        ("pneumothorax", 0.1, -1, -0.03),
    ],
)
def test_fluid_is_white_and_air_is_black(finding, share, least, most):
    for seed in SEEDS:
        sick, well = render((9, seed), BUILD, [Lesion(finding, 1, IN_LUNG[finding])]), render((9, seed), BUILD)
        (box,) = sick.boxes
        change = (sick.pixels - well.pixels)[box.y0 : box.y1, box.x0 : box.x1]
        assert least < np.quantile(change, share) < most


@pytest.mark.parametrize("extent", [0.1, 0.3, 0.6])
def test_consolidation_takes_the_share_of_the_lung_it_says(extent):
    shares = []
    for seed in SEEDS:
        sick, well = render((10, seed), BUILD, [Lesion("consolidation", 1, extent)]), render((10, seed), BUILD)
        columns = np.arange(sick.pixels.shape[1])[None, :]
        half = (sick.lungs > 0.08) & (columns > sick.pixels.shape[1] / 2)
        change = (sick.pixels - well.pixels)[half]
        shares.append((change > change.max() / 3).mean())
    assert np.mean(shares) == pytest.approx(extent, rel=0.3)


@pytest.mark.parametrize("finding", ["effusion", "pneumothorax", "nodule"])
def test_more_is_larger(finding):
    small, large = {"nodule": (14, 36)}.get(finding, (0.2, 0.6))
    areas = []
    for extent in (small, large):
        boxes = [render((11, seed), BUILD, [Lesion(finding, 1, extent)]).boxes[0] for seed in SEEDS]
        areas.append(np.mean([(box.x1 - box.x0) * (box.y1 - box.y0) for box in boxes]))
    assert areas[1] > 1.3 * areas[0]


def test_a_lesion_looks_the_same_whatever_else_there_is():
    nodule, effusion = Lesion("nodule", 1, 24, 0.2, 0.5), Lesion("effusion", -1, 0.4)
    alone, together = render((12, 0), BUILD, [nodule]), render((12, 0), BUILD, [nodule, effusion])
    box = alone.boxes[0]
    assert box in together.boxes
    part = np.s_[box.y0 : box.y1, box.x0 : box.x1]
    np.testing.assert_allclose(alone.pixels[part], together.pixels[part], atol=0.01)


def test_brightness_is_canonical():
    for seed in SEEDS:
        picture = render((13, seed), BUILD)
        assert picture.pixels.dtype == np.float32
        assert picture.pixels.min() >= 0
        assert picture.pixels.max() <= 1
        assert picture.pixels[picture.lungs > 0.6].mean() < 0.45
        height, width = picture.pixels.shape
        assert 224 <= width <= height <= 320


def test_same_seed_same_picture_and_another_shot_is_the_same_chest_in_another_pose():
    first, again = render((14, 1), BUILD), render((14, 1), BUILD)
    np.testing.assert_array_equal(first.pixels, again.pixels)
    other_pose, other_person = render((14, 1), BUILD, shot=1), render((14, 2), BUILD)
    assert first.pixels.shape != other_pose.pixels.shape or not np.array_equal(first.pixels, other_pose.pixels)
    assert first.pixels.shape != other_person.pixels.shape or not np.array_equal(first.pixels, other_person.pixels)


def test_anatomy_varies_with_the_build():
    woman = Build(True, 80, 38, True, 0.46, True)
    assert np.isfinite(render((15, 0), woman, [Lesion(f, -1, s) for f, s in IN_LUNG.items()]).pixels).all()

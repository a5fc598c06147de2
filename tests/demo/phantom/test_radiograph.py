"""Phantoms: lesions are inside their boxes, and change nothing else."""

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
def test_lesion_changes_the_image_inside_its_box(seed, lesion):
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
def test_boxes_are_within_the_lung_of_their_side(seed, lesion):
    drawn = render((8, seed), BUILD, [lesion])
    (box,) = drawn.boxes
    width = drawn.pixels.shape[1]
    rows, columns = np.nonzero(drawn.lungs > 0.02)
    assert rows.min() - 2 <= box.y0 < box.y1 <= rows.max() + 3
    assert columns.min() - 2 <= box.x0 < box.x1 <= columns.max() + 3
    middle = (box.x0 + box.x1) / 2
    assert (middle > width / 2) == (lesion.side > 0)  # the patient's left is on the right of the image


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
def test_consolidation_covers_its_share_of_the_lung(extent):
    shares = []
    for seed in SEEDS:
        sick, well = render((10, seed), BUILD, [Lesion("consolidation", 1, extent)]), render((10, seed), BUILD)
        columns = np.arange(sick.pixels.shape[1])[None, :]
        half = (sick.lungs > 0.08) & (columns > sick.pixels.shape[1] / 2)
        change = (sick.pixels - well.pixels)[half]
        shares.append((change > change.max() / 3).mean())
    assert np.mean(shares) == pytest.approx(extent, rel=0.3)


@pytest.mark.parametrize("finding", ["effusion", "pneumothorax", "nodule"])
def test_larger_extent_gives_a_larger_box(finding):
    small, large = {"nodule": (14, 36)}.get(finding, (0.2, 0.6))
    areas = []
    for extent in (small, large):
        boxes = [render((11, seed), BUILD, [Lesion(finding, 1, extent)]).boxes[0] for seed in SEEDS]
        areas.append(np.mean([(box.x1 - box.x0) * (box.y1 - box.y0) for box in boxes]))
    assert areas[1] > 1.3 * areas[0]


def test_lesions_are_rendered_independently():
    nodule, effusion = Lesion("nodule", 1, 24, 0.2, 0.5), Lesion("effusion", -1, 0.4)
    single, both = render((12, 0), BUILD, [nodule]), render((12, 0), BUILD, [nodule, effusion])
    box = single.boxes[0]
    assert box in both.boxes
    part = np.s_[box.y0 : box.y1, box.x0 : box.x1]
    np.testing.assert_allclose(single.pixels[part], both.pixels[part], atol=0.01)


def test_brightness_range_and_size():
    for seed in SEEDS:
        radiograph = render((13, seed), BUILD)
        assert radiograph.pixels.dtype == np.float32
        assert radiograph.pixels.min() >= 0
        assert radiograph.pixels.max() <= 1
        assert radiograph.pixels[radiograph.lungs > 0.6].mean() < 0.45
        height, width = radiograph.pixels.shape
        assert 224 <= width <= height <= 320


def test_seed_determines_the_image_and_shot_the_pose():
    first, again = render((14, 1), BUILD), render((14, 1), BUILD)
    np.testing.assert_array_equal(first.pixels, again.pixels)
    other_pose, other_patient = render((14, 1), BUILD, shot=1), render((14, 2), BUILD)
    assert first.pixels.shape != other_pose.pixels.shape or not np.array_equal(first.pixels, other_pose.pixels)
    assert first.pixels.shape != other_patient.pixels.shape or not np.array_equal(first.pixels, other_patient.pixels)


def test_extreme_build_is_rendered():
    woman = Build(True, 80, 38, True, 0.46, True)
    assert np.isfinite(render((15, 0), woman, [Lesion(f, -1, s) for f, s in IN_LUNG.items()]).pixels).all()

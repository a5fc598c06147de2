"""Localisation: kept pixels, their clusters, and the description of each cluster."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyclinic.explain.localisation.localisation import (
    LINK,
    MARGIN,
    clusters,
    kept,
    link_distance,
    localise,
    localise_signed,
    positive_share,
    signed_min_max,
)
from polyclinic.explain.localisation.single_linkage import linked
from tests.explain.maps import blob, heat_maps

dials = st.floats(0, 1)


@given(heat_maps(), dials, dials)
@settings(deadline=None)
def test_a_higher_sensitivity_only_adds_pixels(drawn, one, other):
    heat, spacing = drawn
    strength = positive_share(heat)
    low, high = sorted((one, other))
    assert not (kept(strength, low) & ~kept(strength, high)).any()
    less, more = (clusters(strength, kept(strength, s), spacing).places() for s in (low, high))
    assert not ((less > 0) & (more == 0)).any()
    for place in range(1, less.max() + 1):
        assert len(np.unique(more[less == place])) == 1  # a region is never divided


@given(heat_maps())
@settings(deadline=None)
def test_the_lowest_and_highest_sensitivity(drawn):
    strength = positive_share(drawn[0])
    np.testing.assert_array_equal(kept(strength, 1), drawn[0] > 0)
    np.testing.assert_array_equal(kept(strength, 0), (drawn[0] == drawn[0].max()) & (drawn[0] > 0))


@given(heat_maps(), st.floats(0, 0.99), st.sampled_from([0.5, 2.0, 1024.0]))
@settings(deadline=None)
def test_regions_depend_on_neither_unit_nor_negative_attribution(drawn, s, factor):
    heat, spacing = drawn
    assert localise(heat * factor, s, spacing) == localise(heat, s, spacing)
    assert localise(np.where(heat < 0, 100 * heat, heat), s, spacing) == localise(heat, s, spacing)
    assert localise(positive_share(heat), s, spacing) == localise(heat, s, spacing)


@given(heat_maps(), dials)
@settings(deadline=None)
def test_each_region_matches_its_pixels(drawn, s):
    heat, spacing = drawn
    strength, steps = positive_share(heat), np.array(spacing or (1.0,) * heat.ndim)
    regions = localise(heat, s, spacing)
    labels = linked(kept(strength, s), link_distance(heat.shape, spacing), spacing)
    assert len(regions) == (np.bincount(labels.ravel())[1:] >= 2).sum()
    margin = MARGIN * (np.array(heat.shape[-2:]) * steps[-2:]).max() / 224
    for region in regions:
        mask = region.mask.array()
        assert len(np.unique(labels[mask])) == 1
        assert (labels == labels[mask][0]).sum() == mask.sum() == region.mask.pixels >= 2
        pixels = np.argwhere(mask) + 0.5
        np.testing.assert_allclose(region.circle.centre, pixels.mean(axis=0))
        away = np.linalg.norm((pixels - pixels.mean(axis=0)) * steps, axis=1).max()
        np.testing.assert_allclose(region.circle.radius * steps.min(), away + margin)
        assert region.box.start == tuple(pixels.min(axis=0) - 0.5)
        assert region.box.stop == tuple(pixels.max(axis=0) + 0.5)
        peak = tuple(int(at) for at in region.peak)
        assert mask[peak]
        assert region.strength == strength[peak] == strength[mask].max()
        np.testing.assert_allclose(region.share, strength[mask].sum() / strength.sum())
        if spacing:
            np.testing.assert_allclose(region.circle_mm.radius, away + margin)
            np.testing.assert_allclose(region.circle_mm.centre, pixels.mean(axis=0) * steps)
            np.testing.assert_allclose(region.box_mm.stop, pixels.max(axis=0) * steps + steps / 2)
    order = [(-region.strength, -region.share) for region in regions]
    assert order == sorted(order)


@given(heat_maps(axes=(2,)), dials, st.floats(0.01, 5))
@settings(deadline=None)
def test_square_pixels_of_any_size_give_the_same_regions(drawn, s, size):
    in_pixels, in_mm = localise(drawn[0], s), localise(drawn[0], s, (size, size))
    assert [region.mask for region in in_pixels] == [region.mask for region in in_mm]
    for one, other in zip(in_pixels, in_mm, strict=True):
        np.testing.assert_allclose(other.circle.radius, one.circle.radius)
        np.testing.assert_allclose(other.circle_mm.radius, one.circle.radius * size)


def test_a_step_of_exactly_the_distance_links_in_millimetres_too():
    heat = np.zeros((224, 224))
    heat[7, 7] = heat[7, 17] = heat[99, 99] = heat[105, 107] = 1
    for size in (0.139, 0.143, 0.1, 0.175, 1 / 3):
        assert len(localise(heat, 0, (size, size))) == len(localise(heat, 0)) == 2


def test_a_known_result_on_the_papers_grid():
    heat = np.zeros((224, 224))
    heat[100:110, 50:60] = 1  # a square,
    heat[105, 69] = 0.8  # a pixel 10 from it, which joins,
    heat[20, 200] = heat[20, 210] = 0.6  # two that join each other,
    heat[200, 30] = 0.9  # one by itself, which is none,
    heat[60:80] = -7  # and what speaks against
    first, second = localise(heat, 0.4)
    assert first.mask.pixels == 101
    assert first.box.xyxy == (50, 100, 70, 110)
    assert second.circle.centre == (20.5, 205.5)
    assert second.circle.radius == 5 + 5
    assert second.strength == 0.6
    assert len(localise(heat, 0.39)) == 1
    (alone,) = localise(heat, 0.19)
    assert alone.mask.pixels == 100
    np.testing.assert_allclose(alone.circle.radius, 4.5 * np.sqrt(2) + 5)


def test_lengths_scale_with_the_map():
    assert link_distance((224, 224)) == link_distance((224, 100)) == LINK
    assert link_distance((1024, 1024)) == 10 * 1024 / 224
    assert link_distance((64, 448, 448), (1, 0.5, 0.5)) == pytest.approx(LINK)
    coarse = np.zeros((7, 7))
    coarse[2, 2] = coarse[3, 3] = 1
    assert len(localise(coarse, 0)) == 1  # touching pixels are joined, though 32 pixels of the grid wide


def test_volumes_are_measured_in_millimetres():
    """Thick slices: five voxels apart within a slice are nearer than two slices; 112 mm across, steps are up to 5."""
    heat = np.zeros((12, 112, 112))
    heat[3, 40, 40] = heat[3, 40, 45] = 1  # 5 mm apart
    heat[7, 40, 40] = heat[7, 41, 40] = 0.9  # 20 mm above
    spacing = (5.0, 1.0, 1.0)
    one, other = localise(heat, 0.2, spacing)
    assert one.circle_mm.centre == (17.5, 40.5, 43.0)
    assert one.circle_mm.radius == 2.5 + 2.5
    assert other.box_mm.start == (35.0, 40.0, 40.0)
    thin = localise(heat, 0.2, (1.0, 1.0, 1.0))
    assert len(thin) == 1
    assert thin[0].mask.pixels == 4


@pytest.mark.parametrize("s", [0, 0.3, 1])
@pytest.mark.parametrize("heat", [np.zeros((30, 30)), -np.ones((30, 30)), np.eye(1), -np.eye(40)])
def test_no_region_without_positive_attribution(heat, s):
    assert localise(np.zeros_like(heat), s) == ()
    assert localise(-np.abs(heat), s) == ()


@pytest.mark.parametrize("s", [0, 0.3, 1])
def test_one_pixel_is_no_region_and_a_constant_map_is_one(s):
    one = np.zeros((30, 30))
    one[4, 5] = 1
    assert localise(one, s) == ()
    (whole,) = localise(np.full((30, 20), 1e-300), s)
    assert whole.mask.array().all()
    assert whole.box.xyxy == (0, 0, 20, 30)
    assert whole.share == pytest.approx(1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_invalid_heat_map_is_rejected_without_its_values(bad):
    heat = np.ones((4, 4))
    heat[1, 2] = bad
    with pytest.raises(ValueError, match="1 of 16 attributions of the heat map are not finite"):
        localise(heat, 0.5)
    for shape in ((4,), (0, 4), (2, 2, 2, 2)):
        with pytest.raises(ValueError, match=r"\[height, width\]"):
            localise(np.ones(shape), 0.5)
    for s in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="sensitivity"):
            localise(np.ones((4, 4)), s)


def test_the_original_threshold_depends_on_negative_attribution():
    """The original method shows the same positive evidence or not, depending on the negative; sensitivity does not."""
    heat = blob((224, 224), 60, 60) + 0.6 * blob((224, 224), 160, 160)
    against = heat - 2 * blob((224, 224), 60, 180)
    assert len(localise_signed(heat)) == 1
    seen = [region.mask.array() for region in localise_signed(against)]
    assert len(seen) == 2
    assert [region.mask for region in localise(heat, 0.3)] == [region.mask for region in localise(against, 0.3)]
    far = heat - 9 * blob((224, 224), 60, 180)
    assert any((far[region.mask.array()] <= 1e-6).any() for region in localise_signed(far))  # nothing speaks for these


@given(heat_maps())
@settings(deadline=None)
def test_the_original_scaling(drawn):
    scaled = signed_min_max(drawn[0])
    if drawn[0].max() > drawn[0].min():
        assert (scaled.min(), scaled.max()) == (0, 1)
    else:
        assert localise_signed(drawn[0]) == ()


def test_the_largest_numbers_do_not_overflow():
    heat = np.array([[1.7e308, -1.7e308, 0], [1.7e308, 1e308, 0]])
    with np.errstate(all="raise"):
        assert localise(heat, 0.1)[0].mask.pixels == 2
        assert signed_min_max(heat).max() == 1

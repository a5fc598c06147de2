"""Exact single linkage on a grid, against SciPy's own on the pixels' coordinates."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from polyclinic.explain.localisation.single_linkage import linked
from tests.properties import examples

STEPS = (0.5, 1.0, 1.5, 2.5)  # whole halves: their squares and sums are exact, so that ties are ties for both
DISTANCES = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 5.0, 7.5, 10.0, 13.3)
SIDES = {1: 150, 2: 32, 3: 12}


@st.composite
def masks(draw):
    """A mask in one to three dimensions, from nearly empty to full, its spacing and a distance."""
    axes = draw(st.sampled_from([1, 2, 2, 3]))
    shape = tuple(draw(st.integers(1, SIDES[axes])) for _ in range(axes))
    density = draw(st.sampled_from([0.003, 0.02, 0.1, 0.4, 1.0]))
    mask = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).random(shape) < density
    return mask, draw(st.sampled_from(DISTANCES)), [draw(st.sampled_from(STEPS)) for _ in shape]


def in_order(labels: np.ndarray) -> np.ndarray:
    """Renumber clusters by their first pixels."""
    values = labels[labels > 0]
    _, first, which = np.unique(values, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=int)
    rank[np.argsort(first)] = np.arange(1, len(first) + 1)
    ordered = np.zeros(labels.shape, dtype=int)
    ordered[labels > 0] = rank[which]
    return ordered


def by_scipy(mask: np.ndarray, distance: float, steps) -> np.ndarray:
    pixels = np.argwhere(mask) * np.asarray(steps)
    labels = np.zeros(mask.shape, dtype=int)
    labels[mask] = fcluster(linkage(pixels, "single"), distance, "distance") if len(pixels) > 1 else 1
    return in_order(labels)


def by_tree(mask: np.ndarray, distance: float) -> np.ndarray:
    """The same by a tree, for more pixels than fit SciPy's distance matrix."""
    pixels = np.argwhere(mask)
    one, other = cKDTree(pixels).query_pairs(distance, output_type="ndarray").T
    _, found = connected_components(coo_matrix((np.ones(len(one)), (one, other)), (len(pixels),) * 2), directed=False)
    labels = np.zeros(mask.shape, dtype=int)
    labels[mask] = found + 1
    return in_order(labels)


@given(masks())
@settings(deadline=None, max_examples=examples(300))
def test_agrees_with_scipy(drawn):
    mask, distance, steps = drawn
    if 2 <= mask.sum() <= 1500:
        np.testing.assert_array_equal(linked(mask, distance, steps), by_scipy(mask, distance, steps))


def spiral(side: int, gap: float) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - side / 2
    return (np.hypot(x, y) - np.arctan2(y, x) * gap / (2 * np.pi)) % gap < 1.5


def hexagons(side: int, step: int) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    rise = round(step * np.sqrt(3) / 2)
    return (y % rise == 0) & ((x + (y // rise % 2) * (step // 2)) % step == 0)


@pytest.mark.parametrize("gap", [11.4, 11.6, 13])
def test_arms_of_a_spiral_that_nearly_touch(gap):
    """Hardly any pair of cells is resolved by its outermost pixels here."""
    np.testing.assert_array_equal(linked(spiral(224, gap), 10), by_tree(spiral(224, gap), 10))


@pytest.mark.parametrize("step", [10, 11])
def test_a_lattice_just_within_and_just_out_of_reach(step):
    labels = linked(hexagons(224, step), 10)
    np.testing.assert_array_equal(labels, by_tree(hexagons(224, step), 10))
    assert (labels.max() > 100) == (step == 11)


def test_a_step_of_exactly_the_distance_links():
    mask = np.zeros((40, 40), dtype=bool)
    mask[5, 5] = mask[11, 13] = True  # 6 and 8 pixels apart
    assert linked(mask, 10).max() == 1
    assert linked(mask, np.nextafter(10, 0)).max() == 2
    assert linked(mask, 5, (0.5, 0.5)).max() == 1
    assert linked(mask, 10, (1, 2)).max() == 2


@pytest.mark.parametrize("mask", [np.ones((300, 300), bool), np.random.default_rng(0).random((300, 300)) < 0.3])
def test_memory_does_not_grow_with_the_square_of_the_pixels(mask):
    tracemalloc.start()
    labels = linked(mask, 13.4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert labels.max() == 1
    assert peak < 100 * mask.size  # 9 MB; a matrix of the distances would have 65 GB


def test_no_pixel_one_pixel_all_pixels():
    assert not linked(np.zeros((7, 9), bool), 3).any()
    one = np.zeros((7, 9), bool)
    one[6, 8] = True
    np.testing.assert_array_equal(linked(one, 3), one)
    np.testing.assert_array_equal(linked(np.ones((7, 9), bool), 1), 1)
    np.testing.assert_array_equal(linked(np.ones((2, 3), bool), 0.9), [[1, 2, 3], [4, 5, 6]])


def test_invalid_distances_and_spacings_are_rejected():
    mask = np.ones((3, 3), bool)
    for distance in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match="linking distance"):
            linked(mask, distance)
    for spacing in ([1], [1, 0], [1, np.nan], [1, -1]):
        with pytest.raises(ValueError, match="2 finite numbers above 0"):
            linked(mask, 1, spacing)

"""The range of values without outliers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from polyclinic.ingest.formats.value_range import RARE, central_range, distinct, histogram, likely_range

PIXELS = npst.arrays(np.int64, st.integers(1, 2000), elements=st.integers(0, 4095))


def counted(values: np.ndarray):
    return distinct(values, np.ones(len(values), dtype=np.int64))


@given(PIXELS, st.integers(-40_000, 40_000))
def test_a_histogram_counts_every_value(values, lowest):
    found = histogram((values + lowest).reshape(1, -1), lowest, 4096)
    expected, counts = np.unique(values + lowest, return_counts=True)
    np.testing.assert_array_equal(found.values, expected)
    np.testing.assert_array_equal(found.counts, counts)
    assert [*map(list, distinct(values + lowest, np.ones(len(values), int)))] == [list(expected), list(counts)]


@given(PIXELS)
def test_the_central_range_leaves_out_few_at_each_end(values):
    low, high = central_range(counted(values))
    assert (values < low).sum() <= RARE * len(values)
    assert (values > high).sum() <= RARE * len(values)
    if len(values) < 1 / RARE:
        assert (low, high) == (values.min(), values.max())


@given(PIXELS, st.integers(1, 9), st.integers(-1000, 1000))
def test_the_range_follows_scale_and_offset(values, factor, offset):
    low, high = likely_range(counted(values))
    assert likely_range(counted(values * factor + offset)) == (low * factor + offset, high * factor + offset)
    assert values.min() <= low <= high <= values.max()


@given(st.integers(17, 300), st.integers(1, 5000), st.integers(1, 10**6), st.booleans())
def test_one_value_far_from_all_others_is_left_out(span, count, gap, above):
    """Padding or a mark, however large."""
    others = np.arange(span)
    far = span + span + gap if above else -span - gap
    assert likely_range(counted(np.append(others, np.full(count, far)))) == (0, span - 1)


@given(PIXELS.filter(lambda values: len(values) > 400), st.data())
def test_few_values_far_from_the_others_are_left_out(values, data):
    low, high = likely_range(counted(values))
    few = data.draw(st.lists(st.integers(20_000, 65_535), max_size=int(RARE * len(values)) - 1))
    found = likely_range(counted(np.append(values, few)))
    assert found[1] <= values.max()
    assert found[0] >= values.min()
    if np.ptp(values) > 0 and low < high:
        assert found[1] >= central_range(counted(values))[0]

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from polyclinic.evaluation.report.small_counts import FEW, FEWEST, count_text, hidden_cells, shown_count


@given(st.one_of(st.none(), st.integers(0, 10_000)))
def test_no_small_count_is_written(count):
    small = count is None or count < FEWEST
    assert (count_text(count) == FEW) == small
    assert (shown_count(count) is None) == small


TABLES = arrays(int, st.tuples(st.integers(1, 5), st.just(2)), elements=st.integers(0, 30)).map(
    lambda counts: np.concatenate([counts.sum(axis=1, keepdims=True), counts], axis=1)
)
"""Counts of levels: in all, with and without the outcome."""


@given(TABLES)
def test_no_small_count_is_shown_or_follows_from_a_sum(counts):
    hidden = hidden_cells(counts, ((1, 2),))
    occurs = counts.any(axis=1)
    assert not (~hidden & (counts < FEWEST) & occurs[:, None]).any()
    for column in range(3):  # the levels add up to the samples of the column, which are known
        assert hidden[:, column].sum() != 1 or occurs.sum() == 1
    assert ((hidden[:, 1] == hidden[:, 2]) | ~occurs).all(), "without the other, a hidden cell follows from all"


@given(arrays(int, (4, 3), elements=st.integers(FEWEST, 50)))
def test_nothing_is_hidden_without_need(counts):
    assert not hidden_cells(counts).any()

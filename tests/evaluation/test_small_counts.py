import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linprog

from polyclinic.evaluation import small_counts
from polyclinic.evaluation.small_counts import FEW, FEWEST, count_text, hidden_cells


@given(st.one_of(st.none(), st.integers(0, 10_000)))
def test_no_small_count_is_written(count):
    small = count is None or count < FEWEST
    assert (count_text(count) == FEW) == small


def test_examples_in_docstrings():
    assert doctest.testmod(small_counts).failed == 0


def tables(outcomes: int):
    """Counts of levels: in all, and of each outcome."""
    parts = arrays(int, st.tuples(st.integers(1, 5), st.just(outcomes)), elements=st.integers(0, 30))
    return parts.map(lambda counts: np.concatenate([counts.sum(axis=1, keepdims=True), counts], axis=1))


def possible(counts, hidden, outcomes):
    """Yield each hidden count with the least and the most that the shown cells and sums allow, by programming.

    A reader knows the sums of the columns whose own total is shown, and that all is the sum of the outcomes.
    """
    levels, columns = counts.shape
    totals = hidden_cells(counts.sum(axis=0, keepdims=True), (tuple(range(columns)),), exclusive=False, known=(0,))[0]
    by_column = [np.eye(columns)[c] * np.ones((levels, 1)) for c in np.flatnonzero(~totals)]
    by_level = [np.eye(levels)[[level]].T * np.r_[1, -np.ones(outcomes)] for level in range(levels)]
    known = np.array([own.ravel() for own in (*by_column, *by_level)])
    places = hidden.ravel()
    rest = known @ counts.ravel() - known[:, ~places] @ counts.ravel()[~places]
    for cell, goal in enumerate(np.eye(int(places.sum()))):
        ends = [linprog(sign * goal, A_eq=known[:, places], b_eq=rest).fun for sign in (1, -1)]
        yield counts[hidden][cell], ends[0], -ends[1] if ends[1] is not None else np.inf


@pytest.mark.parametrize("outcomes", [2, 3])
@given(data=st.data())
def test_no_hidden_count_follows_from_the_sums(outcomes, data):
    counts = data.draw(tables(outcomes))
    hidden, occurs = hidden_cells(counts, (tuple(range(outcomes + 1)),)), counts.any(axis=1)
    assert not (~hidden & (counts < FEWEST) & occurs[:, None]).any()
    for count, least, most in possible(counts, hidden, outcomes):
        assert count >= FEWEST or most - least > 0.5, f"{count} follows"


@given(arrays(int, (4, 3), elements=st.integers(FEWEST, 50)))
def test_nothing_is_hidden_without_need(counts):
    assert not hidden_cells(counts).any()


@given(arrays(int, (4, 1), elements=st.integers(0, 30)))
def test_what_is_hidden_is_not_few_together(counts):
    hidden = hidden_cells(counts)
    assert not hidden.any() or counts[hidden].sum() >= FEWEST or counts.sum() < FEWEST


def test_a_level_of_all_does_not_follow_from_its_outcomes():
    counts = np.array([[4, 2, 2], [100, 10, 90], [60, 30, 30]])
    hidden = hidden_cells(counts, ((0, 1, 2),))
    for count, least, most in possible(counts, hidden, 2):
        assert count >= FEWEST or most - least > 0.5, f"{count} follows"

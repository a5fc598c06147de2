import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.evaluation.report.baseline import Characteristics, baseline
from polyclinic.evaluation.report.development_shift import _characteristics, of_shares, shift_table

SHARES = st.floats(0, 1)


@given(SHARES, SHARES)
def test_a_difference_of_shares_changes_sign_with_the_sides(before, after):
    there, back = of_shares("x", before, after), of_shares("x", after, before)
    if there.standardised is None:
        assert {before, after} == {0.0, 1.0}
        assert back.standardised is None
    else:
        assert there.standardised == pytest.approx(-back.standardised)
        assert math.copysign(1, there.standardised) == math.copysign(1, after - before) or before == after


@given(st.floats(-3, 3), st.integers(0, 5))
def test_a_number_that_moves_by_its_deviation_differs_by_one(moved, seed):
    age = np.random.default_rng(seed).normal(50, 10, 100)
    before, after = (
        baseline(Characteristics(np.arange(100), {"age": own}), {}) for own in (age, age + moved * age.std())
    )
    (found,) = _characteristics(before, after)
    assert found.standardised == pytest.approx(moved, abs=1e-6)


def test_the_largest_differences_are_listed_first_after_outcome_age_and_sex():
    found = (
        of_shares("b", 0.5, 0.6),
        of_shares("a", 0.5, 0.9),
        of_shares("sex female", 0.5, 0.5),
        of_shares("c", 0, 1),
    )
    table = shift_table(found, 2)
    assert [row[0] for row in table.rows] == ["sex female", "c", "a"]
    assert [row[3] for row in table.rows] == [".00", "not defined", "+.97"]

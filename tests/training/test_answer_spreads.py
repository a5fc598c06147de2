"""The outcomes from which an interval's degrees of freedom follow are counted by subject."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.tasks import Targets
from polyclinic.training.answer_spreads import cases_of
from tests.training.description.test_cohorts import task

KINDS = {"binary": 1, "multilabel": 3, "multiclass": 3, "regression": 1, "time_to_event": 2}


@pytest.mark.parametrize("kind", KINDS)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 7), st.booleans()), min_size=1, max_size=30), st.data())
def test_repeated_samples_add_no_cases(kind, rows, data):
    subjects, codes, observed = (np.array(column) for column in zip(*rows, strict=True))
    values = (codes[:, None] >> np.arange(KINDS[kind]) & 1).astype(float)
    again = np.concatenate([np.arange(len(rows)), data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=20))])
    again = again.astype(int)
    found = cases_of(task(kind), Targets(values, observed), subjects)
    assert found.tolist() == cases_of(task(kind), Targets(values[again], observed[again]), subjects[again]).tolist()
    assert (found <= len(np.unique(subjects[observed]))).all()


def test_a_subject_with_both_outcomes_counts_for_each():
    targets = Targets(np.array([[1.0], [0.0], [0.0], [1.0]]), np.array([True, True, True, False]))
    assert cases_of(task("binary"), targets, np.array([5, 5, 6, 7])).tolist() == [1]

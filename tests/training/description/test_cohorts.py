"""The parts of a flow hide what fewer than 5 subjects have, or lack, and only of tasks with an outcome."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.tasks import BUILT_IN, Task
from polyclinic.tasks.targets import Targets
from polyclinic.training.description.cohorts import part_of


def task(kind: str) -> Task:
    return next(own for own in map(Task.load, BUILT_IN) if own.kind == kind)


@given(
    kind=st.sampled_from(["binary", "time_to_event"]),
    with_it=st.integers(0, 12),
    without=st.integers(0, 12),
    unknown=st.integers(0, 3),
    times=st.integers(1, 7),
)
def test_counts_of_few_subjects_are_hidden_and_told_from_no_outcome(kind, with_it, without, unknown, times):
    n = with_it + without + unknown
    subjects = np.repeat(np.arange(n), times)
    values = np.repeat(np.arange(n) < with_it, times).astype(float)[:, None]
    values = values if kind == "binary" else np.hstack([np.ones_like(values), values])
    observed = np.repeat(np.arange(n) < with_it + without, times)
    part = part_of("x", task(kind), subjects, Targets(values, observed))
    assert part.hidden == ("small" if with_it < 5 else "protects" if without < 5 else "")
    assert part.cases == (None if part.hidden else with_it * times)
    assert (part.subjects, part.labelled) == (with_it + without, (with_it + without) * times)


@pytest.mark.parametrize("kind", ["regression", "multiclass", "multilabel"])
def test_tasks_without_an_outcome_hide_nothing(kind):
    part = part_of("x", task(kind), np.arange(3), Targets(np.eye(3), np.ones(3, bool)))
    assert (part.cases, part.hidden) == (None, "")

"""The examples in the docstrings are true, and the package says what it offers."""

import doctest

import pytest

import polyclinic.cohort
from polyclinic.cohort import codes, splits
from polyclinic.cohort.storage import subject_ids as identity


@pytest.mark.parametrize("module", [codes, identity, splits])
def test_examples(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0


def test_everything_offered_is_there() -> None:
    assert all(hasattr(polyclinic.cohort, name) for name in polyclinic.cohort.__all__)

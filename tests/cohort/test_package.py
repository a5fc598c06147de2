"""Docstring examples and exported names of the package."""

import doctest

import pytest

import polyclinic.cohort
from polyclinic.cohort import codes, splits
from polyclinic.cohort.storage import subject_ids


@pytest.mark.parametrize("module", [codes, subject_ids, splits])
def test_docstring_examples(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0


def test_exported_names_exist() -> None:
    assert all(hasattr(polyclinic.cohort, name) for name in polyclinic.cohort.__all__)

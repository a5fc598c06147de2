"""The examples in the docstrings of the guess are right."""

import doctest

import pytest

from polyclinic.ingest.table import column_profile
from polyclinic.ingest.table.guess import horizons, lines, outcome_names, persons, sex


@pytest.mark.parametrize("module", [persons, outcome_names, horizons, lines, sex, column_profile])
def test_examples_in_docstrings(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0

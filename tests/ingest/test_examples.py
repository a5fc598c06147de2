"""The examples in the docstrings are true."""

import doctest

import pytest

from polyclinic.ingest import table_numbers
from polyclinic.ingest.covid_cxr import diagnosis_mask as masking


@pytest.mark.parametrize("module", [masking, table_numbers])
def test_examples(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0

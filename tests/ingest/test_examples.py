"""The docstrings' examples run as written."""

import doctest

import pytest

from polyclinic.ingest import missing, subject_ids
from polyclinic.ingest.covid_cxr import diagnosis_mask
from polyclinic.ingest.table import numbers, units


@pytest.mark.parametrize("module", [diagnosis_mask, missing, numbers, subject_ids, units])
def test_examples(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0

import doctest

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.features import age_bands as module
from polyclinic.features.age_bands import AGE_EDGES, age_bands


def test_examples_in_docstrings():
    found = doctest.testmod(module, extraglobs={"np": np})
    assert found.attempted >= 1
    assert not found.failed


@given(st.floats(0, 120))
def test_a_band_contains_its_ages(age):
    (band,) = age_bands([age])
    low = int(band.rstrip("+").partition("–")[0])
    assert low <= age
    if not band.endswith("+"):
        assert age < int(band.partition("–")[2]) + 1
    assert low in (0, *AGE_EDGES)


def test_what_is_no_age_has_no_band():
    assert age_bands([None, float("nan"), float("inf")]) == [None, None, None]

"""Numbers are read as the mapping says that they are written, or not at all."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.ingest.table.numbers import Numbers

GROUPS = {",": ",", ".": ".", " ": " \u00a0\u2009\u202f", "'": "'\u2019"}
FORMATS = [(decimal, sign) for decimal in ".," for sign in GROUPS if sign != decimal]


def read(text: str, numbers: Numbers) -> float | None:
    return pl.DataFrame({"x": [text]}).select(numbers.read(pl.col("x"))).item()


@pytest.mark.parametrize(("decimal", "thousands"), FORMATS)
@given(number=st.integers(-(10**12), 10**12), decimals=st.none() | st.integers(0, 999), data=st.data())
def test_a_number_in_the_stated_format_is_read(decimal, thousands, number, decimals, data):
    sign = data.draw(st.sampled_from(GROUPS[thousands]))
    fraction = "" if decimals is None else f".{decimals:03}"
    text = f"{number:,}".replace(",", sign) + fraction.replace(".", decimal)
    assert read(text, Numbers(decimal, thousands=thousands)) == float(f"{number}{fraction}")
    assert read(f"{number}{fraction.replace('.', decimal)}", Numbers(decimal, thousands=thousands)) is not None


@given(number=st.integers(1000, 10**9), decimals=st.integers(0, 999), data=st.data())
def test_a_thousands_sign_that_is_not_stated_is_never_another_number(number, decimals, data):
    decimal, thousands = data.draw(st.sampled_from(FORMATS))
    sign = data.draw(st.sampled_from(GROUPS[thousands]))
    text = f"{number:,}".replace(",", sign) + f"{decimal}{decimals:03}"
    assert read(text, Numbers(decimal)) is None


@pytest.mark.parametrize("text", ["1,23", "12,34", "1,2345", ",123", "1,234,5", "1,,234", "1234,567"])
def test_other_groups_are_no_thousands(text):
    assert read(text, Numbers(thousands=",")) is None


def test_typed_numbers_have_decimal_points():
    assert read("1.234", Numbers(",", typed=True, thousands=".")) == 1.234
    assert read("1 234,5", Numbers(",", typed=True, thousands=" ")) == 1234.5


def test_a_mathematical_minus_is_a_minus():
    assert read("\u22125.5", Numbers()) == -5.5

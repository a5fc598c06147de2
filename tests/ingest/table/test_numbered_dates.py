"""Dates that are stored as numbers."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.ingest.table.numbered_dates import NUMBERED, numbered_dates
from tests.ingest.sinks import read_table

MOMENT = st.datetimes(datetime(1950, 1, 1), datetime(2150, 1, 1)).map(lambda time: time.replace(microsecond=0))


@pytest.mark.parametrize("form", NUMBERED)
@given(time=MOMENT)
def test_a_number_gives_its_moment(form, time):
    known = NUMBERED[form]
    number = (time - known.origin) / timedelta(microseconds=known.microseconds)
    assert numbered_dates(pl.Series([str(number), str(number).replace(".", ",")]), form).to_list() == [time, time]


@pytest.mark.parametrize("text", ["", "2024-03-05", "nan", "inf", "1e300", None])
@pytest.mark.parametrize("form", NUMBERED)
def test_other_texts_are_no_dates(form, text):
    assert numbered_dates(pl.Series([text], dtype=pl.String), form).to_list() == [None]


def test_days_before_march_1900_are_not_known_of_excel():
    assert numbered_dates(pl.Series(["60", "61"]), "excel").to_list() == [None, datetime(1900, 3, 1)]


def test_they_are_formats_of_a_mapping(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("id,day,crp\n1,45356.5,7\n2,5.3.2024,8\n")
    kept = read_table(
        table, "subject: id\ntime: {column: day, format: excel}\ncolumns: {crp: {code: LAB//crp, type: numeric}}"
    )
    assert kept.events == [("1", datetime(2024, 3, 5, 12), "LAB//crp", 7)]
    assert kept.reasons == [(3, "impossible date")]

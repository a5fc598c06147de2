"""Dates are parsed by format or ISO 8601; invalid ones become null."""

from datetime import date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.cohort import NOMINAL_ORIGIN
from polyclinic.ingest.table.datetimes import check_format, in_century_before, parse_dates, since_origin

MOMENTS = st.datetimes(datetime(1800, 1, 1), datetime(2299, 12, 31))
FORMATS = ["%Y-%m-%d %H:%M:%S.%f", "%d.%m.%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%Y%m%d", "%d-%b-%Y %I:%M %p", "%Y-%j"]


@pytest.mark.parametrize("form", FORMATS)
@given(moment=MOMENTS)
def test_a_format_parses_what_it_formats(form, moment):
    text = moment.strftime(form)
    assert parse_dates(pl.Series([text]), form)[0] == datetime.strptime(text, form)


@given(MOMENTS)
def test_iso_needs_no_format(moment):
    for text in (moment.isoformat(), str(moment), moment.isoformat() + "Z"):
        assert parse_dates(pl.Series([text]))[0] == moment
    assert parse_dates(pl.Series([moment.strftime("%Y-%m-%d %H:%M")]))[0] == moment.replace(second=0, microsecond=0)


@pytest.mark.parametrize("zone", ["+02:00", "+0200", "+02"])
def test_zoned_times_become_utc(zone):
    for clock in ("10:00", "10:00:00", "10:00:00.5"):
        read = parse_dates(pl.Series([f"2023-02-03T{clock}{zone}"]))[0]
        assert read.replace(microsecond=0) == datetime(2023, 2, 3, 8)


@pytest.mark.parametrize(
    "text",
    ["2023-02-30", "2023-13-01", "2023-02-03 24:00", "2023-02-03 10:60", "03.02.2023", "today", "2023", "", "20230203"],
)
def test_invalid_dates_become_null(text):
    assert parse_dates(pl.Series([text]))[0] is None


@given(st.text(max_size=25))
def test_arbitrary_text_never_crashes(text):
    for form in (None, *FORMATS):
        assert len(parse_dates(pl.Series([text]), form)) == 1


@pytest.mark.parametrize("form", ["", "%H:%M", "%Y", "%m/%Y", "year", "%Q", "%", "%d/%m", "%x"])
def test_formats_without_a_complete_date_are_rejected(form):
    with pytest.raises(ValueError, match=r"not a date format|is not understood: use %Y, %m, %d"):
        check_format(form)


def test_two_digit_years_are_resolved_by_the_latest_date():
    texts = pl.Series(["31/12/45", "01/02/23", "01/02/70", "31/02/70"])
    times = in_century_before(parse_dates(texts, "%d/%m/%y"), date(2024, 1, 1))
    assert times.to_list() == [datetime(1945, 12, 31), datetime(2023, 2, 1), datetime(1970, 2, 1), None]


def test_numbers_count_from_the_nominal_origin():
    hours = since_origin(pl.Series([0.0, 1.5, -2, None, float("nan"), float("inf"), 1e300]), "hours").to_list()
    known = [NOMINAL_ORIGIN + timedelta(hours=hour) for hour in (0, 1.5, -2)]
    assert hours == [*known, None, None, None, None]
    assert since_origin(pl.Series([1.0]), "days")[0] == NOMINAL_ORIGIN + timedelta(days=1)

"""DICOM dates and times match a form as a whole, or are none."""

import re
from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.ingest.dicom.dates import date_and_time, date_of, date_time, utc_offset

DAYS = st.dates(date(1895, 1, 1), date(2300, 1, 1))
TIMES = st.datetimes(datetime(1895, 1, 1), datetime(2300, 1, 1))
OFFSETS = st.integers(-12 * 4, 14 * 4).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))
EXTRA = st.text("0123456789.-/: \\abZ", min_size=1, max_size=4)


@given(DAYS, st.sampled_from(["", ".", "-", "/"]))
def test_days_are_read_in_all_forms(day, sign):
    assert date_of(day.strftime(f"%Y{sign}%m{sign}%d")) == day


@given(DAYS, st.sampled_from(["", ".", "-", "/"]), EXTRA, st.booleans())
def test_a_day_with_more_is_none(day, sign, extra, first):
    text = day.strftime(f"%Y{sign}%m{sign}%d")
    assert date_of(extra + text if first else text + extra) is None


@given(DAYS, st.sampled_from(["", ".", "-", "/"]), st.data())
def test_a_day_with_less_is_none(day, sign, data):
    text = day.strftime(f"%Y{sign}%m{sign}%d")
    assert date_of(text[: data.draw(st.integers(0, len(text) - 1))]) is None


@given(TIMES, st.sampled_from(["%H%M%S.%f", "%H:%M:%S.%f", "%H%M%S", "%H:%M:%S", "%H%M", "%H:%M", "%H"]))
def test_times_are_read_in_all_forms(at, form):
    day, clock = at.strftime("%Y%m%d"), at.strftime(form)
    assert date_and_time(day, clock) == datetime.strptime(f"{day} {clock}", f"%Y%m%d {form}")


@given(TIMES, st.text("0123456789.:+- ", max_size=16))
def test_another_time_is_none_and_never_midnight(at, clock):
    moment = date_and_time(at.strftime("%Y%m%d"), clock)
    if moment is not None:
        assert re.sub(r"\D", "", clock).ljust(12, "0") == moment.strftime("%H%M%S%f")


@given(TIMES, st.none() | OFFSETS, st.sampled_from(["", "%H", "%H%M", "%H%M%S", "%H%M%S.%f"]))
def test_date_times_keep_their_offset(at, offset, form):
    text = at.strftime(f"%Y%m%d{form}")
    stated = "" if offset is None else at.replace(tzinfo=offset).strftime("%z")
    moment = date_time(text + stated)
    assert moment == datetime.strptime(text, f"%Y%m%d{form}").replace(tzinfo=offset)


@pytest.mark.parametrize(
    "text",
    ["20240305 081500", "20240305.081500", "2024.03.05", "202403", "2024", "20240305081500+1", "20240305081500+1500",
     "20240305081500+0160", "20240305-20240306", "202403050815001", "20240305081560", "2024030524", "20230229"],
)  # fmt: skip
def test_date_times_of_another_form_are_none(text):
    assert date_time(text) is None


@pytest.mark.parametrize("text", ["0100", "+1", "+01:00", "+1500", "-1230", "+0160", "CET", "+0100 "])
def test_offsets_of_another_form_are_none(text):
    assert utc_offset(text) is None

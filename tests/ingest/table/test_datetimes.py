"""Dates are parsed by format or ISO 8601; invalid ones become null."""

import re
from datetime import date, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.cohort import NOMINAL_ORIGIN
from polyclinic.ingest.table.datetimes import check_format, in_century_before, parse_dates, read_dates, since_origin

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


#: A day or hour written with one digit, as is allowed between signs.
ONE_DIGIT = re.compile(r"(^|\D)\d($|\D)")
WHOLE = [*FORMATS, "%Y%m%d%H%M", "%y%m%d", "%d/%m/%y %I:%M %p", "%Y-%m-%d %H:%M %z", None]


def written(moment, form):
    return moment.strftime(form.replace("%z", "+01:00")) if form else moment.isoformat(" ", "seconds")


@pytest.mark.parametrize("form", WHOLE)
@given(
    moment=MOMENTS,
    more=st.text(min_size=1, max_size=8).filter(lambda text: text.strip(" ") and not text.strip(" ").startswith("Z")),
    first=st.booleans(),
)
def test_a_text_with_more_than_its_form_is_no_date(form, moment, more, first):
    text = written(moment, form)
    continued = re.match(r"[.+-]?\d", more.strip(" ")) and form in (
        None,
        FORMATS[0],
        WHOLE[-2],
    )  # a fraction, an offset
    if first or not continued:
        assert parse_dates(pl.Series([more + text if first else text + more]), form)[0] is None


@pytest.mark.parametrize("form", WHOLE)
@given(moment=MOMENTS, data=st.data())
def test_a_text_with_less_than_its_form_is_no_other_date(form, moment, data):
    text = written(moment, form)
    part = text[: data.draw(st.integers(0, len(text) - 1))] if data.draw(st.booleans()) else text[1:]
    [clock], [whole] = (read_dates(pl.Series([each]), form).clock for each in (part, text))
    assert clock is None or clock.date() == whole.date() or ONE_DIGIT.search(part)


@pytest.mark.parametrize("form", WHOLE)
@given(moment=MOMENTS)
def test_a_date_of_a_format_without_time_has_no_time(form, moment):
    days = [known for known in ("%Y-%m-%d", "%d.%m.%Y", "%Y%m%d", "%Y-%j") if known != form]
    for day in days:
        assert parse_dates(pl.Series([f"{moment.strftime(day)} {moment:%H:%M}"]), day)[0] is None


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("2024115", "%Y%m%d"),
        ("2024035", "%Y%m%d"),
        ("05.03.2024", "%d.%m.%y"),
        ("5/3/24", "%d/%m/%Y"),
        ("2024-03-05", "%Y-%m-%d %H:%M:%S"),
        ("2024-03-05 08:10:60", "%Y-%m-%d %H:%M:%S"),
        ("2024-03-05 8:5", "%Y-%m-%d %H:%M"),
        ("2024-03-05 08:10:60", None),
        ("2024-03-05 8:5", None),
        ("2024-03-05Z", None),
        ("+2024-03-05", None),
        ("2024-03-0512:00:00", None),
        ("2024- 3-05", None),
        ("2024-03-05 08:10+25:00", None),
        ("2024-03-05 08:10+01:75", None),
    ],
)
def test_texts_of_another_form_are_no_dates(text, form):
    assert parse_dates(pl.Series([text]), form)[0] is None


@given(MOMENTS, st.sampled_from(["Z", "z", " UTC", " GMT", "+00", "+0000", "-00:00", " +00:00"]))
def test_utc_is_written_in_many_ways(moment, offset):
    read = read_dates(pl.Series([moment.isoformat() + offset]))
    assert (read.clock[0], read.offset[0]) == (moment, timedelta(0))


@given(MOMENTS, st.integers(-14 * 4, 14 * 4))
def test_offsets_are_read_beside_the_clock(moment, quarters):
    offset = timedelta(minutes=15 * quarters)
    text = moment.replace(tzinfo=timezone(offset)).isoformat()
    read = read_dates(pl.Series([text, text.replace("T", " ")]))
    assert read.clock.to_list() == [moment] * 2
    assert read.offset.to_list() == [offset] * 2
    formatted = moment.replace(tzinfo=timezone(offset)).strftime("%d.%m.%Y %H:%M%z")
    read = read_dates(pl.Series([formatted]), "%d.%m.%Y %H:%M%z")
    assert (read.clock[0], read.offset[0]) == (moment.replace(second=0, microsecond=0), offset)


@given(st.text(max_size=25))
def test_arbitrary_text_never_crashes(text):
    for form in (None, *FORMATS):
        assert len(parse_dates(pl.Series([text]), form)) == 1


@pytest.mark.parametrize("form", ["", "%H:%M", "%Y", "%m/%Y", "year", "%Q", "%", "%d/%m", "%x"])
def test_formats_without_a_complete_date_are_rejected(form):
    with pytest.raises(ValueError, match=r"not a date format|is not understood: use %Y, %m, %d"):
        check_format(form)


@pytest.mark.parametrize(
    ("form", "message"),
    [("%Y-%m-%d %I:%M", "need each other"), ("%Y-%m-%d %H:%M %p", "need each other"), ("%Y-%m-%d %H:%M:%S,%f", "%f")],
)
def test_formats_that_lose_half_a_day_or_a_fraction_are_rejected(form, message):
    with pytest.raises(ValueError, match=message):
        check_format(form)


def test_29_february_is_not_moved_to_a_century_without_it():
    times = in_century_before(parse_dates(pl.Series(["29/02/00"]), "%d/%m/%y"), date(1999, 1, 1))
    assert times.to_list() == [None]


def test_two_digit_years_are_resolved_by_the_latest_date():
    texts = pl.Series(["31/12/45", "01/02/23", "01/02/70", "31/02/70"])
    times = in_century_before(parse_dates(texts, "%d/%m/%y"), date(2024, 1, 1))
    assert times.to_list() == [datetime(1945, 12, 31), datetime(2023, 2, 1), datetime(1970, 2, 1), None]


def test_numbers_count_from_the_nominal_origin():
    hours = since_origin(pl.Series([0.0, 1.5, -2, None, float("nan"), float("inf"), 1e300]), "hours").to_list()
    known = [NOMINAL_ORIGIN + timedelta(hours=hour) for hour in (0, 1.5, -2)]
    assert hours == [*known, None, None, None, None]
    assert since_origin(pl.Series([1.0]), "days")[0] == NOMINAL_ORIGIN + timedelta(days=1)

"""Dates are found in every usual way of writing; what cannot be known of them is asked for."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyclinic.ingest.table.column_profile import Profile
from polyclinic.ingest.table.datetimes import check_format, parse_dates
from polyclinic.ingest.table.guess.dates import dates_of, in_one_order, is_time_of_day
from polyclinic.ingest.table.guess.resembling import resembles_date
from polyclinic.ingest.table.guess.written_dates import forms
from polyclinic.ingest.table.questions import QUESTION

DAYS = (
    "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%y", "%m/%d/%y", "%d/%m/%y",
    "%d-%b-%Y", "%d-%b-%y", "%d %B %Y", "%d. %B %Y", "%d %b %y", "%B %d, %Y", "%b %d %Y", "%Y-%b-%d", "%d%b%Y",
    "%d/%b/%Y", "%Y-%m-%d",
)  # fmt: skip
CLOCKS = (
    "", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", "T%H:%M:%S", " %H.%M", " %I.%M.%S %p", ":%H:%M:%S",
    ", %H:%M", " - %H:%M", " %H:%M Uhr", " %H:%M:%S.%f",
)  # fmt: skip
COMPACT = ("%Y%m%d", "%Y%m%d%H%M", "%Y%m%d%H%M%S", "%Y%m%dT%H%M%S", "%Y%m%d %H:%M")
FORMS = st.sampled_from(
    [day + clock for day in DAYS for clock in CLOCKS if day != "%Y-%m-%d" or "%I" in clock] + [*COMPACT]
)
TIMES = st.lists(st.datetimes(datetime(1971, 1, 1), datetime(2068, 12, 31)), min_size=6, max_size=12, unique=True)


def profile(*texts: str, name: str = "taken_at") -> Profile:
    return Profile(name, Counter(texts))


@settings(deadline=None)
@given(form=FORMS, times=TIMES, padded=st.booleans())
def test_every_writing_is_read_as_it_was_meant_or_asked_for(form, times, padded):
    texts = [time.strftime(form) for time in times]
    if not padded and form.startswith(("%d/", "%m/", "%d.")):
        texts = [text.removeprefix("0") for text in texts]
    found = dates_of(profile(*texts))
    assert found is not None
    if not found.known:
        assert form[:8] in found.remark  # which orders are possible
        return
    read = parse_dates(pl.Series(texts), found.format)
    meant = [datetime.strptime(text, form).replace(tzinfo=None) for text in texts]
    moved = [one and one - two in _CENTURIES for one, two in zip(read, meant, strict=True)]
    assert all(moved) or form in found.remark


_CENTURIES = {timedelta(days=days) for days in (0, 36524, -36524, 36525, -36525)}  # of years of two digits


@settings(deadline=None)
@given(form=FORMS, times=TIMES)
def test_every_format_that_is_written_is_a_format_of_the_mapping(form, times):
    found = dates_of(profile(*(time.strftime(form) for time in times)))
    assert found.format in (None, QUESTION) or check_format(found.format)


@given(
    days=st.lists(st.integers(13, 28), min_size=2, max_size=2),
    sign=st.sampled_from("/-"),
    others=st.lists(st.integers(1, 12), max_size=20),
)
def test_day_first_and_month_first_in_one_column_contradict_each_other(days, sign, others):
    texts = [f"{days[0]}{sign}04{sign}2024", f"04{sign}{days[1]}{sign}2024"]
    texts += [f"{one:02}{sign}{one:02}{sign}2023" for one in others]
    found = dates_of(profile(*texts))
    assert found.format == QUESTION
    assert "contradict each other: 1 can only be" in found.remark


def test_a_rare_contradiction_is_an_error_that_is_rejected():
    texts = Counter({f"{day}/04/2024": 20 for day in range(13, 29)} | {"04/28/2024": 1})
    found = dates_of(Profile("taken_at", texts))
    assert found.format == "%d/%m/%Y"
    assert "< 1 % of the cells are written otherwise, and will be rejected" in found.remark


@pytest.mark.parametrize(("sure", "first"), [("03/14/2024", "%m"), ("14/03/2024", "%d")])
def test_an_order_that_no_cell_decides_follows_the_other_columns(sure, first):
    columns = {"taken_at": profile(sure), "dob": profile("03/04/1950"), "seen": profile("2024-03-05")}
    found = in_one_order({name: dates_of(column) for name, column in columns.items()})
    assert found["dob"].format.startswith(first)
    assert "first, as in taken_at: no cell decides" in found["dob"].remark
    assert found["seen"] == dates_of(columns["seen"])


def test_columns_of_both_orders_decide_nothing():
    columns = {"a": profile("03/14/2024"), "b": profile("14/03/2024"), "c": profile("03/04/2024")}
    found = {name: dates_of(column) for name, column in columns.items()}
    assert in_one_order(found) == found


def test_offsets_in_some_cells_need_a_zone():
    assert "need their zone" in dates_of(profile("2024-03-05T08:15:00Z", "2024-03-05T08:15:00")).remark
    for texts in (("2024-03-05T08:15:00+01:00", "2024-03-05 08:15Z"), ("2024-03-05", "2024-03-05 08:15")):
        assert "zone" not in dates_of(profile(*texts)).remark


def test_an_order_that_no_cell_decides_is_asked_about():
    assert "or %m/%d/%Y? no cell decides" in dates_of(profile("03/04/2024", "05/06/2024")).remark
    assert dates_of(profile("24-03-05", "24-03-06")).format == QUESTION  # which of the parts is the year?


@pytest.mark.parametrize(
    "texts",
    [
        ("5. März 2024", "7. Dezember 2024"),
        ("Freitag, 1. März 2024", "Samstag, 2. März 2024"),
        ("le 5 mars 2024", "le 7 avr. 2024"),
        ("1er avril 2024 12:30", "1er août 2024 08:00"),
        ("1º de mayo de 2024", "1º de maio de 2024"),
        ("Tue, 05 Mar 2024", "Wed, 06 Mar 2024"),
        ("March 5th, 2024", "March 6th, 2024"),
        ("2024年3月5日", "2024年4月6日"),
        ("2024-03-05 08h15", "2024-03-06 09h15"),
        ("05/03/2024", "2024-03-05", "5 Mar 2024", "20240305 0815"),
        ("2024-13-05", "2024-02-30", "99/99/2024"),
    ],
)
def test_dates_in_an_unknown_writing_are_asked_for(texts):
    assert dates_of(profile(*texts)).format == QUESTION


@pytest.mark.parametrize(
    ("name", "texts", "form"),
    [
        ("taken_at", ("1709626500", "1709712900"), "epoch-s"),
        ("timestamp", ("1709626500123", "1709712900456"), "epoch-ms"),
        ("date", ("45356", "45357"), "excel"),
        ("collection_date", ("45356.34375", "45357.5"), "excel"),
        ("x", ("202403050815", "202403061230"), "%Y%m%d%H%M"),
    ],
)
def test_dates_stored_as_numbers(name, texts, form):
    found = dates_of(profile(*texts, name=name))
    assert found.format == form
    times = parse_dates(pl.Series(texts), found.format)
    assert set(times.dt.date()) == {datetime(2024, 3, 5, tzinfo=UTC).date(), datetime(2024, 3, 6, tzinfo=UTC).date()}


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("platelets", ("20240305", "20240306")),
        ("crp", ("45356", "45357")),
        ("pressure", ("120/80", "110/70")),
        ("grade", ("grade 2", "grade 3")),
        ("version", ("1.2.3", "1.2.4")),
        ("phone", ("555-123-4567", "555-987-6543")),
        ("hadm_id", ("20240305", "20240306")),
        ("first", ("Jane0", "Marta12", "April7")),
        ("code", ("2023-001", "2024-017")),
        ("note", ("seen in March", "may be better")),
    ],
)
def test_other_texts_are_no_dates(name, texts):
    assert dates_of(profile(*texts, name=name)) is None


def test_times_of_day_are_no_dates():
    assert is_time_of_day(profile("08:15", "23:59:59", "8:15 pm"))
    assert dates_of(profile("08:15", "23:59")) is None


@given(text=st.text(max_size=60))
def test_any_text_can_be_looked_at(text):
    assert isinstance(forms(text), list)
    assert isinstance(resembles_date(text), bool)

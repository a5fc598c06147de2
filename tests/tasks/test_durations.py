from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.tasks.durations import duration_in_words, parse_duration, write_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("48h", timedelta(days=2)),
        ("1.5 d", timedelta(hours=36)),
        ("-6h", timedelta(hours=-6)),
        ("30min", timedelta(minutes=30)),
        ("2w", timedelta(days=14)),
        (0, timedelta(0)),
        ("0", timedelta(0)),
        (timedelta(hours=1), timedelta(hours=1)),
    ],
)
def test_parse_duration(text, duration):
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["48", 48, "h", "48 parsecs", "", None, "2dd", "nan h"])
def test_invalid_durations_raise(text):
    with pytest.raises(ValueError, match="such as 48h"):
        parse_duration(text)


@given(st.timedeltas(min_value=timedelta(days=-4000), max_value=timedelta(days=4000)))
def test_durations_round_trip(duration):
    assert parse_duration(write_duration(duration)) == duration


def test_in_words():
    assert duration_in_words(timedelta(hours=1)) == "1 hour"
    assert duration_in_words(timedelta(minutes=90)) == "1.5 hours"
    assert duration_in_words(timedelta(minutes=5)) == "5 minutes"
    assert duration_in_words(timedelta(days=365)) == "365 days"

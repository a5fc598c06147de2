from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.tasks.durations import duration_in_words, parse_duration, write_duration


@pytest.mark.parametrize(
    ("written", "duration"),
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
def test_reads_durations(written, duration):
    assert parse_duration(written) == duration


@pytest.mark.parametrize("written", ["48", 48, "h", "48 parsecs", "", None, "2dd", "nan h"])
def test_refuses_what_is_no_duration(written):
    with pytest.raises(ValueError, match="such as 48h"):
        parse_duration(written)


@given(st.timedeltas(min_value=timedelta(days=-4000), max_value=timedelta(days=4000)))
def test_what_is_written_reads_back_equal(duration):
    assert parse_duration(write_duration(duration)) == duration


def test_in_words():
    assert duration_in_words(timedelta(hours=1)) == "1 hour"
    assert duration_in_words(timedelta(minutes=90)) == "1.5 hours"
    assert duration_in_words(timedelta(minutes=5)) == "5 minutes"
    assert duration_in_words(timedelta(days=365)) == "365 days"

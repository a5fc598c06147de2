"""Small records for the tests of featurizers."""

from datetime import timedelta

import polars as pl
from hypothesis import strategies as st

from polyclinic.cohort import NOMINAL_ORIGIN, POLARS_EVENTS, known_at

Row = tuple[int, float | None, str, float | str | None]
"""Subject, hours after the origin (None: static), code, value."""

PREDICTION_HOUR = 48.0
"""Hours after the origin of the prediction time."""


def events(rows: list[Row]) -> pl.DataFrame:
    """Convert rows to events."""
    return pl.DataFrame(
        {
            "subject_id": [subject for subject, *_ in rows],
            "time": [None if hours is None else NOMINAL_ORIGIN + timedelta(hours=hours) for _, hours, _, _ in rows],
            "code": [code for _, _, code, _ in rows],
            "numeric_value": [value if isinstance(value, int | float) else None for *_, value in rows],
            "text_value": [value if isinstance(value, str) else None for *_, value in rows],
            "blob": [None] * len(rows),
        },
        schema=POLARS_EVENTS,
    )


def samples_of(subjects: list[int], hours: float = PREDICTION_HOUR) -> pl.DataFrame:
    """Return one sample per subject, numbered from 100 in the order given."""
    return pl.DataFrame(
        {
            "sample": range(100, 100 + len(subjects)),
            "subject_id": subjects,
            "prediction_time": [NOMINAL_ORIGIN + timedelta(hours=hours)] * len(subjects),
        },
        schema={"sample": pl.UInt32, "subject_id": pl.Int64, "prediction_time": pl.Datetime("us")},
    )


def known_of(rows: list[Row], samples: pl.DataFrame) -> pl.DataFrame:
    """Return the events known at each sample's prediction time."""
    return known_at(events(rows), samples)


_NUMBERS = st.floats(-1e6, 1e6, width=32) | st.sampled_from([0.0, -0.0, 1.0, 7.35, float("inf"), float("nan"), 1e30])
_HOURS = st.none() | st.sampled_from([0.0, 1.0, 24.0, 47.5, 48.0]) | st.floats(0, 60)


def row_of(subjects: st.SearchStrategy[int], hours: st.SearchStrategy[float | None] = _HOURS) -> st.SearchStrategy[Row]:
    """Strategy for an event of any kind."""
    return st.one_of(
        st.tuples(subjects, hours, st.sampled_from(["LAB//a//u", "VITAL//b//u", "DEMOGRAPHIC//age//years"]), _NUMBERS),
        st.tuples(
            subjects, hours, st.sampled_from(["LAB//a//u", "DEMOGRAPHIC//sex"]), st.sampled_from(["x", "y", "é|z"])
        ),
        st.tuples(subjects, hours, st.sampled_from(["PROCEDURE//p", "LAB//a//u", "NEW//code"]), st.none()),
        st.tuples(subjects, hours, st.just("NEW//number"), _NUMBERS),
        st.tuples(subjects, hours, st.just("NOTE//findings"), st.just("The heart is large.")),
    )


SUBJECTS = [1, 2, 3, 4, 5]
ROWS = st.lists(row_of(st.sampled_from(SUBJECTS)), max_size=60)
TRAINING: list[Row] = [
    *((subject, None, "DEMOGRAPHIC//sex", "xy"[subject % 2]) for subject in (1, 2, 3)),
    *((subject, None, "DEMOGRAPHIC//age//years", 40.0 + subject) for subject in (1, 2, 3)),
    *(
        (subject, 8.0 * subject + hour, "LAB//a//u", subject + 0.1 * hour)
        for subject in (1, 2, 3)
        for hour in (1, 2, 5)
    ),
    *((subject, 5.0 * subject, "VITAL//b//u", 1.5**subject) for subject in (1, 3)),
    *((subject, 9.0, "PROCEDURE//p", None) for subject in (1, 3)),
]
"""Sufficient to fit every kind of feature on subjects 1 to 3."""

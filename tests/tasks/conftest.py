"""Small cohorts for tests."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from polyclinic.cohort import NOMINAL_ORIGIN, POLARS_EVENTS, Cohort, CohortWriter

Row = tuple[int, float | None, str, float | str | tuple[float, str] | None]
"""Subject, hours after the origin (None: static), code, value (a number with the sign of a limit: both)."""


def events(rows: list[Row]) -> pl.DataFrame:
    """Convert rows to events."""
    return pl.DataFrame(
        {
            "subject_id": [subject for subject, *_ in rows],
            "time": [None if hours is None else NOMINAL_ORIGIN + timedelta(hours=hours) for _, hours, _, _ in rows],
            "code": [code for _, _, code, _ in rows],
            "numeric_value": [_part(value, int | float) for *_, value in rows],
            "text_value": [_part(value, str) for *_, value in rows],
            "blob": [None] * len(rows),
        },
        schema=POLARS_EVENTS,
    )


def _part(value, kind):
    """Return the number or the text of a value."""
    parts = value if isinstance(value, tuple) else (value,)
    return next((part for part in parts if isinstance(part, kind)), None)


@pytest.fixture
def cohort_of(tmp_path: Path) -> Callable[[list[Row]], Cohort]:
    """A function that writes a cohort of events and opens it."""

    def make(rows: list[Row]) -> Cohort:
        with CohortWriter(tmp_path / "cohort", source="test") as writer:
            writer.add(events(rows))
        return Cohort.open(tmp_path / "cohort")

    return make

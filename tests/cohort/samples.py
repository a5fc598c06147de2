"""Random events for the tests of this package."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import polars as pl
from hypothesis import settings
from hypothesis import strategies as st

from polyclinic.cohort import POLARS_EVENTS

#: For property tests: no deadline, so that a busy machine does not fail them.
steady = settings(deadline=None)

CODES = ("LAB//lactate//mmol/L", "VITAL//HR//bpm", "DEMOGRAPHIC//sex", "NOTE//findings", "OUTCOME//died", "Ω")

#: One event: source id, time, code, number, text, blob.
Event = tuple[str, datetime | None, str, float | None, str | None, str | None]

SOURCE_IDS = st.sampled_from(["0", "7", "17", "007", "a-1", "ß", str(2**62 - 1), str(2**62)])

TIMES = st.none() | st.sampled_from([datetime(2020, 1, day) for day in (1, 2, 3)]) | st.datetimes()

EVENTS: st.SearchStrategy[Event] = st.tuples(
    SOURCE_IDS,
    TIMES,
    st.sampled_from(CODES),
    st.none() | st.sampled_from([0.0, -0.0, 1.5]) | st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.none() | st.sampled_from(["female", ""]) | st.text(max_size=30),
    st.none(),
)


def frame(events: Iterable[Event]) -> pl.DataFrame:
    """Return events as a frame for the writer."""
    schema = {"source_id": pl.String()} | {name: POLARS_EVENTS[name] for name in list(POLARS_EVENTS)[1:]}
    return pl.DataFrame(list(events), schema=schema, orient="row")


def rows(events: pl.DataFrame) -> Counter[tuple[Any, ...]]:
    """Return the count of each row of a frame."""
    return Counter(events.rows())

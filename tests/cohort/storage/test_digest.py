"""The digest stands for a set of events, however they are ordered and spread."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.cohort import POLARS_EVENTS
from polyclinic.cohort.storage.digest import add, digest
from polyclinic.cohort.storage.normalise import one_zero
from tests.cohort.samples import EVENTS, Event, frame, steady


def coded(events: list[Event]) -> pl.DataFrame:
    numbered = frame(events).with_columns(subject_id=pl.col("source_id").str.len_bytes().cast(pl.Int64))
    return numbered.select(list(POLARS_EVENTS)).with_columns(one_zero(), pl.col("code").cast(pl.Categorical))


@steady
@given(st.lists(EVENTS), st.integers(0, 10))
def test_order_and_place_do_not_matter(events: list[Event], cut: int) -> None:
    backwards = events[::-1]
    parts = [digest(coded(backwards[:cut])), digest(coded(backwards[cut:]))]
    assert add(parts) == digest(coded(events))


@steady
@given(EVENTS, EVENTS)
def test_different_events_differ(one: Event, other: Event) -> None:
    same = coded([one]).rows() == coded([other]).rows()
    assert (digest(coded([one])) == digest(coded([other]))) == same


def test_it_never_changes() -> None:
    assert f"{digest(coded([('a', None, 'LAB//x', 1.0, 'text', None)])):032x}" == "56d1d75436eea2234ae92ac05fd984ee"

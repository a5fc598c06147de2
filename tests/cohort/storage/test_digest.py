"""The digest depends on the set of events only."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.cohort import POLARS_EVENTS
from polyclinic.cohort.storage.digest import add, digest
from polyclinic.cohort.storage.normalise import without_negative_zero
from tests.cohort.samples import EVENTS, Event, frame, steady


def coded(events: list[Event]) -> pl.DataFrame:
    numbered = frame(events).with_columns(subject_id=pl.col("source_id").str.len_bytes().cast(pl.Int64))
    return numbered.select(list(POLARS_EVENTS)).with_columns(
        without_negative_zero(), pl.col("code").cast(pl.Categorical)
    )


@steady
@given(st.lists(EVENTS), st.integers(0, 10))
def test_digest_is_independent_of_order_and_partition(events: list[Event], cut: int) -> None:
    backwards = events[::-1]
    parts = [digest(coded(backwards[:cut])), digest(coded(backwards[cut:]))]
    assert add(parts) == digest(coded(events))


@steady
@given(EVENTS, EVENTS)
def test_different_events_have_different_digests(first: Event, second: Event) -> None:
    same = coded([first]).rows() == coded([second]).rows()
    assert (digest(coded([first])) == digest(coded([second]))) == same


def test_digest_value_is_stable() -> None:
    assert f"{digest(coded([('a', None, 'LAB//x', 1.0, 'text', None)])):032x}" == "56d1d75436eea2234ae92ac05fd984ee"

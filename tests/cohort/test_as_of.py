"""Events known at a prediction time."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.cohort import POLARS_EVENTS, SAMPLES, CohortError, known_at
from tests.cohort.samples import steady

ORIGIN = datetime(2020, 1, 1)
TIMES = st.integers(0, 5).map(lambda day: ORIGIN + timedelta(days=day)) | st.datetimes()
ROWS = st.lists(st.tuples(st.integers(1, 4), st.none() | TIMES, st.sampled_from("abc")), max_size=30)
SAMPLE_ROWS = st.lists(st.tuples(st.integers(1, 5), TIMES), max_size=12)


def events_of(rows: list[tuple[int, datetime | None, str]]) -> pl.DataFrame:
    """Return events in cohort order, numbered in `numeric_value`."""
    schema = {name: POLARS_EVENTS[name] for name in ("subject_id", "time", "code")}
    events = pl.DataFrame(rows, schema=schema, orient="row")
    events = events.sort("subject_id", "time", nulls_last=False, maintain_order=True)
    return events.with_columns(numeric_value=pl.int_range(pl.len()).cast(pl.Float32))


def samples_of(requested: list[tuple[int, datetime]]) -> pl.DataFrame:
    return pl.DataFrame([(i, *row) for i, row in enumerate(requested)], schema=SAMPLES, orient="row")


def known_by_hand(
    rows: list[tuple[int, datetime | None, str, float]], requested: list[tuple[int, datetime]]
) -> list[tuple[int, float]]:
    """Return (sample, number of the event) by brute force."""
    kept = []
    for sample, (who, when) in enumerate(requested):
        of_subject = [row for row in rows if row[0] == who]
        kept += [(sample, row[3]) for row in of_subject if row[1] is None]
        kept += [(sample, row[3]) for row in of_subject if row[1] is not None and row[1] <= when]
    return kept


@steady
@given(ROWS, SAMPLE_ROWS)
def test_known_events_are_static_or_not_later_than_the_prediction_time(
    rows: list[tuple[int, datetime | None, str]], requested: list[tuple[int, datetime]]
) -> None:
    events, samples = events_of(rows), samples_of(requested)
    known = known_at(events, samples)
    assert known.select("sample", "numeric_value").rows() == known_by_hand(events.rows(), requested)
    assert known.columns == [*events.columns, "sample", "prediction_time"]
    assert known.filter(pl.col("time") > pl.col("prediction_time")).is_empty()
    assert known.equals(known_at(events.lazy(), samples).collect())


@steady
@given(ROWS, SAMPLE_ROWS)
def test_future_events_have_no_influence(
    rows: list[tuple[int, datetime | None, str]], requested: list[tuple[int, datetime]]
) -> None:
    """Dropping or adding events later than every prediction time changes nothing."""
    latest = max((when for _, when in requested), default=datetime.min)
    past = [row for row in rows if row[1] is None or row[1] <= latest]
    known = known_at(events_of(rows), samples_of(requested)).drop("numeric_value")
    assert known.equals(known_at(events_of(past), samples_of(requested)).drop("numeric_value"))
    if latest < datetime.max:
        added = [*past, *((who, datetime.max, "added") for who in range(1, 6))]
        assert known.equals(known_at(events_of(added), samples_of(requested)).drop("numeric_value"))


@steady
@given(ROWS, SAMPLE_ROWS)
def test_samples_are_independent(
    rows: list[tuple[int, datetime | None, str]], requested: list[tuple[int, datetime]]
) -> None:
    events, samples = events_of(rows), samples_of(requested)
    separate = [known_at(events, samples.slice(i, 1)) for i in range(samples.height)]
    assert known_at(events, samples).equals(pl.concat([known_at(events, samples.clear()), *separate]))


def test_frame_type_is_preserved() -> None:
    events, samples = events_of([(1, None, "a")]), samples_of([(1, ORIGIN)])
    assert isinstance(known_at(events, samples), pl.DataFrame)
    assert isinstance(known_at(events.lazy(), samples), pl.LazyFrame)


@pytest.mark.parametrize("column", SAMPLES)
def test_invalid_samples_are_rejected(column: str) -> None:
    events, samples = events_of([(1, None, "a")]), samples_of([(1, ORIGIN)])
    with pytest.raises(CohortError, match=column):
        known_at(events, samples.drop(column))
    with pytest.raises(CohortError, match=column):
        known_at(events, samples.with_columns(pl.col(column).cast(pl.String)))
    with pytest.raises(CohortError, match="null"):
        known_at(events, samples.with_columns(pl.lit(None, SAMPLES[column]).alias(column)))

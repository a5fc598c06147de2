"""Shards: each subject in one shard, sorted, within the weight limit."""

from datetime import datetime

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.cohort import POLARS_EVENTS
from polyclinic.cohort.storage.normalise import without_negative_zero
from polyclinic.cohort.storage.shards import GROWTH, Piece, distinct, plan
from polyclinic.cohort.storage.subject_ids import END
from tests.cohort.samples import EVENTS, Event, frame, rows, steady

WEIGHTS = st.dictionaries(st.integers(0, 200), st.integers(1, 60), max_size=60)


def planned(old: list[Piece], weights: dict[int, int], touched: list[int], target: int) -> list[Piece]:
    table = pl.DataFrame(
        {"file": [f"{i}" for i, _ in enumerate(old)], "start": [piece.start for piece in old]},
        schema={"file": pl.String(), "start": pl.Int64()},
    )
    listed = sorted(weights.items())
    schema = {"subject_id": pl.Int64(), "bytes": pl.Int64()}
    return plan(table, pl.DataFrame(listed, schema=schema, orient="row"), pl.Series(touched, dtype=pl.Int64), target)


def weight_of(piece: Piece, weights: dict[int, int]) -> int:
    return sum(weight for subject, weight in weights.items() if piece.start <= subject < piece.stop)


@steady
@given(WEIGHTS, WEIGHTS)
def test_plan_covers_all_ids_and_splits_heavy_shards(first: dict[int, int], more: dict[int, int]) -> None:
    old = planned([], first, list(first), 100)
    combined = {subject: first.get(subject, 0) + more.get(subject, 0) for subject in first | more}
    new = planned(old, combined, list(more), 100)
    for pieces, weights, limit in ((old, first, 100), (new, combined, GROWTH * 100)):
        assert [pieces[0].start, *(piece.stop for piece in pieces)] == [*(piece.start for piece in pieces), END]
        assert pieces[0].start == 0
        for piece in pieces:
            if piece.changed:
                assert weight_of(piece, weights) <= limit + max(weights.values(), default=0)
    unchanged = [piece for piece in new if not piece.changed]
    assert all(weight_of(piece, more) == 0 for piece in unchanged)
    assert {(piece.start, piece.stop) for piece in unchanged} <= {(piece.start, piece.stop) for piece in old}


@steady
@given(st.lists(EVENTS))
def test_distinct_returns_the_sorted_set(events: list[Event]) -> None:
    numbered = frame(events).with_columns(subject_id=pl.col("source_id").str.len_bytes().cast(pl.Int64))
    given_events = numbered.select(list(POLARS_EVENTS)).with_columns(without_negative_zero())
    found = once(given_events)
    assert rows(found) == dict.fromkeys(rows(given_events), 1)
    keys = [(subject, time is not None, time or datetime.min, code) for subject, time, code, *_ in found.rows()]
    assert keys == sorted(keys)
    assert once(given_events.reverse()).equals(found)


def once(events: pl.DataFrame) -> pl.DataFrame:
    coded = events.with_columns(pl.col("code").cast(pl.Categorical))
    return distinct(coded).with_columns(pl.col("code").cast(pl.String))

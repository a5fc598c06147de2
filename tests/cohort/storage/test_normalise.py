"""Normalisation of frames: accepted columns, and rows left out."""

from datetime import UTC, datetime
from typing import Literal

import polars as pl
import pytest

from polyclinic.cohort import CohortError
from polyclinic.cohort.storage.normalise import STAGED, check, normalised

GOOD = pl.DataFrame({"source_id": ["a"], "code": ["LAB//x"], "time": [datetime(2020, 1, 1)], "numeric_value": [1]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": pl.lit(1)}, "unknown columns weight"),
        ({"subject_id": pl.lit(1)}, "either source_id or subject_id"),
        ({"source_id": pl.lit(17)}, "source_id is"),
        ({"code": pl.lit(17)}, "code is"),
        ({"time": pl.lit("2020")}, "time is"),
        ({"time": pl.lit(datetime(2020, 1, 1, tzinfo=UTC))}, "without a time zone"),
        ({"numeric_value": pl.lit("1")}, "numeric_value is"),
        ({"blob": pl.lit(b"")}, "blob is"),
    ],
)
def test_invalid_columns_are_rejected(change: dict[str, pl.Expr], message: str) -> None:
    with pytest.raises(CohortError, match=message):
        check(GOOD.with_columns(**change))


def test_missing_columns_are_rejected() -> None:
    with pytest.raises(CohortError, match="code is missing"):
        check(GOOD.drop("code"))
    with pytest.raises(CohortError, match="either source_id or subject_id"):
        check(GOOD.drop("source_id"))


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Int8, pl.UInt64, pl.Boolean, pl.Decimal(10, 2)])
def test_numbers_become_float32(dtype: pl.DataType) -> None:
    events, left_out = normalised(GOOD.with_columns(pl.col("numeric_value").cast(dtype)))
    assert dict(events.schema) == STAGED
    assert events.get_column("numeric_value").to_list() == [1.0]
    assert not left_out


@pytest.mark.parametrize("dtype", [pl.Date, pl.Datetime("ms"), pl.Datetime("ns")])
def test_times_become_microseconds(dtype: pl.DataType) -> None:
    events, _ = normalised(GOOD.with_columns(pl.col("time").cast(dtype)))
    assert events.get_column("time").to_list() == [datetime(2020, 1, 1)]


def test_unusable_rows_are_left_out_and_counted() -> None:
    frames = [
        GOOD,
        GOOD.with_columns(source_id=pl.lit("")),
        GOOD.with_columns(source_id=pl.lit(None, pl.String)),
        GOOD.with_columns(code=pl.lit("")),
        *(GOOD.with_columns(numeric_value=pl.lit(bad)) for bad in (float("nan"), float("inf"), 1e39)),
    ]
    events, left_out = normalised(pl.concat(frames, how="diagonal_relaxed"))
    assert events.height == 1
    assert {reject.reason: n for reject, n in left_out.items()} == {
        "no subject": 2,
        "no code": 1,
        "not a finite number": 3,
    }


def test_dates_out_of_range_are_left_out() -> None:
    times = pl.Series("time", [0, 2**62, -(2**62)]).cast(pl.Datetime("us"))
    frame = pl.DataFrame({"source_id": ["a"] * 3, "code": ["LAB//x"] * 3, "time": times})
    events, left_out = normalised(frame)
    assert events.get_column("time").to_list() == [datetime(1970, 1, 1)]
    assert [reject.reason for reject in left_out] == ["impossible date"]


@pytest.mark.parametrize("unit", ["ms", "us"])
def test_a_time_out_of_range_does_not_become_a_static_fact(unit: Literal["ms", "us"]) -> None:
    beyond = pl.Series("time", [2**62]).cast(pl.Datetime(unit))
    events, left_out = normalised(pl.DataFrame({"source_id": ["a"], "code": ["LAB//x"], "time": beyond}))
    assert events.is_empty()
    assert sum(left_out.values()) == 1


@pytest.mark.parametrize(("number", "dtype"), [(-1, pl.Int8), (2**63 - 1, pl.Int64), (2**63 + 5, pl.UInt64)])
def test_subject_ids_out_of_range_are_rejected(number: int, dtype: pl.DataType) -> None:
    with pytest.raises(CohortError, match="subject_id") as raised:
        normalised(pl.DataFrame({"subject_id": pl.Series([number], dtype=dtype), "code": ["LAB//x"]}))
    assert str(number) not in str(raised.value)

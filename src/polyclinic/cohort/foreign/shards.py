"""Read the shards of a MEDS data set of another tool with the columns of our events."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import polars as pl
from polars.datatypes import DataType

from polyclinic.cohort.errors import CohortError
from polyclinic.cohort.rejects import Reject
from polyclinic.cohort.schema import POLARS_EVENTS
from polyclinic.cohort.storage.normalise import NO_CODE, NO_DATE, NO_SUBJECT, NOT_FINITE, without_negative_zero

#: Order of events, by which equal data sets give equal rows, however they are sharded.
ORDER = ("subject_id", "time", "code", "numeric_value", "text_value", "blob")


def _is_text(dtype: DataType) -> bool:
    return dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null)


def _is_time(dtype: DataType) -> bool:
    return dtype == pl.Null or (isinstance(dtype, pl.Datetime) and dtype.time_zone is None)


def _is_number(dtype: DataType) -> bool:
    return dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)


_ACCEPTS: dict[str, tuple[Callable[[DataType], bool], str]] = {
    "subject_id": (lambda dtype: dtype.is_integer(), "an integer"),
    "time": (_is_time, "a timestamp without a time zone"),
    "code": (_is_text, "text"),
    "numeric_value": (_is_number, "a number"),
    "text_value": (_is_text, "text"),
}

#: What an event needs, and the reject of one that lacks it.
_RULES: dict[Reject, pl.Expr] = {
    NO_SUBJECT: pl.col("subject_id").is_not_null(),
    NO_CODE: (pl.col("code") != "").fill_null(value=False),
    NOT_FINITE: pl.col("numeric_value").is_finite().fill_null(value=True),
    NO_DATE: pl.col("time").is_between(datetime.min, datetime.max).fill_null(value=True),
}


def check(file: Path, root: Path) -> list[str]:
    """Check the columns of a shard, and return those that are not read.

    Raises:
        CohortError: the file is not Parquet, or a column of MEDS is missing or of another type.
    """
    where = file.relative_to(root)
    try:
        schema = pl.read_parquet_schema(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise CohortError(f"{where} of {root} is not a Parquet file: write it again, or move it out of data") from error
    for name, (accepts, expected) in _ACCEPTS.items():
        if name not in schema and name in ("subject_id", "time", "code"):
            raise CohortError(f"{where} of {root} lacks the column {name} of MEDS: write the data set again")
        if name in schema and not accepts(schema[name]):
            raise CohortError(f"{where} of {root}: column {name} is {schema[name]}; MEDS has {expected}: convert it")
    return [name for name in schema if name not in POLARS_EVENTS]


def scan(files: Sequence[Path]) -> pl.LazyFrame:
    """Return the usable events of checked shards lazily, with the columns `POLARS_EVENTS`, in the files' order."""
    return _scan_all(files).filter(pl.all_horizontal(*_RULES.values()))


def left_out(files: Sequence[Path]) -> dict[Reject, int]:
    """Return the number of unusable events of checked shards, by the first rule that each breaks."""
    passed, counts = pl.lit(value=True), {}
    for reject, rule in _RULES.items():
        counts[reject] = (passed & ~rule).sum()
        passed = passed & rule
    found = _scan_all(files).select(count.alias(reject.reason) for reject, count in counts.items()).collect().row(0)
    return {reject: int(number) for reject, number in zip(_RULES, found, strict=True) if number}


def _scan_all(files: Sequence[Path]) -> pl.LazyFrame:
    return pl.concat([_scan(file) for file in files] or [pl.LazyFrame(schema=dict(POLARS_EVENTS))])


def _scan(file: Path) -> pl.LazyFrame:
    schema = pl.read_parquet_schema(file)
    present = {name for name, dtype in schema.items() if name != "blob" or _is_text(dtype)}
    columns = [
        (pl.col(name) if name in present else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in POLARS_EVENTS.items()
    ]
    return pl.scan_parquet(file, hive_partitioning=False).select(columns).with_columns(without_negative_zero())

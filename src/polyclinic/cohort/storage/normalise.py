"""Check frames from readers and convert them to the writer's columns."""

from collections.abc import Callable
from datetime import datetime

import polars as pl
from polars.datatypes import DataType

from polyclinic.cohort.errors import CohortError
from polyclinic.cohort.rejects import Reject
from polyclinic.cohort.schema import POLARS_EVENTS
from polyclinic.cohort.storage.subject_ids import END

#: Columns of a staged event; either `source_id` or `subject_id` is null.
STAGED = {"source_id": pl.String()} | dict(POLARS_EVENTS) | {"code": pl.Categorical()}

NO_SUBJECT = Reject("", None, "no subject", "name the subject of every record")
NO_CODE = Reject("", None, "no code", "name what every record measures")
NOT_FINITE = Reject("", None, "not a finite number", "correct the number or leave it empty")
NO_DATE = Reject("", None, "impossible date", "correct the date or its format in the mapping")


def _is_text(dtype: DataType) -> bool:
    return dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null)


def _is_time(dtype: DataType) -> bool:
    return dtype in (pl.Date, pl.Null) or (isinstance(dtype, pl.Datetime) and dtype.time_zone is None)


def _is_number(dtype: DataType) -> bool:
    return dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)


_ACCEPTS: dict[str, tuple[Callable[[DataType], bool], str]] = {
    "source_id": (_is_text, "text"),
    "subject_id": (lambda dtype: dtype.is_integer(), "an integer"),
    "time": (_is_time, "a datetime without a time zone"),
    "code": (_is_text, "text"),
    "numeric_value": (_is_number, "a number"),
    "text_value": (_is_text, "text"),
    "blob": (_is_text, "text"),
}


def check(frame: pl.DataFrame) -> None:
    """Check the columns of a frame.

    Raises:
        CohortError: a column is missing, unknown or of the wrong type.
    """
    if unknown := sorted(set(frame.columns) - set(STAGED)):
        raise CohortError(f"unknown columns {', '.join(unknown)}: an event has {', '.join(STAGED)}")
    if ("source_id" in frame.columns) == ("subject_id" in frame.columns):
        raise CohortError("give either source_id or subject_id")
    if "code" not in frame.columns:
        raise CohortError("the column code is missing")
    for name, dtype in frame.schema.items():
        accepts, expected = _ACCEPTS[name]
        if not accepts(dtype):
            raise CohortError(f"column {name} is {dtype}: make it {expected}")


def normalised(frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[Reject, int]]:
    """Return the usable rows of a checked frame with the columns `STAGED`, and the number left out for each reason.

    Readers reject such rows themselves, with file and line; this is a safeguard.

    Raises:
        CohortError: a `subject_id` lies outside 0 to 2**63 - 2.
    """
    given = {name: pl.col(name) if name in frame.columns else pl.lit(None) for name in STAGED}
    cast = {name: column.cast(STAGED[name], strict=False) for name, column in given.items()}
    # A time out of range becomes null; kept, it would be a static fact, known before it happened.
    lost = given["time"].is_not_null() & cast["time"].is_null()
    _check_ids(frame.select(given["subject_id"].alias("given"), cast["subject_id"].alias("cast")))
    events, left_out = _usable(frame.select(**cast, lost=lost))
    return events.drop("lost"), left_out


def _check_ids(ids: pl.DataFrame) -> None:
    cast = ids.get_column("cast")
    if cast.null_count() > ids.get_column("given").null_count() or not cast.is_between(0, END - 1).all():
        raise CohortError("a subject_id is negative or too large: pass it as source_id, as text")


def _usable(frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[Reject, int]]:
    dated = pl.col("time").is_between(datetime.min, datetime.max).fill_null(value=True)
    rules = {
        NO_SUBJECT: (pl.col("source_id") != "").fill_null(value=False) | pl.col("subject_id").is_not_null(),
        NO_CODE: (pl.col("code") != "").fill_null(value=False),
        NOT_FINITE: pl.col("numeric_value").is_finite().fill_null(value=True),
        NO_DATE: dated & ~pl.col("lost"),
    }
    passes = frame.select(rule.all().alias(reject.reason) for reject, rule in rules.items()).row(0)
    left_out: dict[Reject, int] = {}
    for (reject, rule), passed in zip(rules.items(), passes, strict=True):
        if not passed:
            kept = frame.filter(rule)
            left_out[reject] = frame.height - kept.height
            frame = kept
    return frame, left_out


def without_negative_zero() -> pl.Expr:
    """Return the numbers with -0.0 as 0.0, so that equal numbers have equal bits."""
    number = pl.col("numeric_value")
    return pl.when(number == 0).then(pl.lit(0.0, pl.Float32)).otherwise(number).alias("numeric_value")

"""Frames as readers give them → events with the writer's exact columns."""

from collections.abc import Callable

import polars as pl
from polars.datatypes import DataType

from polyclinic.cohort.errors import CohortError
from polyclinic.cohort.schema import POLARS_EVENTS

#: What the writer keeps of an event until it is committed: either `source_id` or `subject_id` is null.
STAGED = {"source_id": pl.String()} | dict(POLARS_EVENTS)


def _text(dtype: DataType) -> bool:
    return dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null)


def _clock(dtype: DataType) -> bool:
    return dtype in (pl.Date, pl.Null) or (isinstance(dtype, pl.Datetime) and dtype.time_zone is None)


def _number(dtype: DataType) -> bool:
    return dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)


_ACCEPTS: dict[str, tuple[Callable[[DataType], bool], str]] = {
    "source_id": (_text, "text"),
    "subject_id": (lambda dtype: dtype.is_integer(), "an integer"),
    "time": (_clock, "a datetime without a time zone"),
    "code": (_text, "text"),
    "numeric_value": (_number, "a number"),
    "text_value": (_text, "text"),
    "blob": (_text, "text"),
}


def normalised(frame: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Give `frame` with the columns `STAGED`, less the rows whose number is not finite, and how many those were.

    Raises:
        CohortError: a column is missing, unknown or of the wrong type, or holds a null subject or code.
    """
    if frame.schema != STAGED:
        _check(frame)
        given = [pl.col(c) if c in frame.columns else pl.lit(None).alias(c) for c in STAGED]
        frame = frame.select(e.cast(t, strict=t != pl.Float32()) for e, t in zip(given, STAGED.values(), strict=True))
    _check_values(frame)
    number = pl.col("numeric_value")
    kept = frame.filter(number.is_null() | number.is_finite())
    return kept.with_columns(number + 0.0), frame.height - kept.height


def _check(frame: pl.DataFrame) -> None:
    if unknown := sorted(set(frame.columns) - set(STAGED)):
        raise CohortError(f"unknown columns {', '.join(unknown)}: an event has {', '.join(STAGED)}")
    if ("source_id" in frame.columns) == ("subject_id" in frame.columns):
        raise CohortError("give either source_id or subject_id")
    if "code" not in frame.columns:
        raise CohortError("the column code is missing")
    for name, dtype in frame.schema.items():
        accepts, wanted = _ACCEPTS[name]
        if not accepts(dtype):
            raise CohortError(f"column {name} is {dtype}: make it {wanted}")


def _check_values(frame: pl.DataFrame) -> None:
    if nulls := frame.get_column("code").null_count():
        raise CohortError(f"{nulls} events have no code: reject them in the reader")
    source, subject = frame.get_column("source_id"), frame.get_column("subject_id")
    if nulls := (source.is_null() & subject.is_null()).sum():
        raise CohortError(f"{nulls} events have no subject: reject them in the reader")
    if (subject < 0).any():
        raise CohortError("a subject_id is negative: pass it as source_id, as text")

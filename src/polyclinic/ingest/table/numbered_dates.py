"""Formats of dates that are stored as numbers: epochs, and the serial numbers of spreadsheets."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import polars as pl


class NumberedFormat(NamedTuple):
    """A count of microseconds since an origin; `utc` if the origin is a moment in UTC and not a local time."""

    origin: datetime
    microseconds: float
    utc: bool


_DAY = 86_400e6
NUMBERED: Mapping[str, NumberedFormat] = {
    "epoch-s": NumberedFormat(datetime(1970, 1, 1), 1e6, utc=True),
    "epoch-ms": NumberedFormat(datetime(1970, 1, 1), 1e3, utc=True),
    # Day 60 is 29 February 1900, which did not exist: from 1 March 1900 days count from 30 December 1899.
    "excel": NumberedFormat(datetime(1899, 12, 30), _DAY, utc=False),
    "excel-1904": NumberedFormat(datetime(1904, 1, 1), _DAY, utc=False),
}
_FIRST_SURE = 61  # days before this are one day off in the first of Excel's systems
_FAR = 1e17  # microseconds; some 3,000 years


def numbered_dates(texts: pl.Series, form: str) -> pl.Series:
    """Convert numbers in one of the formats `NUMBERED` to times; others become null.

    >>> numbered_dates(pl.Series(["45356.5", "2024-03-05"]), "excel").to_list()
    [datetime.datetime(2024, 3, 5, 12, 0), None]
    """
    known = NUMBERED[form]
    numbers = texts.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    counted = numbers * known.microseconds
    valid = counted.is_finite() & (counted.abs() < _FAR)
    if form == "excel":
        valid &= numbers >= _FIRST_SURE
    # Serial numbers hold about a second in five million days: fractions of a millisecond are errors of rounding.
    elapsed = ((counted.set(~valid.fill_null(False), None) / 1e3).round() * 1e3).cast(pl.Int64).cast(pl.Duration("us"))
    return pl.select(pl.lit(known.origin, dtype=pl.Datetime("us")) + elapsed).to_series().alias(texts.name)

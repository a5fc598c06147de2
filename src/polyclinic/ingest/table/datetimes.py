"""Texts of dates and times, as columns at once; what is not a date of the calendar becomes null."""

import re
from datetime import date, datetime
from typing import NamedTuple

import polars as pl

from polyclinic.cohort import NOMINAL_ORIGIN

ISO_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")
_ZONED = "%Y-%m-%d %H:%M:%S%.f%:z"
DIRECTIVES = "YmdHMSfyjbBIpz"
_MICROSECONDS = {"seconds": 1e6, "minutes": 60e6, "hours": 3600e6, "days": 86400e6, "years": 31557600e6}
_FAR = 400 * 365.25 * 86400e6  # microseconds: no record is 400 years long, and int64 must not overflow


def _native(text: str) -> str:
    """Turn a strptime format into polars' own (fractions of a second are written differently)."""
    return text.replace(".%f", "%.f")


def check_format(text: str) -> str:
    """Refuse a date format that cannot read what it writes.

    Raises:
        ValueError: the format lacks year, month or day, or has a directive that is not in `DIRECTIVES`.
    """
    unknown = sorted(set(re.findall("%(.)", text)) - set(DIRECTIVES))
    if unknown:
        raise ValueError(f"%{unknown[0]} is not understood: use %{', %'.join(DIRECTIVES)}")
    sample = datetime(1987, 11, 28, 21, 43, 56)
    read = parse_dates(pl.Series([sample.strftime(text)]), text)[0]
    if read is None or read.date() != sample.date():
        raise ValueError("not a date format: use year, month and day as in %Y-%m-%d %H:%M:%S or %d.%m.%Y")
    return text


def parse_dates(texts: pl.Series, form: str | None = None) -> pl.Series:
    """Read dates of one strptime format, or of ISO 8601; times with a zone become UTC, all are without zone after.

    A text that is no date of the calendar (2023-02-30) gives null.
    """
    if form is not None:
        return _parsed(texts, _native(form))
    spaced = texts.str.replace("T", " ", literal=True)
    found = pl.select(pl.coalesce(*(_parsed(spaced, known) for known in ISO_FORMATS))).to_series()
    if (found.is_null() & spaced.is_not_null()).any():
        zoned = spaced.str.replace("Z$", "+00:00").str.replace(r"(:\d\d(?:\.\d+)?)([+-]\d\d)$", "$1$2:00")
        zoned = zoned.str.replace(r"([+-]\d\d)(\d\d)$", "$1:$2").str.replace(r"^(\S+ \d\d:\d\d)([+-])", "$1:00$2")
        found = found.fill_null(_parsed(zoned, _ZONED))
    return found


def in_century_before(times: pl.Series, latest: date) -> pl.Series:
    """Move times after `latest` a century back: what two-digit years mean is up to the user."""
    return times.zip_with((times.dt.date() <= latest).fill_null(True), times.dt.offset_by("-100y"))


def _parsed(texts: pl.Series, form: str) -> pl.Series:
    try:
        times = texts.str.to_datetime(form, strict=False, time_unit="us")
    except pl.exceptions.PolarsError:
        return pl.Series(texts.name, [None] * len(texts), dtype=pl.Datetime("us"))
    zoned = isinstance(times.dtype, pl.Datetime) and times.dtype.time_zone
    return times.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zoned else times


def since_origin(numbers: pl.Series, unit: str) -> pl.Series:
    """Turn numbers of seconds, minutes, hours or days since the nominal origin into times; absurd ones become null."""
    microseconds = numbers * _MICROSECONDS[unit]
    sane = microseconds.is_finite() & (microseconds.abs() < _FAR)
    elapsed = microseconds.set(~sane, None).round().cast(pl.Int64, strict=False).cast(pl.Duration("us"))
    return pl.select(pl.lit(NOMINAL_ORIGIN, dtype=pl.Datetime("us")) + elapsed).to_series()


class Numbers(NamedTuple):
    """How a table writes numbers.

    >>> cells = pl.DataFrame({"text": ["3,5", "7", "1.000", "1.000,5"]})
    >>> cells.select(Numbers(",").read(pl.col("text"))).to_series().to_list()
    [3.5, 7.0, None, None]
    """

    decimal: str = "."  # or a comma; then a point is refused, as 1.000 may be one or a thousand,
    typed: bool = False  # unless the file holds true numbers, which come as texts with a point

    def read(self, text: pl.Expr) -> pl.Expr:
        """Give the numbers that a column of texts stands for."""
        if self.decimal == ".":
            return text.cast(pl.Float64, strict=False)
        number = text.str.replace(self.decimal, ".", literal=True).cast(pl.Float64, strict=False)
        return number if self.typed else pl.when(~text.str.contains(".", literal=True)).then(number)

"""Parse columns of dates and times; invalid ones become null."""

import re
from datetime import date, datetime

import polars as pl

from polyclinic.cohort import NOMINAL_ORIGIN

ISO_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")
_ZONED = "%Y-%m-%d %H:%M:%S%.f%:z"
DIRECTIVES = "YmdHMSfyjbBIpz"
_MICROSECONDS = {"seconds": 1e6, "minutes": 60e6, "hours": 3600e6, "days": 86400e6, "years": 31557600e6}
_FAR = 400 * 365.25 * 86400e6  # in microseconds; avoids overflow of int64


def _native(text: str) -> str:
    """Convert a strptime format to that of polars, which writes fractions of a second differently."""
    return text.replace(".%f", "%.f")


def check_format(text: str) -> str:
    """Check that a date format can parse the dates it formats, and return it.

    Raises:
        ValueError: the format lacks year, month or day, or has a directive not in `DIRECTIVES`.
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
    """Parse dates in a strptime format or ISO 8601; times with a zone are converted to UTC, and returned without zone.

    Invalid dates (2023-02-30) become null.
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
    """Move times after `latest` back by a century, to resolve two-digit years."""
    return times.zip_with((times.dt.date() <= latest).fill_null(True), times.dt.offset_by("-100y"))


def _parsed(texts: pl.Series, form: str) -> pl.Series:
    try:
        times = texts.str.to_datetime(form, strict=False, time_unit="us")
    except pl.exceptions.PolarsError:
        return pl.Series(texts.name, [None] * len(texts), dtype=pl.Datetime("us"))
    zoned = isinstance(times.dtype, pl.Datetime) and times.dtype.time_zone
    return times.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zoned else times


def since_origin(numbers: pl.Series, unit: str) -> pl.Series:
    """Convert numbers of `unit` since the nominal origin to times; those out of range become null."""
    microseconds = numbers * _MICROSECONDS[unit]
    valid = microseconds.is_finite() & (microseconds.abs() < _FAR)
    elapsed = microseconds.set(~valid, None).round().cast(pl.Int64, strict=False).cast(pl.Duration("us"))
    return pl.select(pl.lit(NOMINAL_ORIGIN, dtype=pl.Datetime("us")) + elapsed).to_series()

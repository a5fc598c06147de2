"""Parse columns of dates and times: a text matches a form as a whole, or becomes null."""

import re
from datetime import date, datetime, timedelta
from functools import cache
from typing import NamedTuple

import polars as pl

from polyclinic.cohort import NOMINAL_ORIGIN
from polyclinic.ingest.table.numbered_dates import NUMBERED, numbered_dates

ISO_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")
DIRECTIVES = "YmdHMSfyjbBIpz"
_MICROSECONDS = {"seconds": 1e6, "minutes": 60e6, "hours": 3600e6, "days": 86400e6, "years": 31557600e6}
_FAR = 400 * 365.25 * 86400e6  # in microseconds; avoids overflow of int64

_OFFSET = r"[Zz]|UTC|GMT|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?"  # from UTC
_CLOCK = r"\d{1,2}:[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?"
_ISO = rf"^\d{{4}}-\d{{1,2}}-\d{{1,2}}(?:(?:[Tt]| +){_CLOCK}(?: ?(?:{_OFFSET}))?)?$"
_ISO_OFFSET = rf"(:[0-5]\d(?:\.\d+)?) ?({_OFFSET})$"
#: Digits of the numeric directives, and patterns of the others.
_WIDTHS = {"Y": (4, 4), "y": (2, 2), "m": (1, 2), "d": (1, 2), "H": (1, 2), "I": (1, 2), "j": (3, 3)}
_PATTERNS = {
    "M": r"[0-5]\d",
    "S": r"[0-5]\d",
    ".f": r"(?:\.\d{1,9})?",
    "b": r"\pL+\.?",
    "B": r"\pL+\.?",
    "p": r"[AaPp]\.?[Mm]\.?",
    "z": f"(?:{_OFFSET})",
}


class Written(NamedTuple):
    """Times as written: what the clock showed, and the stated offset from UTC."""

    clock: pl.Series  # Datetime("us"); null if the text is no time
    offset: pl.Series  # Duration("us"); null if none is stated


def _native(text: str) -> str:
    """Convert a strptime format to that of polars, which writes fractions of a second differently."""
    return text.replace(".%f", "%.f")


def check_format(text: str) -> str:
    """Check that a date format can parse the dates it formats, and return it.

    Raises:
        ValueError: the format lacks year, month or day, has a directive not in `DIRECTIVES`, or hours whose half of the
            day it does not state.
    """
    if text in NUMBERED:
        return text
    unknown = sorted(set(re.findall("%(.)", text)) - set(DIRECTIVES))
    if unknown:
        raise ValueError(f"%{unknown[0]} is not understood: use %{', %'.join(DIRECTIVES)}")
    if re.search(r"(?<!\.)%f", text):
        raise ValueError("%f needs a point before it, as in %S.%f")
    if ("%I" in text) != ("%p" in text):
        raise ValueError("%I (hours to 12) and %p (AM or PM) need each other: use %H for hours to 24")
    sample = datetime(1987, 11, 28, 21, 43, 56)
    read = parse_dates(pl.Series([sample.strftime(text.replace("%z", "+00:00"))]), text)[0]
    if read is None or read.date() != sample.date():
        raise ValueError("not a date format: use year, month and day as in %Y-%m-%d %H:%M:%S or %d.%m.%Y")
    return text


def has_clock(form: str) -> bool:
    """Return whether a format holds a time of day."""
    return "%H" in form or "%I" in form


def parse_dates(texts: pl.Series, form: str | None = None) -> pl.Series:
    """Read dates as `read_dates` does; times with an offset are converted to UTC."""
    clock, offset = read_dates(texts, form)
    return pl.select(clock - offset.fill_null(pl.duration(seconds=0))).to_series()


def read_dates(texts: pl.Series, form: str | None = None) -> Written:
    """Read dates and times of a strptime format, or of ISO 8601 if it is None.

    A text that holds more or less than its format becomes null, as does one that is impossible (2023-02-30, 24:00, 60
    seconds). In ISO 8601 the time may be missing, which means midnight.
    """
    if form is None:
        return _read_iso(texts)
    if form in NUMBERED:
        return Written(numbered_dates(texts, form), _zero(texts) if NUMBERED[form].utc else no_offset(texts))
    before, zone, after = form.partition("%z")
    whole = _only(texts, f"^{_pattern(form)}$")
    if not zone:
        return Written(_parsed(whole, _native(form)), no_offset(texts))
    parts = f"^({_pattern(before)})({_OFFSET})({_pattern(after)})$"
    as_utc = _parsed(whole.str.replace(parts, "${1}+0000${3}"), _native(form))
    return Written(as_utc.dt.replace_time_zone(None), _minutes(whole.str.extract(parts, 2)))


def _read_iso(texts: pl.Series) -> Written:
    whole = _only(texts, _ISO).str.replace(r"^(\S+)[Tt]", "$1 ")
    offset = no_offset(texts)
    if whole.str.contains(_ISO_OFFSET).any():
        offset = _minutes(whole.str.extract(_ISO_OFFSET, 2))
        whole = whole.str.replace(_ISO_OFFSET, "$1")
    clock = _parsed(whole, ISO_FORMATS[0])
    for known in ISO_FORMATS[1:]:
        if clock.null_count() > whole.null_count():
            clock = clock.fill_null(_parsed(whole, known))
    return Written(clock, offset)


@cache
def _pattern(form: str) -> str:
    """Return the pattern of the texts of a format; numbers without a sign between them have all their digits."""
    tokens = re.findall(r"\.%f|%.|\s+|.", form)
    numeric = [token.isdigit() or (token[-1] in "YymdHMSIj" and token[0] == "%") for token in tokens]
    pattern = []
    for index, token in enumerate(tokens):
        near = (index > 0 and numeric[index - 1]) or numeric[index + 1 : index + 2] == [True]
        pattern.append(_of_token(token, near))
    return "".join(pattern)


def _of_token(token: str, near: bool) -> str:
    directive = token.replace("%", "") if "%" in token else ""
    if directive in _WIDTHS:
        least, most = _WIDTHS[directive]
        return rf"\d{{{most if near else least},{most}}}"
    if directive:
        return _PATTERNS[directive]
    return r"\s+" if token.isspace() else re.escape(token)


def _only(texts: pl.Series, pattern: str) -> pl.Series:
    """Return the texts that match a pattern, and null for the others."""
    return pl.select(pl.when(texts.str.contains(pattern)).then(texts)).to_series().alias(texts.name)


def no_offset(texts: pl.Series) -> pl.Series:
    """Return a null offset for each text."""
    return pl.repeat(None, len(texts), dtype=pl.Duration("us"), eager=True)


def _zero(texts: pl.Series) -> pl.Series:
    """Return an offset of nothing for each text, of times that are in UTC."""
    return pl.repeat(timedelta(), len(texts), dtype=pl.Duration("us"), eager=True)


def _minutes(offsets: pl.Series) -> pl.Series:
    """Return offsets such as `Z`, `+01`, `+0100` or `-03:30` as durations."""
    digits = offsets.str.replace(":", "").str.replace("^(?:[Zz]|UTC|GMT)$", "+0000").str.pad_end(5, "0")
    sign = pl.when(digits.str.starts_with("-")).then(-1).otherwise(1)
    hours, minutes = (digits.str.slice(start, 2).cast(pl.Int64) for start in (1, 3))
    return pl.select(pl.duration(minutes=sign * (hours * 60 + minutes), time_unit="us")).to_series()


def in_century_before(times: pl.Series, latest: date) -> pl.Series:
    """Move times after `latest` back by a century, to resolve two-digit years; 29 February becomes null in 1900."""
    earlier = times.dt.offset_by("-100y")
    moved = pl.select(pl.when(earlier.dt.day() == times.dt.day()).then(earlier)).to_series()
    return times.zip_with((times.dt.date() <= latest).fill_null(True), moved).alias(times.name)


def _parsed(texts: pl.Series, form: str) -> pl.Series:
    try:
        return texts.str.to_datetime(form, strict=False, time_unit="us")
    except pl.exceptions.PolarsError:
        return pl.Series(texts.name, [None] * len(texts), dtype=pl.Datetime("us"))


def since_origin(numbers: pl.Series, unit: str) -> pl.Series:
    """Convert numbers of `unit` since the nominal origin to times; those out of range become null."""
    microseconds = numbers * _MICROSECONDS[unit]
    valid = microseconds.is_finite() & (microseconds.abs() < _FAR)
    elapsed = microseconds.set(~valid, None).round().cast(pl.Int64, strict=False).cast(pl.Duration("us"))
    return pl.select(pl.lit(NOMINAL_ORIGIN, dtype=pl.Datetime("us")) + elapsed).to_series()

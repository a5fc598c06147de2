"""The ways in which dates are written, and the strptime formats of each."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache

ISO = "ISO 8601"
_EARLIEST, _LATEST = 1800, 2299  # years; de-identified dates are shifted far
SHORT_MONTHS = (
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
)  # fmt: skip
LONG_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_ISO = re.compile(
    r"(?P<Y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})"
    r"(?:(?:[Tt]| +)(?P<clock>\d{1,2}:[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?) ?(?:Z|z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?)?"
)
_DATES = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?P<a>\d{1,2})(?P<s>[./-])(?P<b>\d{1,2})(?P=s)(?P<Y>\d{4}|\d\d)(?!\d)",
        r"(?P<Y>\d{4})(?P<s>[./-])(?P<m>\d{1,2})(?P=s)(?P<d>\d{1,2})(?!\d)",
        r"(?P<d>\d{1,2})(?P<s>[-/. ]|\. |)(?P<name>[A-Za-z]{3,9})(?P<t>[-/. ]|\. |, |)(?P<Y>\d{4}|\d\d)(?!\d)",
        r"(?P<name>[A-Za-z]{3,9})(?P<s>[-/. ]|\. )(?P<d>\d{1,2})(?P<t>, ?|[-/ ])(?P<Y>\d{4}|\d\d)(?!\d)",
        r"(?P<Y>\d{4})(?P<s>[-/. ])(?P<name>[A-Za-z]{3,9})(?P<t>[-/. ])(?P<d>\d{1,2})(?!\d)",
        r"(?P<Y>\d{4})(?P<m>\d\d)(?P<d>\d\d)(?=\D|$|\d{4}(?:\D|$)|\d{6}(?:\D|$))",
    )
)
_CLOCK = re.compile(
    r"(?P<gap>[Tt]|, | - |[ _:-]| {2,}|)"
    r"(?:(?P<H>\d{1,2})(?P<c>[:.])(?P<M>[0-5]\d)(?:(?P=c)(?P<S>[0-5]\d)(?P<f>\.\d{1,9})?)?|"
    r"(?P<H2>\d\d)(?P<M2>[0-5]\d)(?P<S2>[0-5]\d)?(?P<f2>\.\d{1,9})?)"
    r"(?P<half>(?P<h> ?)[AaPp][Mm])?(?P<zone>(?P<z> ?)(?:Z|[+-]\d\d:?\d\d))?(?P<uhr> Uhr)?"
)
TIME_OF_DAY = re.compile(r"\d{1,3}:[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?: ?[AaPp]\.?[Mm]\.?)?|\d{1,2}[.:]\d\d Uhr")


@cache
def _month(word: str) -> tuple[int, str] | None:
    """Return the number of an English month and the directive of its writing."""
    lower = word.lower()
    if lower in SHORT_MONTHS:
        return SHORT_MONTHS.index(lower) + 1, "%b"
    return (LONG_MONTHS.index(lower) + 1, "%B") if lower in LONG_MONTHS else None


def forms(text: str) -> list[str]:
    """Return the strptime formats, or `ISO`, in which a text is a date; the first is the most usual.

    >>> forms("03/04/2024"), forms("13/04/24 8:15 PM"), forms("2024-03-05T08:15"), forms("2024-02-30")
    (['%d/%m/%Y', '%m/%d/%Y'], ['%d/%m/%y %I:%M %p'], ['ISO 8601'], [])
    """
    iso = _ISO.fullmatch(text)
    if iso:
        return [ISO] if _exists(iso["Y"], int(iso["m"]), int(iso["d"])) and _hour(iso["clock"]) < 24 else []
    found = []
    for pattern in _DATES:
        date = pattern.match(text)
        if date:
            clock = "" if date.end() == len(text) else _clock(text, date.end())
            if clock is not None:
                found += [form + clock for form in _orders(date.groupdict())]
    return list(dict.fromkeys(found))


def has_clock(form: str) -> bool:
    """Return whether a format has a time of day; `ISO` may have one."""
    return "%H" in form or "%I" in form


def swapped(form: str) -> str | None:
    """Return the format with day and month in the other order, if both are numbers and come before the year."""
    match = re.match(r"%([dm])([./-])%([dm])(\2%[Yy])", form)
    return f"%{match[3]}{match[2]}%{match[1]}{match[4]}{form[match.end() :]}" if match else None


def _orders(date: Mapping[str, str | None]) -> Iterator[str]:
    """Yield the formats of a matched date, each for one order of its parts that gives a date that exists."""
    year, sign = date["Y"] or "", date.get("s") or ""
    long = "%Y" if len(year) == 4 else "%y"
    if "a" in date:
        yield from _numeric_orders(date["a"] or "", date["b"] or "", year, sign)
        return
    if "name" in date:
        month = _month(date["name"] or "")
        if month and _exists(year, month[0], int(date["d"] or 0)):
            yield _in_words(date, month[1], long)
        return
    if _exists(year, int(date["m"] or 0), int(date["d"] or 0)):
        yield f"%Y{sign}%m{sign}%d"


def _numeric_orders(first: str, second: str, third: str, sign: str) -> Iterator[str]:
    """Yield the formats of three numbers, the year last or first; with points, day first is usual."""
    long = "%Y" if len(third) == 4 else "%y"
    day_first = _exists(third, int(second), int(first))
    month_first = _exists(third, int(first), int(second))
    if day_first:
        yield f"%d{sign}%m{sign}{long}"
    if month_first and (sign != "." or not day_first):
        yield f"%m{sign}%d{sign}{long}"
    year_first = long == "%y" and len(first) == 2 and _exists(first, int(second), int(third))
    if year_first and (sign == "-" or not (day_first or month_first)):
        yield f"%y{sign}%m{sign}%d"


def _in_words(date: Mapping[str, str | None], month: str, year: str) -> str:
    """Return the format of a date with the month in words; the groups are in the order of the text."""
    parts = {"d": "%d", "name": month, "Y": year}
    return "".join(parts.get(name, text or "") for name, text in date.items())


def _exists(year: str, month: int, day: int) -> bool:
    """Return whether a date exists; of two-digit years, whether it does in a leap year."""
    number = int(year) if len(year) == 4 else 2000
    if not _EARLIEST <= number <= _LATEST:
        return False
    try:
        datetime(number, month, day)
    except ValueError:
        return False
    return True


def _hour(clock: str | None) -> int:
    return int(clock.split(":")[0]) if clock else 0


def _clock(text: str, start: int) -> str | None:
    """Return the format of the time of day at the end of a text; None if there is none."""
    match = _CLOCK.fullmatch(text, start)
    if match is None or (not match["gap"] and match["H"]):
        return None
    hour = int(match["H"] or match["H2"])
    if hour > 23 or (match["half"] and not 1 <= hour <= 12):
        return None
    sign = match["c"] or ""
    form = match["gap"] + ("%I" if match["half"] else "%H") + sign + "%M"
    form += f"{sign}%S" if match["S"] or match["S2"] else ""
    form += ".%f" if match["f"] or match["f2"] else ""
    form += f"{match['h']}%p" if match["half"] else ""
    form += f"{match['z']}%z" if match["zone"] else ""
    return form + (match["uhr"] or "")

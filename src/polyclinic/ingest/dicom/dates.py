"""Read DICOM dates and times (PS3.5, 6.2): a text matches a form as a whole, or is none.

Forms of ACR-NEMA and of common export programs are read as well: days as `2024.03.05`, `2024-03-05` or `2024/03/05`,
times of day as `08:15:00`. Ranges of queries and incomplete dates are none.
"""

import re
from datetime import date, datetime, timedelta, timezone

_DAY = r"(\d{4})([.\-/]?)(\d{2})\2(\d{2})"
_TIME = r"(\d{2})(?:(:?)(\d{2})(?:\2(\d{2})(?:\.(\d{1,6}))?)?)?"
_OFFSET = r"([+-])(\d{2})(\d{2})"
_LEAST, _MOST = timedelta(hours=-12), timedelta(hours=14)


def date_of(text: str) -> date | None:
    """Return the day of a DA.

    >>> date_of("20240305") == date_of("2024.03.05") == date(2024, 3, 5)
    True
    >>> date_of("2024.3.5"), date_of("202403"), date_of("20240101-20240131")
    (None, None, None)
    """
    match = re.fullmatch(_DAY, text, re.ASCII)
    try:
        return date(int(match[1]), int(match[3]), int(match[4])) if match else None
    except ValueError:
        return None


def date_and_time(day: str, time: str | None) -> datetime | None:
    """Return the moment of a DA and a TM; midnight if there is no TM, and None if either is none."""
    found = date_of(day)
    elapsed = timedelta(0) if time is None else _elapsed(time)
    return None if found is None or elapsed is None else datetime(found.year, found.month, found.day) + elapsed


def date_time(text: str) -> datetime | None:
    """Return the moment of a DT, with its offset from UTC if it has one.

    >>> date_time("20240305081500.5+0100").isoformat()
    '2024-03-05T08:15:00.500000+01:00'
    >>> date_time("20240305 081500") is date_time("202403") is date_time("2024-03-05") is None
    True
    """
    match = re.fullmatch(r"(\d{8})(\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)?([+-]\d{4})?", text, re.ASCII)
    if match is None:
        return None
    moment, offset = date_and_time(match[1], match[2]), utc_offset(match[3] or "+0000")
    if moment is None or offset is None:
        return None
    return moment.replace(tzinfo=offset) if match[3] else moment


def utc_offset(text: str) -> timezone | None:
    """Return an offset from UTC such as `+0100`; None outside −1200 to +1400."""
    match = re.fullmatch(_OFFSET, text, re.ASCII)
    if match is None or int(match[3]) > 59:
        return None
    size = timedelta(hours=int(match[2]), minutes=int(match[3]))
    offset = -size if match[1] == "-" else size
    return timezone(offset) if _LEAST <= offset <= _MOST else None


def _elapsed(time: str) -> timedelta | None:
    """Return the time since midnight of a TM: hours, with minutes, seconds and a fraction or without."""
    match = re.fullmatch(_TIME, time, re.ASCII)
    if match is None:
        return None
    hours, minutes, seconds = (int(match[part] or 0) for part in (1, 3, 4))
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    return timedelta(hours=hours, minutes=minutes, seconds=seconds, microseconds=int((match[5] or "0").ljust(6, "0")))

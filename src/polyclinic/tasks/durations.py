"""Durations such as `48h`, `2d`, `30min`, `1w`."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

UNITS: dict[str, timedelta] = {
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "y": timedelta(days=365.25),
}
UNIT_WORDS = {"min": "minute", "h": "hour", "d": "day", "w": "week", "y": "year"}
_DURATION = re.compile(r"(?P<number>[+-]?\d+(\.\d+)?)\s*(?P<unit>[a-z]+)")


def parse_duration(text: Any) -> timedelta:
    """Parse a duration.

    Example:
        >>> parse_duration("48h")
        datetime.timedelta(days=2)

    Raises:
        ValueError: it is neither a number with a unit nor 0.
    """
    if isinstance(text, timedelta):
        return text
    if text in (0, "0"):
        return timedelta(0)
    match = _DURATION.fullmatch(str(text).strip().lower())
    if match is None or match["unit"] not in UNITS:
        raise ValueError(f"{text!r} is not a duration: write a number and one of {', '.join(UNITS)}, such as 48h")
    return float(match["number"]) * UNITS[match["unit"]]


def write_duration(duration: timedelta) -> str:
    """Format a duration; `parse_duration` is the inverse.

    Example:
        >>> write_duration(timedelta(days=3)), write_duration(timedelta(hours=90))
        ('3d', '90h')
    """
    for unit in ("d", "h", "min"):
        if duration % UNITS[unit] == timedelta(0):
            return f"{duration // UNITS[unit]}{unit}" if duration else "0"
    return f"{duration / UNITS['min']!r}min"


def duration_in_words(duration: timedelta) -> str:
    """Format a duration as English text; up to three days in hours.

    Example:
        >>> duration_in_words(timedelta(hours=48)), duration_in_words(timedelta(days=30))
        ('48 hours', '30 days')
    """
    unit = "d" if duration > timedelta(days=3) else "h" if duration >= timedelta(hours=1) else "min"
    number = duration / UNITS[unit]
    return f"{number:g} {UNIT_WORDS[unit]}{'' if number == 1 else 's'}"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(write_duration, return_type=str, when_used="json"),
]
"""A pydantic field that is parsed from and serialised to durations such as `48h`."""

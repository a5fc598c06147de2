"""Wide tables of several visits: `visit1_date`, `visit2_date`, and `crp1`, `crp2` measured then.

A value of a later visit at the time of the first would leak the future.
"""

import re
from collections import Counter
from collections.abc import Mapping
from datetime import date

from polyclinic.ingest.table.guess.dates import Dates
from polyclinic.ingest.table.guess.lines import Guess, time_fields

_NUMBER = re.compile(
    r"(?<!\d)(\d{1,2})$|^[a-z]+[_. ]?(\d{1,2})[_. ]|(?<=[a-z])(\d{1,2})(?=[_. ]?(?:date|time|datum)$)", re.IGNORECASE
)


def own_times(dates: Mapping[str, Dates], row: str | None, today: date) -> dict[str, str]:
    """Return the mapping of the time of each visit, by its number; `row` is the column of the rows' own time."""
    kinds = Counter(re.sub(r"\d+", "#", name) for name in dates)
    return {
        number: time_fields(name, found, today.isoformat())
        for name, found in dates.items()
        if (number := number_of(name)) and name != row and kinds[re.sub(r"\d+", "#", name)] > 1
    }


def at_own_time(guess: Guess, times: Mapping[str, str]) -> Guess:
    """Return the guess of a column at the time of its visit."""
    time = times.get(number_of(guess.name) or "")
    if not guess.fields or time is None or "time" in guess.fields:
        return guess
    remark = "; ".join(filter(None, [guess.remark, "of that visit: is it so?"]))
    return guess._replace(fields={**guess.fields, "time": time}, remark=remark)


def number_of(name: str) -> str | None:
    """Return the number of the visit in a column's name.

    >>> [number_of(name) for name in ("hb2", "visit2_date", "v2_crp", "date_2", "hba1c")]
    ['2', '2', '2', '2', None]
    """
    found = _NUMBER.search(name)
    return next(filter(None, found.groups())) if found else None

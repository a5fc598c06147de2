"""Questions in a mapping: `?` stands where the guess could not know, and nothing is ingested before it is answered."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from polyclinic.ingest.errors import IngestError

QUESTION = "?"
_ANSWERS: Mapping[str, str] = {
    "subject": "name the column of the patient's id (add one to the table if there is none), or where each file is one"
    " patient {file: PATTERN}, of which the part in parentheses, as in p(\\d+), is the id in the file's name",
    "time": "name the column of the time, or write null if every fact holds from the start",
    "birth": "name the column of the date of birth, or remove the line",
    "column": "name the column",
    "format": "write how the dates are written, such as %d/%m/%Y %H:%M (ISO 8601: remove the format)",
    "unit": "write seconds, minutes, hours, days or years",
    "decimal": 'write "." or ","',
    "thousands": "write the sign between thousands, or remove the line",
    "code": "name the column of the parameter",
    "values": "write what each text means, such as {F: female, M: male}",
    "value": "name the column of the value",
    "missing": 'list the texts that mean not recorded, such as ["999"], or write [] if there are none',
}
_OF_LONG = ("code", "value", "unit")
_OF_TABLE = ("subject", "time", "birth", "decimal", "thousands")
_OF_TIME = ("column", "format", "unit")


def check_answered(value: Mapping[str, Any], lines: Mapping[tuple[str, ...], int], file: str) -> None:
    """Check that a mapping, as parsed from YAML, has no question left.

    Raises:
        IngestError: it has; the message has file, line and what to write, of every question.
    """
    left = [
        f"{file} line {lines.get(place, 1)}: {'.'.join(place)}: {QUESTION} is a question that the guess left open: "
        f"{_ANSWERS[place[-1]]}"
        for place in _questions(value)
    ]
    if left:
        raise IngestError("\n".join(left))


def _questions(value: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    yield from _among(value, (), _OF_TABLE)
    for key in ("time", "birth"):
        yield from _among(value.get(key), (key,), _OF_TIME)
    yield from _among(value.get("long"), ("long",), _OF_LONG)
    facts: dict[tuple[str, ...], Any] = {("columns",): value.get("columns")}
    if isinstance(value.get("long"), Mapping):
        facts[("long", "codes")] = value["long"].get("codes")
    for place, columns in facts.items():
        for name, column in columns.items() if isinstance(columns, Mapping) else ():
            if isinstance(column, Mapping):
                yield from _among(column, (*place, str(name)), ("time", "values", "missing"))
                yield from _among(column.get("time"), (*place, str(name), "time"), _OF_TIME)


def _among(value: Any, place: tuple[str, ...], keys: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(value, Mapping):
        yield from ((*place, key) for key in keys if value.get(key) == QUESTION)


def count_questions(text: str) -> int:
    """Return the number of lines of a guessed mapping that have a question.

    >>> count_questions('time: {column: t, format: "?"}  # which?\\nx: {code: FINDING//x, missing: ["?"]}')
    1
    """
    return sum(re.search(r': "\?"(?:[,}]|$)', line.split("  #")[0]) is not None for line in text.splitlines())

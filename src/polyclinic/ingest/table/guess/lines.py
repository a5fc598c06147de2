"""Lines of the guessed mapping, as YAML."""

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

from polyclinic.ingest.table.guess.dates import Dates


class Guess(NamedTuple):
    """The guessed mapping of a column or parameter; without fields it is a comment."""

    name: str
    fields: Mapping[str, str]
    remark: str = ""

    def line(self, indent: str) -> str:
        """Return the line of the mapping."""
        body = ", ".join(f"{key}: {value}" for key, value in self.fields.items())
        if not body:
            return f"{indent}# {quoted(self.name)}: left out, {self.remark}"
        return with_remark(f"{indent}{quoted(self.name)}: {{{body}}}", self.remark)


class Choice(NamedTuple):
    """The column chosen for a role, if any, and its lines of the mapping."""

    name: str | None
    lines: list[str]


def with_remark(line: str, remark: str) -> str:
    """Return a line of YAML with a comment, if there is one."""
    return f"{line}  # {remark}" if remark else line


def quoted(text: str) -> str:
    """Return a text as YAML, quoted if needed; letters of every script stay as they are.

    >>> quoted("crp"), quoted("Größe (cm)")
    ('crp', '"Größe (cm)"')
    """
    if re.fullmatch(r"(?!null$)[A-Za-z_][\w/.^%-]*", text, re.IGNORECASE | re.ASCII):
        return text
    shown = (letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in text)
    return '"' + "".join({'"': '\\"', "\\": "\\\\"}.get(letter, letter) for letter in shown) + '"'


def code(kind: str, name: str, unit: str = "") -> str:
    """Return a code `KIND//NAME//UNIT`, quoted if needed."""
    plain = re.sub(r"\s+|/{2,}", "_", name.strip()).strip("_/") or "unnamed"
    return quoted("//".join([kind, plain, unit] if unit else [kind, plain]))


def time_fields(column: str, dates: Dates, latest: str) -> str:
    """Return the mapping of a column of dates; `latest` is the last possible date, for years of two digits."""
    fields = f"column: {quoted(column)}"
    if dates.format is not None:
        fields += f", format: {_format(dates.format)}"
    if dates.format and "%y" in dates.format:
        fields += f", latest: {latest}"
    return f"{{{fields}}}"


def _format(text: str) -> str:
    return text if re.fullmatch(r"[a-z][\w-]*", text) else json.dumps(text)

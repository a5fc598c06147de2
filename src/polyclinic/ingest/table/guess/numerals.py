"""Find the decimal sign of a table's numbers, and the sign between thousands, from all its columns together."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from polyclinic.ingest.table.column_profile import MOST, Profile, without_bound
from polyclinic.ingest.table.guess.lines import quoted
from polyclinic.ingest.table.questions import QUESTION

_SIGN = re.compile(r"\d[.,'  \u00a0\u202f]\d")
_PATTERNS = {
    "whole": r"\d+",
    ". sure": r"\d{1,3}(?:\.\d{3}){2,}|\d{1,3}(?:\.\d{3})+,\d+",  # between thousands
    ", sure": r"\d{1,3}(?:,\d{3}){2,}|\d{1,3}(?:,\d{3})+\.\d+",
    ". either": r"[1-9]\d{0,2}\.\d{3}",
    ", either": r"[1-9]\d{0,2},\d{3}",
    ". decimal": r"\d*\.\d+(?:[eE][+-]?\d+)?",
    ", decimal": r"\d*,\d+(?:[eE][+-]?\d+)?",
    "' sure": r"\d{1,3}(?:'\d{3})+(?:[.,]\d+)?",
    "  sure": r"\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?:[.,]\d+)?",
}
_NAMES = tuple(_PATTERNS)
_KINDS = re.compile(f"[+-]?(?:{'|'.join(f'({pattern})' for pattern in _PATTERNS.values())})")  # one group for each
_UNIT = re.compile(r"(?<=\d)\s*[A-Za-zµμ%°][\w/%µμ.^*]{0,9}$")  # in the cell
_FEW = 3  # cells that may be thousands, in a table without another sign of it
_IN_REMARKS = 5  # columns that are named


class Numerals(NamedTuple):
    """The signs of a table's numbers, as the mapping has them, and what to check."""

    decimal: str = "."
    thousands: str = ""
    remark: str = ""

    @property
    def as_plain(self) -> bool:
        """Whether numbers are written without thousands and with a decimal point."""
        return self.decimal == "." and not self.thousands

    def lines(self) -> list[str]:
        """Return the lines of the mapping that declare the signs."""
        remark = f"  # {self.remark}" if self.remark else ""
        lines = [] if self.decimal == "." else [f'decimal: "{self.decimal}"']
        lines += [f'thousands: "{self.thousands}"'] if self.thousands else []
        return [f"{line}{remark}" for line in lines[:1]] + lines[1:]

    def plain(self, cells: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
        """Return the cells with the numbers of `columns` written without thousands and with a decimal point."""
        if not columns:
            return cells
        decimal = "," if self.decimal == QUESTION else self.decimal
        number = r"^\s*[<>≤≥=]*\s*[+-]?\d[\d., '\u00a0\u202f]*$"
        text = pl.col(columns)
        pointed = text
        if self.thousands:
            between = r"[ \u00a0\u202f]" if self.thousands == " " else re.escape(self.thousands)
            pointed = pointed.str.replace_all(rf"(\d){between}(\d{{3}})", "${1}${2}")
            pointed = pointed.str.replace_all(rf"(\d){between}(\d{{3}})", "${1}${2}")  # 1.234.567: groups share digits
        if decimal == ",":
            pointed = pointed.str.replace(",", ".", literal=True)
        return cells.with_columns(pl.when(text.str.contains(number)).then(pointed).otherwise(text))


def numerals_of(cells: pl.DataFrame, known: Mapping[str, Profile], typed: bool) -> tuple[Numerals, list[str]]:
    """Return the signs of a table's numbers, and the columns that have signs in numbers.

    Args:
        cells: a sample.
        known: profiles of its columns.
        typed: whether the file's own numbers are written with points, and only its texts have other signs.
    """
    signed = cells.select(pl.all().str.contains(_SIGN.pattern).any()).row(0) if cells.width else ()
    names = [name for name, found in zip(cells.columns, signed, strict=True) if found]
    counted = {name: kinds for name in names if (kinds := _kinds(known[name]))}
    if typed:
        commas = [name for name, kinds in counted.items() if kinds[", decimal"]]
        return (Numerals(",", remark="texts have decimal commas: is it so?") if commas else Numerals()), commas
    return _decide(counted), list(counted)


def _kinds(profile: Profile) -> Counter[str] | None:
    """Return how many of the cells are numbers of each kind; None if most are no numbers."""
    kinds: Counter[str] = Counter()
    for text, count in profile.counts.items():
        found = _KINDS.fullmatch(text) or _KINDS.fullmatch(_UNIT.sub("", without_bound(text)))
        if found and found.lastindex:
            kinds[_NAMES[found.lastindex - 1]] += count
    return kinds if kinds.total() >= MOST * profile.total else None


def _decide(counted: Mapping[str, Counter[str]]) -> Numerals:
    decimal = {sign: [name for name, kinds in counted.items() if _votes(kinds) == sign] for sign in ".,"}
    thousands = {sign: sum(kinds[f"{sign} sure"] for kinds in counted.values()) for sign in ".,' "}
    either = {sign: [name for name, kinds in counted.items() if kinds[f"{sign} either"]] for sign in ".,"}
    if decimal["."] and decimal[","]:
        both = f"column {_names(decimal[','])} has decimal commas, column {_names(decimal['.'])} decimal points"
        return Numerals(QUESTION, remark=f"{both}: write all numbers in one way; cells in the other are rejected")
    comma = bool(decimal[","] or (thousands["."] and not decimal["."]))
    point = bool(decimal["."] or (thousands[","] and not comma))
    sign = "," if comma else "."
    other = "." if comma else ","
    between = next((mark for mark in (other, "'", " ") if thousands[mark]), "")
    if (comma or point) and (between == other or either[other]):
        grouped = [name for name in counted if counted[name][f"{other} either"] or counted[name][f"{other} sure"]]
        return Numerals(sign, other, f"so that {_names(grouped)} has thousands: is it so?")
    if comma:
        return Numerals(sign, between, "numbers are written like 1,5: is it so?")
    if either[","] or (either["."] and not point and _several(counted, ".")):
        mark = "," if either[","] else "."
        return Numerals(
            QUESTION,
            remark=f"column {_names(either[mark])}: 1{mark}234 is one and a bit, or a thousand? nothing decides",
        )
    return Numerals(sign, between, "is it so?" if between else "")


def _votes(kinds: Counter[str]) -> str | None:
    """Return the decimal sign that a column shows; a few cells against the others are errors."""
    shown = {sign: kinds[f"{sign} decimal"] for sign in ".,"}
    best = max(shown, key=lambda sign: shown[sign])
    return best if shown[best] else None


def _several(counted: Mapping[str, Counter[str]], sign: str) -> bool:
    """Return whether the cells that may be thousands are several, in columns without another number with a sign."""
    return sum(kinds[f"{sign} either"] for kinds in counted.values()) >= _FEW


def _names(columns: list[str]) -> str:
    named = ", ".join(map(quoted, columns[:_IN_REMARKS]))
    return f"{named}, …" if len(columns) > _IN_REMARKS else named

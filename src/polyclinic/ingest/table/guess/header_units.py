"""Find the unit in a column's name: `Kreatinin (mg/dl)`, `Temp [°C]`, `glucose_mmol_l`."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from polyclinic.ingest.table.column_profile import matches
from polyclinic.ingest.table.units import known_unit

_BRACKETS = re.compile(r"(?P<name>.*[^\W_].*?)[\s_,]*[(\[{](?P<unit>(?:[^()\[\]{}]|mm\[Hg\])+)[)\]}]\s*")
_TOKEN = re.compile(r"[^\s_,;]+")
_LONGEST = 4  # words of a unit: 10_9_per_l
_WRITTEN_AS = {
    "years": "year yr yrs jahre jahren jaar anos anni", "months": "month mo monate mois meses mesi maanden",
    "weeks": "week wk wks wochen semaines semanas settimane weken", "days": "day tage jours dias giorni dagen",
    "h": "hours hrs stunden std heures horas ore uren", "min": "mins minutes minuten", "s": "sec secs seconds sekunden",
    "%": "pct percent prozent", "mg/dL": "mgdl", "mmol/L": "mmoll", "umol/L": "umoll", "g/dL": "gdl", "mg/L": "mgl",
    "ng/mL": "ngml", "pg/mL": "pgml", "ug/mL": "ugml", "mmol/mol": "mmolmol",
}  # fmt: skip
_WORDS = {word: unit for unit, words in _WRITTEN_AS.items() for word in (unit, *words.split())}
#: Units that may be the last word of a name without a bracket; others, such as min, hr, pH and PA, have other meanings.
_ALONE = frozenset(
    _WORDS.keys() - {"min", "s", "h", "mo", "std", "ore", "ans"}
    | {"kg", "g/l", "mg", "ug", "ng", "pg", "ml", "cm", "mm", "mmhg", "kpa", "cmh2o", "bpm", "hz", "iu", "meq", "kcal"}
    | {"mmol", "umol", "nmol", "pmol", "ms", "mv", "ppm", "ppb", "fl", "m2", "%", "°c", "°f", "celsius", "fahrenheit"}
)
#: Units that words of a name may begin: mg_dl, but not min_h.
_AMOUNTS = re.compile(r"[mu\u00b5\u03bcnpfk]?(?:g|mol|u|iu|l)|[mu]?eq|mos(?:mol|m)|kcal|c?m|x?10", re.IGNORECASE)
_PER = ("per", "pro")
_ELEMENTS = ("serum", "plasma", "blood", "urine", "ion(?:i[sz]ed)?", "total", "free")  # beside them, mg is magnesium
_TIMES = frozenset({"years", "months", "weeks", "days", "h"})
_PERIODS = (
    "last",
    "past",
    "prior",
    "previous",
    "prev",
    "next",
    "first",
    "every",
    "each",
    "this",
    "letzte[srn]?",
    "within",
    "packs?",
)
_NOT_IN_BRACKETS = {"s", "A", "V", "W", "J"}  # a plural, and letters of names: vitamin (A)
_TEMPERATURES = {"C", "F"}


class HeaderUnit(NamedTuple):
    """A column's name without its unit, and the unit."""

    name: str
    unit: str


def unit_in_name(name: str) -> HeaderUnit | None:
    """Return the unit that a column's name states, and the name without it; None if it states none that is known.

    >>> unit_in_name("Kreatinin (mg/dl)"), unit_in_name("glucose_mmol_l")
    (HeaderUnit(name='Kreatinin', unit='mg/dL'), HeaderUnit(name='glucose', unit='mmol/L'))
    >>> unit_in_name("lactate_min"), unit_in_name("serum_mg"), unit_in_name("cigarettes_per_day")
    (None, None, None)
    """
    bracket = _BRACKETS.fullmatch(name)
    if bracket:
        text = bracket["unit"].strip()
        unit = None if text in _NOT_IN_BRACKETS else _unit(text)
        return _found(bracket["name"], unit, text)
    for rest, text in _ends(name):
        unit = _unit(text)
        if unit and not matches(rest, "per", *(_ELEMENTS if unit == "mg" else ())) and not _is_period(rest, unit):
            return _found(rest, unit, text)
    return None


def _found(name: str, unit: str | None, text: str) -> HeaderUnit | None:
    if unit is None or (text in _TEMPERATURES | {"c", "f"} and not matches(name, r"temp\w*", "tmp")):
        return None
    return HeaderUnit(re.sub(r"[\s_,;]+(?:in[\s_]*)?$", "", name), unit)


def _ends(name: str) -> Iterator[tuple[str, str]]:
    """Yield the ends of a name that may be a unit, as text, the longest first, and what is before each."""
    tokens = list(_TOKEN.finditer(name))
    for count in range(min(_LONGEST, len(tokens) - 1), 0, -1):
        first = tokens[-count]
        words = [token[0] for token in tokens[-count:] if token[0].lower() not in _PER]
        if first[0].lower() not in _PER and _may_be_unit(words, name):
            yield name[: first.start()], _joined(words)


def _is_period(rest: str, unit: str) -> bool:
    """Return whether a time is one in which something was counted: `visits_last_year`."""
    return unit in _TIMES and matches(rest, rf"(?:{'|'.join(_PERIODS)})[\W_\d]*$")


def _may_be_unit(words: list[str], name: str) -> bool:
    return _is_alone(words[0], name) if len(words) == 1 else _AMOUNTS.fullmatch(words[0]) is not None


def _is_alone(word: str, name: str) -> bool:
    slashed = "/" in word and known_unit(word) is not None
    return slashed or word.lower() in _ALONE or (word in "CFcf" and matches(name, r"temp\w*", "tmp"))


def _joined(words: list[str]) -> str:
    """Return words of a unit with their signs: 10, 9, l is 10^9/l."""
    if words[0].lower() in ("10", "x10") and len(words) > 2 and words[1].isdecimal():
        return "/".join([f"10^{words[1]}", *words[2:]])
    return "/".join(words)


def _unit(text: str) -> str | None:
    word = text.strip().lower()
    if word == text:  # of a name in small letters
        text = re.sub(r"\bm(iu|u)\b", lambda found: f"m{found[1].upper()}", text)
    unit = _WORDS.get(word) or known_unit(text)
    return f"1{unit}" if unit and unit.startswith("/") else unit

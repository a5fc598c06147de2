"""Age, weight, height, temperature and heart rate: their units by the cells, also in other languages.

`eta` is an age in Italian, and the letter of a statistic; `taille` is a height or a waist, `Größe` a height or the size
of a tumour. Such a name is a measure only if the cells can be.
"""

from typing import NamedTuple

from polyclinic.ingest.table.column_profile import MOST, Profile, folded, matches, without_bound
from polyclinic.ingest.table.guess.names import AGES


class Measure(NamedTuple):
    """What a column measures.

    Attributes:
        kind: of the code.
        unit: that fits the cells; empty if none does, or several do.
    """

    kind: str
    unit: str


class _Known(NamedTuple):
    """Names of a measure, and the range of nearly all cells in each unit.

    `foreign` names are those that mean something else as well; they count only if a range fits, and no word of `others`
    stands beside them.
    """

    kind: str
    names: tuple[str, ...]
    foreign: tuple[str, ...]
    units: tuple[tuple[str, float, float], ...]
    others: tuple[str, ...] = ()


_OF_OTHERS = (
    "tour", "waist", "hip", "hüfte", "taillen", r"umfang\w*", r"circonf\w*", r"circunf\w*", r"tum[oe]u?r\w*",
    r"l[aä]sion\w*", r"lesion\w*", r"nodul\w*", r"knoten\w*", "milz", "leber", "herz", "foie", "rate", "organ\\w*",
    r"prostat\w*", r"uter\w*", r"polyp\w*", r"stein\w*", r"pla[cz]ent\w*", r"schuh\w*", r"molek\w*", r"molec\w*",
    "verlust", "perte", r"p[eé]rdida", "perdita", "perda", "verlies",
)  # fmt: skip
_SHORT_AGES = ("eta", "alter")
_OTHER_UNITS = (
    "lbs?", "pounds?", "oz", "inch(?:es)?", "in", "ft", "feet", "stones?", "libras?", "livres?", "z", "zscore",
)  # fmt: skip
_MEASURES = (
    _Known(
        "VITAL", ("weight",),
        (
            "gewicht", "körpergewicht", "koerpergewicht", "lichaamsgewicht", r"poids(?:_corporel)?", "peso",
        ),
        (("kg", 0.3, 350), ("g", 350, 8_000)), _OF_OTHERS,
    ),
    _Known(
        "DEMOGRAPHIC", ("height",),
        (
            "größe", "groesse", "körpergröße", "koerpergroesse", "körperlänge", "koerperlaenge", "taille", "talla",
            "estatura", "altezza", "statura", "altura", "lengte", "lichaamslengte",
        ),
        (("cm", 85, 230), ("m", 0.4, 2.3), ("", 40, 230)), _OF_OTHERS,
    ),
    _Known("DEMOGRAPHIC", tuple(name for name in AGES if name not in _SHORT_AGES), _SHORT_AGES, (("years", 0, 123),)),
    _Known("VITAL", ("temperature", "temp"), ("temperatur", "temperatura"), (("C", 25, 45), ("F", 77, 113))),
    _Known(
        "VITAL", ("heart_rate", "hr"), ("puls", "herzfrequenz", "pouls", "pulso", "hartslag"), (("bpm", 15, 350),)
    ),
)  # fmt: skip
_LEAST_AGE = 3.0  # that an age of a foreign name reaches, unless all are whole numbers


def measure_of(profile: Profile) -> Measure | None:
    """Return what a column of numbers measures, by its name and cells; None if that is not known."""
    for known in _MEASURES:
        sure = matches(profile.name, *known.names)
        if sure or (matches(profile.name, *known.foreign) and not matches(profile.name, *known.others)):
            unit = _unit(profile, known)
            if not sure and (unit is None or not _may_be(profile, known)):
                return None
            stated = matches(profile.name, *_OTHER_UNITS)
            return Measure(known.kind, "" if stated or unit is None else unit)
    return None


def is_only_foreign(name: str) -> bool:
    """Return whether a column's name means a measure only if its cells do.

    >>> is_only_foreign("eta"), is_only_foreign("age")
    (True, False)
    """
    return any(matches(name, *known.foreign) for known in _MEASURES)


def is_age(name: str) -> bool:
    """Return whether a column is called age in another language, and nothing else.

    >>> is_age("Età"), is_age("età_madre")
    (True, False)
    """
    return folded(name).strip() in AGES and folded(name).strip() != "age"


def _unit(profile: Profile, known: _Known) -> str | None:
    """Return the unit whose range holds nearly all cells; None if none does."""
    numbers = [(float(without_bound(text)), count) for text, count in profile.counts.items() if _is_number(text)]
    total = sum(count for _, count in numbers)
    for unit, low, high in known.units:
        if total and sum(count for number, count in numbers if low <= number <= high) >= MOST * total:
            return unit
    return None


def _may_be(profile: Profile, known: _Known) -> bool:
    """Return whether the cells are no answers and, for an age, whole years or not all of the first few."""
    if profile.binary or "eta" not in known.foreign:
        return not profile.binary
    return profile.whole or 2 * profile.share(lambda text: _is_number(text) and float(text) > _LEAST_AGE) > 1


def _is_number(text: str) -> bool:
    try:
        float(without_bound(text))
    except ValueError:
        return False
    return True

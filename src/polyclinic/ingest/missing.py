"""Words for nothing: the texts that databases, spreadsheets and programs write where there is no value.

Every reader uses this list, so that no patient, note or category has the name of a missing value. "None" may be meant
as "no" and `NA` as sodium: a mapping can keep a word as a value.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

import polars as pl

#: Compared without case and padding: what people, Python, R, databases, spreadsheets, C and JavaScript write.
WORDS = (
    "", "na", "n/a", "n.a.", "n. a.", "none", "nan", "<na>", "nat", "null", "(null)", "<null>", "[null]", r"\n", "#n/a",
    "#n/a n/a", "#na", "-nan", "1.#qnan", "-1.#qnan", "1.#ind", "-1.#ind", "undefined",
)  # fmt: skip
#: In place of a patient's id: all records that have one of them would become one patient.
NO_PERSON = (
    "unknown", "anonymous", "anonymized", "anonymised", "anonym", "unidentified", "not available", "unbekannt",
    "inconnu", "desconocido", "sconosciuto",
)  # fmt: skip
#: Around a cell: white space, including non-breaking, and signs without width, such as a byte-order mark.
PADDING = (
    " \t\r\n\v\f\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
    "\u200a\u2028\u2029\u202f\u205f\u3000\u200b\u2060\ufeff"
)
_FILLER = r"[-\u2013\u2014._?*/\u2026\s]+"  # where they can be no result: subjects, times and notes


class Missing(NamedTuple):
    """The words for nothing of a column.

    Attributes:
        added: further texts, compared as they are written.
        kept: texts that are values, though they are on the list; compared without case.
        fillers: whether texts of dashes, points or question marks are missing, too (as a result, `-` may be negative).
        persons: whether the column is of patients' ids, where `unknown` is missing, too.
    """

    added: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    fillers: bool = False
    persons: bool = False

    def extended(self, added: Iterable[str] = (), kept: Iterable[str] = ()) -> "Missing":
        """Return these words with more."""
        return self._replace(added=(*self.added, *added), kept=(*self.kept, *kept))

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the list that are missing values here."""
        kept = {text.strip(PADDING).casefold() for text in self.kept} - {""}
        return tuple(word for word in (*WORDS, *(NO_PERSON if self.persons else ())) if word not in kept)

    def holds(self, text: str | None) -> bool:
        """Return whether a text means that there is no value.

        >>> Missing().holds(" None "), Missing().holds("0"), Missing(kept=("NA",)).holds("na")
        (True, False, False)
        """
        bare = (text or "").strip(PADDING)
        filler = self.fillers and re.fullmatch(_FILLER, bare) is not None
        return filler or bare in self.added or bare.casefold() in self.words

    def among(self, cells: pl.Expr) -> pl.Expr:
        """Return whether each cell of a column of stripped texts means that there is no value."""
        return cells.is_null() | cells.str.contains(_pattern(self))


@lru_cache(256)
def _pattern(missing: Missing) -> str:
    listed = "|".join(re.escape(word) for word in missing.words if word)
    added = "|".join(["", *map(re.escape, missing.added)])
    filler = f"|{_FILLER}" if missing.fillers else ""
    return rf"^(?:(?i:{listed}){added}{filler}|)$"


#: The words for nothing where nothing is added or kept.
MISSING = Missing()


def composed(text: str) -> str:
    """Return a name with its letters composed (NFC): file systems and keyboards write ö as one sign or as two."""
    return unicodedata.normalize("NFC", text)


def visible(name: str) -> str:
    r"""Return a name with its invisible signs as codes, so that a difference can be seen.

    >>> visible("Patient\u00a0ID"), visible("Größe")
    ('Patient\\xa0ID', 'Größe')
    """
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in name)


def stripped(cells: pl.Expr) -> pl.Expr:
    """Return texts without padding."""
    return cells.str.strip_chars(PADDING)


def known(text: str | None) -> str:
    """Return a text without padding; empty if it means that there is no value.

    >>> known(" (null) "), known(" yes ")
    ('', 'yes')
    """
    return "" if MISSING.holds(text) else (text or "").strip(PADDING)


def known_cells(cells: Mapping[str, str | None]) -> dict[str, str]:
    """Return a row's cells without padding; those that mean that there is no value are empty."""
    return {name: known(cell) for name, cell in cells.items()}

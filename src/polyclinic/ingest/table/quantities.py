"""Read what laboratories write beside a number: a bound (`<0.01`), a unit (`120 mg/dL`), a flag (`7.2 H`).

A cell is read only if all of it is understood; `1+`, `12-15` and `5 or 6` are not numbers.
"""

import re
from collections.abc import Collection
from typing import NamedTuple

import polars as pl

from polyclinic.ingest.table.numbers import Numbers
from polyclinic.ingest.table.units import spellings

BOUNDED = "number below or above a limit (<0.01) is kept as the limit, with the sign as its text"
FLAGGED = "flag beside the number (7.2 H, 12.5*) is left out"
GRADE = "grade, not a number"
#: Texts of the degrees of a test strip or an examination.
GRADES = (
    r"(?i)^(?:\(?\++\)?|\++/?-|-/\+|\u00b1|-|\d\s?\+"
    r"|tr|traces?|neg|negative?|pos|positive?|nil|small|moderate|large)\.?$"
)
_FORMULA_ERROR = r"^#(?:DIV/0|REF|VALUE|NAME|NUM|NULL)[!?]?$"
_BOUNDS = {
    "<": "<|less than|lower than|smaller than|below|under",
    "<=": "<=|=<|\u2264|\u2a7d|at most|up to|not more than|less than or equal to",
    ">": ">|greater than|more than|higher than|larger than|above|over",
    ">=": ">=|=>|\u2265|\u2a7e|at least|not less than|greater than or equal to|more than or equal to",
}
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_SIGNS = "|".join(sorted("|".join(_BOUNDS.values()).split("|"), key=len, reverse=True))
_CELL = (
    rf"(?i)^(?P<flag>(?:HH?|LL?|\*+)\s+)?(?P<bound>{_SIGNS})?\s*"
    r"(?P<number>[+\-\u2212]?(?:\d[\d.,'\u2019 \u00a0\u2009\u202f]*\d|\d|[.,]\d)(?:[.,]|\d*)(?:e[+-]?\d+)?)"
    r"(?P<rest>.*)$"
)
_FLAG = re.compile(r"\s*(?:[*!\u2191\u2193]+|\((?:HH?|LL?|A|N|\*+)\))|\s+(?:HH?|LL?|HI|LO|HIGH|LOW|A|N)")


class Quantities(NamedTuple):
    """Reads the cells of a column that are no plain numbers.

    Attributes:
        numbers: the format of the numbers.
        units: known units.
    """

    numbers: Numbers
    units: Collection[str]

    def read(self, cells: pl.Series) -> pl.DataFrame:
        """Return `numeric_value`, `bound`, `own_unit` (within the cell) and `flagged`; a null number is unreadable."""
        parts = cells.to_frame("cell").select(pl.col("cell").str.extract_groups(_CELL)).unnest("cell")
        rests = {rest: self._rest(rest) for rest in parts.get_column("rest").drop_nulls().unique()}
        understood = {rest: read for rest, read in rests.items() if read}
        rest, bound = pl.col("rest"), pl.col("bound").str.to_lowercase()
        units, flags = ({text: read[part] for text, read in understood.items()} for part in (0, 1))
        own = rest.replace_strict(units, default=None, return_dtype=pl.String)
        flagged = rest.replace_strict(flags, default=False, return_dtype=pl.Boolean)
        signs = {text: sign for sign, texts in _BOUNDS.items() for text in texts.split("|")}
        return parts.select(
            numeric_value=pl.when(own.is_not_null()).then(self.numbers.read(pl.col("number"))),
            bound=bound.replace_strict(signs, default=None, return_dtype=pl.String),
            own_unit=own,
            flagged=flagged.fill_null(False) | (pl.col("flag").fill_null("") != ""),
        )

    def _rest(self, rest: str) -> tuple[str, bool] | None:
        """Return the unit (maybe empty) and whether there is a flag, of the text after the number; None if unclear."""
        flag, unit = _FLAG.fullmatch(rest), self._unit(rest)
        if not rest.strip() or (flag and not unit):
            return "", bool(flag)
        if unit:
            return (unit, False) if not flag else None
        *before, last = re.split(r"(?=\s)", rest.rstrip())
        unit = self._unit("".join(before))
        return (unit, True) if unit and _FLAG.fullmatch(last) else None

    def _unit(self, text: str) -> str | None:
        return spellings([text.strip()], self.units).get(text.strip())


def is_grade(cells: pl.Expr) -> pl.Expr:
    """Return whether each text is a grade such as `1+`, `trace` or `neg`."""
    return cells.str.contains(GRADES)


def is_formula_error(cells: pl.Expr) -> pl.Expr:
    """Return whether each text is the error of a spreadsheet's formula."""
    return cells.str.contains(_FORMULA_ERROR)


def flipped(bounds: pl.Expr) -> pl.Expr:
    """Return the bounds of numbers whose sign has changed."""
    return bounds.replace(_FLIPPED)

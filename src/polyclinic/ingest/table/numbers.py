"""Read columns of numbers as the mapping says they are written; anything else becomes null, never another number."""

from typing import NamedTuple

import polars as pl

_MINUS = "\u2212"  # the mathematical sign
_THOUSANDS = {",": ",", ".": r"\.", " ": "[ \u00a0\u2009\u202f]", "'": "['\u2019]"}


class Numbers(NamedTuple):
    """The number format of a table.

    >>> cells = pl.DataFrame({"text": ["3,5", "7", "1.000", "1.000,5"]})
    >>> cells.select(Numbers(",").read(pl.col("text"))).to_series().to_list()
    [3.5, 7.0, None, None]
    >>> cells.select(Numbers(",", thousands=".").read(pl.col("text"))).to_series().to_list()
    [3.5, 7.0, 1000.0, 1000.5]
    """

    decimal: str = "."  # or a comma; then points are refused, as 1.000 may be one or a thousand,
    typed: bool = False  # unless the file has typed numbers, which are converted to text with points
    thousands: str | None = None  # between groups of three digits

    def read(self, text: pl.Expr) -> pl.Expr:
        """Return the numbers of a column of texts; null if invalid."""
        text = self._ungrouped(text.str.replace(_MINUS, "-", literal=True))
        if self.decimal == ".":
            return text.cast(pl.Float64, strict=False)
        number = text.str.replace(self.decimal, ".", literal=True).cast(pl.Float64, strict=False)
        return number if self.typed else pl.when(~text.str.contains(".", literal=True)).then(number)

    def _ungrouped(self, text: pl.Expr) -> pl.Expr:
        """Return the texts without signs of thousands, where these are between groups of three digits."""
        if self.thousands is None or (self.typed and self.thousands == "."):  # typed 1.234 has a decimal point
            return text
        sign, decimal = _THOUSANDS[self.thousands], _THOUSANDS[self.decimal]
        grouped = text.str.contains(rf"^[+-]?\d{{1,3}}(?:{sign}\d{{3}})+(?:{decimal}\d*)?$")
        return pl.when(grouped).then(text.str.replace_all(sign, "")).otherwise(text)

"""Texts of numbers, as a table writes them; what is no number becomes null."""

from typing import NamedTuple

import polars as pl


class Numbers(NamedTuple):
    """How a table writes numbers.

    >>> cells = pl.DataFrame({"text": ["3,5", "7", "1.000", "1.000,5"]})
    >>> cells.select(Numbers(",").read(pl.col("text"))).to_series().to_list()
    [3.5, 7.0, None, None]
    """

    decimal: str = "."  # or a comma; then a point is refused, as 1.000 may be one or a thousand,
    typed: bool = False  # unless the file holds true numbers, which come as texts with a point

    def read(self, text: pl.Expr) -> pl.Expr:
        """Give the numbers that a column of texts stands for."""
        if self.decimal == ".":
            return text.cast(pl.Float64, strict=False)
        number = text.str.replace(self.decimal, ".", literal=True).cast(pl.Float64, strict=False)
        return number if self.typed else pl.when(~text.str.contains(".", literal=True)).then(number)

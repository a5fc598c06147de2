"""Convert the cells of one column to events, by the column's type in the mapping.

A frame of cells has columns `line`, `source_id`, `time`, `cell` (text, not missing) and `unit` (text or null); a frame
of events has `numeric_value`, `text_value` or `blob` instead of the last two.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from polyclinic.ingest.errors import UnreadableRecord
from polyclinic.ingest.missing import MISSING, stripped
from polyclinic.ingest.parallel import in_order
from polyclinic.ingest.paths import inside
from polyclinic.ingest.row_filter import RowFilter
from polyclinic.ingest.table.mapping import Column
from polyclinic.ingest.table.numbers import Numbers
from polyclinic.ingest.table.quantities import (
    BOUNDED,
    FLAGGED,
    GRADE,
    Quantities,
    flipped,
    is_formula_error,
    is_grade,
)
from polyclinic.ingest.table.units import spellings

LONGEST_CATEGORY = 200  # characters
OTHER_UNIT = "unit other than the code's, and not converted: give the units with their factors, or correct the code"
_IS_NUMBER = pl.col("numeric_value").is_finite()
_REMEDY_FORMULA = "correct the formula, or empty the cell"
_REMEDY_GRADE = (
    "give grades numbers in the column's values, such as {neg: 0, trace: 0.5, 1+: 1}, or type the column categorical; "
    "if the text means nothing, add it to missing"
)
_YES_NO = {"yes": 1.0, "true": 1.0, "y": 1.0, "no": 0.0, "false": 0.0, "n": 0.0}
_CELL = pl.col("cell")
_COMPOSED = _CELL.str.normalize("NFC")  # as names and categories in the mapping


class Cells:
    """Converts cells to events.

    Args:
        name: of the column, or of the parameter in the long form; used in remedies.
        column: its mapping.
        numbers: format of the table's numbers.
        root: folder of images and waveforms.
        row_filter: receives the unusable cells.
    """

    def __init__(self, name: str, column: Column, numbers: Numbers, root: Path, row_filter: RowFilter) -> None:
        self.name, self.column, self.numbers, self.root, self.row_filter = name, column, numbers, root, row_filter

    def events(self, cells: pl.DataFrame) -> pl.DataFrame:
        """Return the events of usable cells, with their `line`, and reject the others."""
        if cells.is_empty():
            return cells.clear()
        events = _BY_TYPE[self.column.type](self, cells)
        return events.drop("cell", "unit").with_columns(code=pl.lit(self.column.code))

    def _numeric(self, cells: pl.DataFrame) -> pl.DataFrame:
        cells = self._in_known_units(self._quantities(cells))
        cells = self._converted(cells)
        if self.column.range:
            plausible = pl.col("numeric_value").is_between(*self.column.range)
            cells = self._keep(cells, plausible, "implausible value", "correct the value, or widen the column's range")
        single = pl.col("numeric_value").cast(pl.Float32)
        cells = self._keep(cells, single.is_finite(), "number too large", "correct the value").with_columns(single)
        self.row_filter.warn(f"{self._location}: {BOUNDED}", int(cells.get_column("text_value").count()))
        self.row_filter.warn(f"{self._location}: {FLAGGED}", int(cells.get_column("flagged").sum()))
        cells = cells.drop("flagged")
        return cells if cells.get_column("text_value").count() else cells.drop("text_value")

    def _quantities(self, cells: pl.DataFrame) -> pl.DataFrame:
        """Return the cells that are numbers, with `numeric_value`, `text_value` (a bound), `own_unit` and `flagged`."""
        cells = cells.with_columns(numeric_value=self._number())
        if not cells.get_column("numeric_value").null_count():
            nothing = {"text_value": pl.lit(None, pl.String), "own_unit": pl.lit(""), "flagged": pl.lit(False)}
            return self._keep(cells.with_columns(**nothing), _IS_NUMBER, "not a number", self._remedy_number())
        read = Quantities(self.numbers, self._factors()).read(cells.get_column("cell"))
        plain = pl.col("numeric_value").is_not_null()
        other = cells.select("numeric_value").hstack(read.rename({"numeric_value": "other"}))
        other = other.select(
            numeric_value=pl.coalesce("numeric_value", "other"),
            text_value=pl.when(~plain).then("bound"),
            own_unit=pl.when(plain).then(pl.lit("")).otherwise("own_unit").fill_null(""),
            flagged=~plain & pl.col("flagged"),
        )
        cells = cells.drop("numeric_value").hstack(other)
        errors, grades = is_formula_error(_CELL), pl.col("numeric_value").is_null() & is_grade(_CELL)
        cells = self._keep(cells, ~errors, "formula error", _REMEDY_FORMULA)
        cells = self._keep(cells, ~grades, GRADE, _REMEDY_GRADE)
        return self._keep(cells, _IS_NUMBER, "not a number", self._remedy_number())

    def _number(self) -> pl.Expr:
        number = self.numbers.read(_CELL)
        known = {text: float(value) for text, value in (self.column.values or {}).items()}
        return (
            pl.coalesce(_CELL.replace_strict(known, default=None, return_dtype=pl.Float64), number) if known else number
        )

    def _factors(self) -> dict[str, tuple[float, float]]:
        """Return factor and offset of each known unit."""
        factors = {self.column.unit: (1.0, 0.0)} if self.column.unit else {}
        units = self.column.units.factors if self.column.units else {}
        return factors | {unit: (how.factor, how.offset) for unit, how in units.items()}

    def _in_known_units(self, cells: pl.DataFrame) -> pl.DataFrame:
        """Return the cells whose unit is known, as `unit`: that of the unit's column, or within the cell."""
        stated = pl.when(~MISSING.among(stripped(pl.col("unit")))).then(stripped(pl.col("unit"))).otherwise(pl.lit(""))
        cells, factors = cells.with_columns(unit=stated), self._factors()
        known = spellings(cells.get_column("unit").unique(), factors)
        if self.column.units is None:
            if self.column.unit:
                other = ~pl.col("unit").is_in(["", *known])
                self.row_filter.warn(f"{self._location}: {OTHER_UNIT}", int(cells.select(other).to_series().sum()))
            return cells.with_columns(unit=pl.col("own_unit"))
        meant = pl.col("unit").replace_strict(known, default=None, return_dtype=pl.String)
        own = pl.col("own_unit")
        unit = pl.when(own == "").then(meant).when((pl.col("unit") == "") | (meant == own)).then(own)
        cells = cells.with_columns(unit=unit)
        remedy = (
            f"known units are {', '.join(sorted(factors))}: correct the unit, or add it with its factor to the units"
        )
        return self._keep(cells, pl.col("unit").is_not_null(), "unknown unit", remedy)

    def _converted(self, cells: pl.DataFrame) -> pl.DataFrame:
        """Return the cells with numbers in the code's unit."""
        factors = self._factors()
        if not {unit for unit, how in factors.items() if how != (1, 0)} & set(cells.get_column("unit").unique()):
            return cells.drop("own_unit")
        factor, offset = (
            pl.col("unit").replace_strict({unit: how[part] for unit, how in factors.items()}, default=float(not part))
            for part in (0, 1)
        )
        bound = pl.when(factor < 0).then(flipped(pl.col("text_value"))).otherwise("text_value")
        return cells.with_columns(pl.col("numeric_value") * factor + offset, text_value=bound).drop("own_unit")

    def _categorical(self, cells: pl.DataFrame) -> pl.DataFrame:
        if self.column.values is None:
            cells = self._without_formula_errors(cells)
        text = _COMPOSED if self.column.values is None else _mapped(self.column.values)
        cells = cells.with_columns(text_value=text)
        remedy = "correct the cell, or add its text to the column's values"
        cells = self._keep(cells, pl.col("text_value").is_not_null(), "unknown category", remedy)
        short = pl.col("text_value").str.len_chars() <= LONGEST_CATEGORY
        return self._keep(cells, short, "too long for a category", "give the column the type text")

    def _text(self, cells: pl.DataFrame) -> pl.DataFrame:
        return self._without_formula_errors(cells).with_columns(text_value=_CELL)

    def _without_formula_errors(self, cells: pl.DataFrame) -> pl.DataFrame:
        return self._keep(cells, ~is_formula_error(_CELL), "formula error", _REMEDY_FORMULA)

    def _label(self, cells: pl.DataFrame) -> pl.DataFrame:
        cells = self._categorical(cells)
        text = pl.col("text_value")
        yes_no = text.str.to_lowercase().replace_strict(_YES_NO, default=None, return_dtype=pl.Float64)
        number = pl.coalesce(self.numbers.read(text), yes_no)
        single = number.cast(pl.Float32)
        cells = cells.with_columns(numeric_value=pl.when(single.is_finite()).then(single))
        return cells.with_columns(text_value=pl.when(pl.col("numeric_value").is_null()).then(text))

    def _image(self, cells: pl.DataFrame) -> pl.DataFrame:
        from polyclinic.ingest.formats.images import png, read_grey

        return self._blobs(cells, lambda name: (png(read_grey(inside(self.root, name))), ".png"))

    def _waveform(self, cells: pl.DataFrame) -> pl.DataFrame:
        from polyclinic.ingest.formats.wfdb_record import UnreadableWaveform, read_record

        def load(name: str) -> tuple[bytes, str]:
            header = inside(self.root, f"{name.removesuffix('.hea')}.hea")
            try:
                return read_record(header, self.root).to_blob()
            except UnreadableWaveform as error:
                raise UnreadableRecord(error.reason, error.remedy) from None

        return self._blobs(cells, load)

    def _blobs(self, cells: pl.DataFrame, load: Callable[[str], tuple[bytes, str]]) -> pl.DataFrame:
        def attempt(cell: str) -> tuple[bytes, str] | UnreadableRecord:
            try:
                return load(cell)
            except UnreadableRecord as error:
                return error

        names: list[str | None] = []
        for line, loaded in zip(cells.get_column("line"), in_order(attempt, cells.get_column("cell")), strict=True):
            if isinstance(loaded, UnreadableRecord):
                self.row_filter.reject_file(loaded.reason, f"{self._location}: {loaded.remedy}", line)
            names.append(None if isinstance(loaded, UnreadableRecord) else self.row_filter.sink.add_blob(*loaded))
        return cells.with_columns(blob=pl.Series(names, dtype=pl.String)).drop_nulls("blob")

    @property
    def _location(self) -> str:
        return f"column {self.name!r}"

    def _keep(self, cells: pl.DataFrame, good: pl.Expr, reason: str, remedy: str) -> pl.DataFrame:
        return self.row_filter.keep(cells, good, reason, f"{self._location}: {remedy}")

    def _remedy_number(self) -> str:
        sign = "" if self.numbers.decimal == "." else f" with {self.numbers.decimal!r} as the only separator"
        return (
            f"correct the cell{sign}, add its text to missing, give it a number in the column's values, or state the "
            "mapping's decimal and thousands signs"
        )


def _mapped(values: Mapping[str, str]) -> pl.Expr:
    return _COMPOSED.replace_strict(dict(values), default=None, return_dtype=pl.String)


_BY_TYPE: Mapping[str, Callable[[Cells, pl.DataFrame], pl.DataFrame]] = {
    "numeric": Cells._numeric,
    "categorical": Cells._categorical,
    "text": Cells._text,
    "label": Cells._label,
    "image": Cells._image,
    "waveform": Cells._waveform,
}

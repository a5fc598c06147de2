"""Read a sheet of a workbook as rows of text cells, with row numbers of the sheet."""

import zipfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from polyclinic.ingest.formats.delimited import Rows, column_names
from polyclinic.ingest.formats.formulas import Doubtful, doubtful_cells
from polyclinic.ingest.formats.signatures import LENGTH, remedy_for_text
from polyclinic.ingest.formats.text import UnreadableText
from polyclinic.ingest.row_filter import RowFilter

if TYPE_CHECKING:
    import fastexcel

_WORKBOOK_BYTES = 1 << 30  # unpacked; a workbook is read into memory
_CORRECT = "correct the formula, or empty the cell"
_SAVE = "open the workbook in a spreadsheet program and save it, so that results are stored"
_AS_TEXT = "write it as text: a workbook keeps 15 digits of a number"
_NOT_AVAILABLE = "Error(NA)"  # #N/A: no value


def read_workbook(path: Path, sheet: str | None, mapped: Collection[str] | None, row_filter: RowFilter) -> Rows:
    """Read a sheet (None: the first); its first non-empty row is the header.

    Formula errors, formulas that no program has computed, and numbers with more digits than a workbook keeps become
    null; in `mapped` columns (None: no column) they are rejected.

    Raises:
        UnreadableText: the workbook or its header cannot be read, or the sheet does not exist.
    """
    cells, errors, doubtful = _cells(path, sheet)
    cells = cells.with_row_index("row", 1).filter(~pl.all_horizontal(pl.exclude("row").is_null()))
    if cells.is_empty():
        raise UnreadableText("empty file", "export the table again, with its header")
    line, table = cells["row"].cast(pl.Int64).alias("line"), cells.drop("row").with_columns(pl.all().pipe(_time_of_day))
    names = column_names(table.row(0), int(line[0]))
    for places, reason, remedy in (
        (errors, "formula error", _CORRECT),
        (doubtful.uncomputed, "formula without a result", _SAVE),
        (doubtful.rounded, "number that lost its last digits", _AS_TEXT),
    ):
        for row, column in places:
            if row > line[0] and names[column] in (mapped or ()):
                row_filter.reject_file(reason, f"column {names[column]!r}: {remedy}", row)
    table.columns = names
    return Rows(line[1:], _emptied(table, line, [*doubtful.uncomputed, *doubtful.rounded])[1:], frozenset(names))


def _time_of_day(cells: pl.Expr) -> pl.Expr:
    """Return texts with a time of day without the day that stands for none: day 0 of either date system."""
    clock = cells.str.replace(r"^(?:1899-12-3[01]|1904-01-01) (\d\d:\d\d:\d\d(?:\.\d+)?)$", "$1")
    return pl.when(cells == "1904-01-01 00:00:00").then(cells).otherwise(clock)  # it may be a day of the other system


def _emptied(table: pl.DataFrame, line: pl.Series, places: Iterable[tuple[int, int]]) -> pl.DataFrame:
    """Return the table without the cells at rows and columns."""
    rows: dict[str, list[int]] = {}
    for row, column in places:
        rows.setdefault(table.columns[column], []).append(row)
    kept = (pl.when(~pl.lit(line.is_in(found))).then(pl.col(name)).alias(name) for name, found in rows.items())
    return table.with_columns(kept)


def _cells(path: Path, sheet: str | None) -> tuple[pl.DataFrame, list[tuple[int, int]], Doubtful]:
    """Return the cells as text, the row (from 1) and column (from 0) of formula errors, and doubtful cells."""
    import fastexcel

    try:
        if zipfile.is_zipfile(path):
            _check_unpacked(path)
        book = fastexcel.read_excel(path)
        loaded = book.load_sheet(sheet or book.sheet_names[0], header_row=None, skip_rows=0, dtypes="string")
        batch, errors = loaded.to_arrow_with_errors()
        cells = pl.DataFrame(loaded.to_polars() if batch.num_rows else None)
        doubtful = Doubtful(*([p for p in places if p[1] < cells.width] for places in doubtful_cells(path, sheet)))
        return cells, _positions(errors), doubtful
    except UnreadableText:
        raise
    except fastexcel.SheetNotFoundError:
        raise UnreadableText("no such sheet", f"name one of: {', '.join(book.sheet_names)}") from None
    except Exception:  # a damaged archive raises nearly any exception
        with path.open("rb") as file:
            remedy = remedy_for_text(file.read(LENGTH)) or "save the workbook again, or export the sheet as CSV"
        raise UnreadableText("not a readable workbook", remedy) from None


def _positions(errors: "fastexcel.CellErrors | None") -> list[tuple[int, int]]:
    found = errors.errors if errors else []
    return [(cell.position[0] + 1, cell.position[1]) for cell in found if _NOT_AVAILABLE not in cell.detail]


def _check_unpacked(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        if sum(part.file_size for part in archive.infolist()) > _WORKBOOK_BYTES:
            raise UnreadableText("workbook too large", "export the sheet as CSV: it unpacks to more than 1 GiB")

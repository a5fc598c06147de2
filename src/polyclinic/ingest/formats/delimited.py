"""Stream delimited text (CSV, TSV, …) as rows of text cells with line numbers; bad lines are rejected by number.

Blocks without quotes are split by column. Blocks with quotes are parsed by Python's strict CSV parser, which handles
cells of several lines and refuses malformed quotes: as a whole if every line is one valid record, else record by
record.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple, Self, TextIO

import polars as pl

from polyclinic.ingest.formats.text import DAMAGE, NOT_TEXT, WRONG_ENCODING, UnreadableText, open_text
from polyclinic.ingest.row_filter import RowFilter

SEPARATORS = (",", "\t", ";", "|")
WRONG_COUNT = "wrong number of columns"
BAD_QUOTES = "quotes out of balance"
_BLOCK = 8_000_000  # characters split at once
_LONGEST_LINE = 16_000_000
_RECORDS = 50_000  # records parsed at once
_REMEDY_ENCODING = "save the file as UTF-8, or name its encoding in the mapping"


class Rows(NamedTuple):
    """A batch of rows: line (or row) numbers, cells as text, and the columns that were typed as dates."""

    line: pl.Series
    cells: pl.DataFrame
    dated: frozenset[str] = frozenset()


def read_delimited(
    raw: io.RawIOBase | io.BufferedIOBase,
    row_filter: RowFilter,
    separator: str | None = None,
    encoding: str | None = None,
) -> Iterator[Rows]:
    """Yield the rows of a table with a header, which starts at line 1; the first batch may be empty.

    Args:
        raw: the file, opened as bytes.
        row_filter: receives the bad lines.
        separator: between cells; None means the most common one in the header.
        encoding: of the file; None means that of the byte-order mark, or UTF-8.

    Raises:
        UnreadableText: the file is empty or binary, or its header cannot be read.
    """
    text = open_text(raw, encoding)
    columns, separator, line = _header(text, separator)
    return _Body(text, columns, separator, row_filter, line).rows()


def _header(text: TextIO, separator: str | None) -> tuple[list[str], str, int]:
    first, blank = "\n", -1
    while first == "\n":
        first, blank = _rest_of_line(text), blank + 1
    if not first.strip():
        raise UnreadableText("empty file", "export the table again, with its header")
    if DAMAGE in first:
        raise UnreadableText(WRONG_ENCODING, _REMEDY_ENCODING, blank + 1)
    chosen = separator or max(SEPARATORS, key=first.count)
    parser = csv.reader(chain([first], text), delimiter=chosen, strict=True)
    try:
        columns = column_names(next(parser), blank + 1)
    except csv.Error:
        raise UnreadableText(BAD_QUOTES, "correct the quotes in the header", blank + 1) from None
    return columns, chosen, blank + parser.line_num + 1


def column_names(header: Sequence[str | None], line: int) -> list[str]:
    """Return the column names of a header, with names for unnamed columns.

    Raises:
        UnreadableText: two columns have the same name.
    """
    names = [(name or "").strip() or f"column_{number}" for number, name in enumerate(header, 1)]
    times = Counter(names)
    repeated = [str(number) for number, name in enumerate(names, 1) if times[name] > 1]
    if repeated:  # names are not quoted: the line may be data
        remedy = f"rename duplicates among columns {', '.join(repeated)}, or give the table a header"
        raise UnreadableText("column named twice", remedy, line)
    return names


def _rest_of_line(text: TextIO) -> str:
    rest = text.readline(_LONGEST_LINE)
    if len(rest) == _LONGEST_LINE:
        raise UnreadableText(NOT_TEXT, "check that the file is a table of text: it has a line of 16 million characters")
    return rest


class _Body:
    """The lines after the header, starting at line `line`."""

    def __init__(self, text: TextIO, columns: Sequence[str], separator: str, row_filter: RowFilter, line: int) -> None:
        self.text, self.columns, self.separator, self.row_filter, self.line = text, columns, separator, row_filter, line

    def rows(self) -> Iterator[Rows]:
        """Yield the rows, block by block."""
        yield self._unquoted("")
        while block := self.text.read(_BLOCK):
            block += _rest_of_line(self.text)
            if '"' not in block:
                yield self._unquoted(block)
            elif records := self._one_per_line(block):
                yield self._rows(range(self.line, self.line + len(records)), records)
            else:
                yield from self._one_by_one(block)
                continue
            self.line += block.count("\n")

    def _unquoted(self, block: str) -> Rows:
        lines = pl.DataFrame({"text": pl.Series(block.removesuffix("\n").split("\n"), dtype=pl.String)})
        lines = lines.with_row_index("line", self.line).with_columns(pl.col("line").cast(pl.Int64))
        text = pl.col("text")
        lines = lines.filter(text.str.strip_chars(" ") != "")
        if DAMAGE in block:
            undamaged = ~text.str.contains(DAMAGE, literal=True)
            lines = self.row_filter.keep(lines, undamaged, WRONG_ENCODING, _REMEDY_ENCODING)
        right = text.str.count_matches(self.separator, literal=True) == len(self.columns) - 1
        lines = self.row_filter.keep(lines, right, WRONG_COUNT, self._remedy_count)
        cells = lines.get_column("text").str.split_exact(self.separator, len(self.columns) - 1)
        return Rows(lines.get_column("line"), cells.struct.rename_fields(self.columns).struct.unnest())

    def _one_per_line(self, block: str) -> list[list[str]] | None:
        """Parse the block if every line is a valid record; otherwise return None."""
        lines = block.removesuffix("\n").split("\n")
        try:
            records = list(csv.reader(lines, delimiter=self.separator, strict=True))
        except csv.Error:
            return None
        right = len(records) == len(lines) and set(map(len, records)) == {len(self.columns)}
        return records if right and DAMAGE not in block else None

    def _one_by_one(self, block: str) -> Iterator[Rows]:
        """Parse the block record by record, reading on to the end of its last record."""
        lines = _CountedLines(chain(io.StringIO(block), iter(self.text.readline, "")), self.line - 1)
        records = self._records(lines, self.line + block.removesuffix("\n").count("\n"))
        while batch := list(islice(records, _RECORDS)):
            yield self._rows(*zip(*batch, strict=True))
        self.line = lines.passed + 1

    def _records(self, lines: "_CountedLines", last: int) -> Iterator[tuple[int, list[str]]]:
        """Yield the valid records that begin up to line `last`, each with its first line number."""
        parser = csv.reader(lines, delimiter=self.separator, strict=True)
        while (start := lines.passed + 1) <= last:
            lines.damaged = False
            try:
                record = next(parser)
            except StopIteration:
                return
            except csv.Error:
                self.row_filter.reject_file(BAD_QUOTES, _remedy_quotes(start, lines.passed), start)
                continue
            if lines.damaged:
                self.row_filter.reject_file(WRONG_ENCODING, _REMEDY_ENCODING, start)
            elif len(record) == len(self.columns) and (len(record) > 1 or record[0].strip(" ")):
                yield start, record
            elif "".join(record).strip(" ") or len(record) > 1:
                self.row_filter.reject_file(WRONG_COUNT, self._remedy_count, start)

    def _rows(self, numbers: Sequence[int], records: Sequence[Sequence[str]]) -> Rows:
        by_column = zip(self.columns, zip(*records, strict=True), strict=True)
        frame = pl.DataFrame([pl.Series(name, texts, dtype=pl.String) for name, texts in by_column])
        return Rows(pl.Series("line", numbers, dtype=pl.Int64), frame)

    @property
    def _remedy_count(self) -> str:
        return f"give the line {len(self.columns)} cells, as many as the header; quote cells that hold the separator"


class _CountedLines:
    """Lines passed to the parser, counted and checked for damage."""

    def __init__(self, lines: Iterator[str], passed: int) -> None:
        self._lines, self.passed, self.damaged = lines, passed, False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.passed += 1
        self.damaged |= DAMAGE in line
        return line


def _remedy_quotes(start: int, end: int) -> str:
    longest = f"{csv.field_size_limit():,} characters"
    return f"correct the quotes of lines {start} to {end}, or shorten a cell of more than {longest}"

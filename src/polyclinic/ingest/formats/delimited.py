"""Stream delimited text (CSV, TSV, …) as rows of text cells with line numbers; bad lines are rejected by number.

Blocks without quotes are split by column. Blocks with quotes are parsed by Python's strict CSV parser, which handles
cells of several lines and refuses malformed quotes: as a whole if every line is one valid record, else record by
record (see `records`).
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

import polars as pl

from polyclinic.ingest.formats.record_shapes import SAMPLE
from polyclinic.ingest.formats.records import BAD_QUOTES, WRONG_COUNT, PushedBackLines, Records
from polyclinic.ingest.formats.text import DAMAGE, NOT_TEXT, WRONG_ENCODING, Text, UnreadableText, open_text
from polyclinic.ingest.missing import PADDING, composed
from polyclinic.ingest.row_filter import RowFilter

SEPARATORS = (",", "\t", ";", "|")
_BLOCK = 8_000_000  # characters split at once
_LONGEST_LINE = 16_000_000
_RECORDS = 50_000  # records parsed at once
_SAMPLE = 1000  # lines that show whether rows end with a separator
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # Excel's way to state it, above the header
_MOST_PADDING, _MOST_ROWS = 20, 0.9  # empty cells at the end of at least this share of rows
_REMEDY_PADDING = "empty the cells after the header's columns, as in the first lines, or name their columns"


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
    return _Body(text, _header(text, separator), row_filter).rows()


class _Header(NamedTuple):
    """The header: columns, how many of the last have no name, the separator, and the lines up to the header's last."""

    columns: list[str]
    unnamed: int
    separator: str
    lines: int


def _header(text: Text, separator: str | None) -> _Header:
    first, line = "\n", 0
    while first == "\n":
        first, line = _rest_of_line(text), line + 1
        if stated := _SEPARATOR_LINE.fullmatch(first):
            separator, first = separator or stated[1], "\n"
    if not first.strip():
        raise UnreadableText("empty file", "export the table again, with its header")
    if DAMAGE in first:
        raise UnreadableText(WRONG_ENCODING, text.remedy, line)
    chosen = separator or max(SEPARATORS, key=first.count)
    parser = csv.reader(chain([first], text), delimiter=chosen, strict=True)
    try:
        cells = next(parser)
    except csv.Error:
        raise UnreadableText(BAD_QUOTES, "correct the quotes in the header", line) from None
    unnamed = len(cells) - max((number for number, cell in enumerate(cells, 1) if cell.strip()), default=0)
    return _Header(column_names(cells, line), unnamed, chosen, line + parser.line_num - 1)


def column_names(header: Sequence[str | None], line: int) -> list[str]:
    """Return the column names of a header, with names for unnamed columns.

    Raises:
        UnreadableText: two columns have the same name.
    """
    names = [composed((name or "").strip(PADDING)) or f"column_{number}" for number, name in enumerate(header, 1)]
    times = Counter(names)
    repeated = [str(number) for number, name in enumerate(names, 1) if times[name] > 1]
    if repeated:  # names are not quoted: the line may be data
        remedy = f"rename duplicates among columns {', '.join(repeated)}, or give the table a header"
        raise UnreadableText("column named twice", remedy, line)
    return names


def _rest_of_line(text: Text) -> str:
    rest = text.readline(_LONGEST_LINE)
    if len(rest) == _LONGEST_LINE:
        raise UnreadableText(NOT_TEXT, "check that the file is a table of text: it has a line of 16 million characters")
    return rest


class _Body:
    """The lines after the header, starting at line `line`."""

    def __init__(self, text: Text, header: "_Header", row_filter: RowFilter) -> None:
        self.text, self.row_filter, self.line = text, row_filter, header.lines + 1
        self.separator, self._read_ahead = header.separator, "".join(_lines_of(text, _SAMPLE))
        self.columns, self._padding = _fitted(header, self._read_ahead)
        width = len(self.columns) + self._padding
        self._remedy_count = f"give the line {width} cells, as many as the header; quote cells that hold the separator"
        self.records = Records(width, self.separator, row_filter, (self._remedy_count, text.remedy))

    def rows(self) -> Iterator[Rows]:
        """Yield the rows, block by block."""
        yield self._unquoted("")
        while block := self._next_block():
            if self.records.after_fault:
                yield from self._one_by_one(block)
            elif '"' not in block:
                yield self._learnt(self._unquoted(block))
                self.line += block.count("\n")
            elif records := self._one_per_line(block):
                yield self._learnt(self._rows(range(self.line, self.line + len(records)), records))
                self.line += block.count("\n")
            else:
                yield from self._one_by_one(block)

    def _next_block(self) -> str:
        """Return whole lines of about `_BLOCK` characters; empty at the end."""
        block = self._read_ahead
        if len(block) > _BLOCK:
            end = block.find("\n", _BLOCK) + 1 or len(block)
            self._read_ahead = block[end:]
            return block[:end]
        block, self._read_ahead = block + self.text.read(_BLOCK - len(block)), ""
        return block if block.endswith("\n") else block + _rest_of_line(self.text)

    def _learnt(self, rows: Rows) -> Rows:
        if not self.records.sample.full:
            padding = [""] * self._padding
            cells = ([cell or "" for cell in row] + padding for row in rows.cells.head(SAMPLE).iter_rows())
            self.records.sample.add(cells)
        return rows

    def _unquoted(self, block: str) -> Rows:
        lines = pl.DataFrame({"text": pl.Series(block.removesuffix("\n").split("\n"), dtype=pl.String)})
        lines = lines.with_row_index("line", self.line).with_columns(pl.col("line").cast(pl.Int64))
        text = pl.col("text")
        lines = lines.filter(text.str.strip_chars(" ") != "")
        if DAMAGE in block:
            undamaged = ~text.str.contains(DAMAGE, literal=True)
            lines = self.row_filter.keep(lines, undamaged, WRONG_ENCODING, self.text.remedy)
        right = text.str.count_matches(self.separator, literal=True) == self.records.width - 1
        lines = self.row_filter.keep(lines, right, WRONG_COUNT, self._remedy_count)
        cells = lines.get_column("text").str.split_exact(self.separator, self.records.width - 1)
        return self._unpadded(lines.get_column("line"), cells.struct.rename_fields(self._names).struct.unnest())

    def _one_per_line(self, block: str) -> list[list[str]] | None:
        """Parse the block if every line is a valid record; otherwise return None."""
        lines = block.removesuffix("\n").split("\n")
        try:
            records = list(csv.reader(lines, delimiter=self.separator, strict=True))
        except csv.Error:
            return None
        right = len(records) == len(lines) and set(map(len, records)) == {self.records.width}
        return records if right and DAMAGE not in block else None

    def _one_by_one(self, block: str) -> Iterator[Rows]:
        """Parse the block record by record, reading on to the end of its last record."""
        ahead, further = io.StringIO(self._read_ahead), iter(self.text.readline, "")
        lines = PushedBackLines(chain(io.StringIO(block), ahead, further), self.line - 1)
        records = self.records.read(lines, self.line + block.removesuffix("\n").count("\n"))
        while batch := list(islice(records, _RECORDS)):
            yield self._rows(*zip(*batch, strict=True))
        self.line, self._read_ahead = lines.passed + 1, lines.rest() + ahead.read()

    def _rows(self, numbers: Sequence[int], records: Sequence[Sequence[str]]) -> Rows:
        by_column = zip(self._names, zip(*records, strict=True), strict=True)
        frame = pl.DataFrame([pl.Series(name, texts, dtype=pl.String) for name, texts in by_column])
        return self._unpadded(pl.Series("line", numbers, dtype=pl.Int64), frame)

    @property
    def _names(self) -> list[str]:
        return [*self.columns, *(f"{DAMAGE}{number}" for number in range(self._padding))]

    def _unpadded(self, line: pl.Series, cells: pl.DataFrame) -> Rows:
        """Return rows without the cells after those of the header, rejecting rows where such a cell is not empty."""
        if self._padding:
            padding = pl.all_horizontal(
                pl.col(name).str.strip_chars() == "" for name in self._names[len(self.columns) :]
            )
            frame = self.row_filter.keep(cells.with_columns(line), padding, WRONG_COUNT, _REMEDY_PADDING)
            line, cells = frame.get_column("line"), frame.select(self.columns)
        return Rows(line, cells)


def _lines_of(text: Text, count: int) -> list[str]:
    return [line for line in (_rest_of_line(text) for _ in range(count)) if line]


def _fitted(header: "_Header", head: str) -> tuple[list[str], int]:
    """Return the columns, and the number of cells after them, from the first lines.

    Some programs end every row with a separator, or the header only: then there is an empty cell, or a column without a
    name and cells.
    """
    found = _records(io.StringIO(head), header.separator)
    alone = [record for line in io.StringIO(head) for record in _records([line], header.separator)]
    for more in range(1, _MOST_PADDING + 1):
        width = len(header.columns) + more
        if any(_share(len(record) == width and not any(record[-more:]) for record in rows) for rows in (found, alone)):
            return header.columns, more
        width = len(header.columns) - more
        if more <= header.unnamed and any(_share(len(record) == width for record in rows) for rows in (found, alone)):
            return header.columns[:width], 0
    return header.columns, 0


def _records(lines: Iterable[str], separator: str) -> list[list[str]]:
    try:
        return [record for record in csv.reader(lines, delimiter=separator) if record]
    except csv.Error:
        return []


def _share(holds: Iterable[bool]) -> bool:
    """Return whether something holds for nearly all records, so that faults of a few are rejected as such."""
    answers = list(holds)
    return bool(answers) and sum(answers) >= _MOST_ROWS * len(answers)

"""Parse delimited text record by record, where cells are quoted and may hold several lines.

A quote that is not closed, or not written twice within a quoted cell, would swallow the lines that follow it. Such a
record costs its first line only, and the lines after it are read again: the first one that looks like the file's other
records is the next record, and those before it are rejected, each by its number. Where records cannot be distinguished
from lines of notes, and the damaged record may go on, the rest of the file is rejected.
"""

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Self

from polyclinic.ingest.formats.record_shapes import SAMPLE, RecordShapes, ShapeSample
from polyclinic.ingest.formats.text import DAMAGE, WRONG_ENCODING
from polyclinic.ingest.row_filter import RowFilter

WRONG_COUNT = "wrong number of columns"
BAD_QUOTES = "quotes out of balance"
SWALLOWED = (
    "cell of several lines, each of which could be a row: if rows are missing after it, correct the record's quotes"
)
LONGEST_CELL = 1_000_000  # characters; what an unclosed quote swallows before it is noticed
_LOOKS_AHEAD = 50  # times that following lines are learnt from

csv.field_size_limit(max(LONGEST_CELL, csv.field_size_limit()))  # of the whole process: notes exceed the usual 131,072


class Records:
    """The records of a table, with the state of its faults.

    Args:
        width: number of cells of a record.
        separator: between cells.
        row_filter: receives the bad lines.
        remedies: for a wrong number of cells, and for undecodable bytes.
    """

    def __init__(self, width: int, separator: str, row_filter: RowFilter, remedies: tuple[str, str]) -> None:
        self.width, self.separator, self.row_filter = width, separator, row_filter
        self._remedy_count, self._remedy_encoding = remedies
        self.sample = ShapeSample()
        self._fault: int | None = None  # line of the fault after which no record has been recognised
        self._several_lines, self._looks_ahead = False, 0
        self._shapes = RecordShapes({})

    @property
    def after_fault(self) -> bool:
        """Whether the start of the next record is not known."""
        return self._fault is not None

    def read(self, lines: "PushedBackLines", last: int) -> Iterator[tuple[int, list[str]]]:
        """Yield the valid records that begin up to line `last`, each with its first line number."""
        parser = csv.reader(lines, delimiter=self.separator, strict=True)
        while lines.passed < last:
            lines.start_record()
            try:
                record = next(parser)
            except StopIteration:
                return
            except csv.Error:
                self._reject_first_line(lines)
                continue
            if self._is_sound(record, lines):
                yield lines.first, record

    def _is_sound(self, record: list[str], lines: "PushedBackLines") -> bool:
        """Return whether a parsed record is a row; else reject it, if it is not blank."""
        if len(record) <= 1 and not "".join(record).strip(" "):
            return False
        right, several = len(record) == self.width, len(lines.record) > 1
        if self.after_fault and not (right and self._shapes.fits(record)):
            self._reject_first_line(lines)
            return False
        if several and (not right or self._has_swallowed(lines)):
            self._reject_first_line(lines)
            return False
        self._fault = None
        self._several_lines |= several
        if any(DAMAGE in line for line in lines.record):
            self.row_filter.reject_file(WRONG_ENCODING, self._remedy_encoding, lines.first)
            return False
        if not right:
            self.row_filter.reject_file(WRONG_COUNT, self._remedy_count, lines.first)
            return False
        self.sample.add([record])
        return True

    def _has_swallowed(self, lines: "PushedBackLines") -> bool:
        """Return whether each line after the record's first looks like a record by itself, or begins like one."""
        *inner, last = lines.record[1:]
        rows: list[Sequence[str]] = []
        for line in inner:
            if not (row := self._alone(line)):
                return False
            rows.append(row)
        shapes, begins = self._learnt(lines), last.split('"', 1)[0].split(self.separator)
        if not shapes.sufficient:
            if shapes.columns and (end := self._alone(last)) and all(map(shapes.alike, [*rows, end])):
                self.row_filter.warn(SWALLOWED, 1)
            return False
        return shapes.fits(begins[:-1] if '"' in last else begins) and all(map(shapes.fits, rows))

    def _reject_first_line(self, lines: "PushedBackLines") -> None:
        """Reject the first line of a damaged record, and read the others again."""
        first, line = lines.record[0], lines.first
        more = len(lines.record) > 1
        lines.read_again()
        if self._fault is None:
            self._shapes = self._learnt(lines)
            if self._shapes.sufficient or not self._ends(first, more):
                self._fault = line
            remedy = 'correct the line\'s quotes: a quote within a quoted cell is written twice, as in "5"" long"'
            remedy += f"; a cell has up to {csv.field_size_limit():,} characters"
        elif not first.strip():
            return
        else:
            remedy = f"correct the quotes of line {self._fault}: this line may belong to its record"
        damaged = DAMAGE in first
        self.row_filter.reject_file(
            WRONG_ENCODING if damaged else BAD_QUOTES, self._remedy_encoding if damaged else remedy, line
        )

    def _ends(self, line: str, more: bool) -> bool:
        """Return whether a damaged record seems to end with its first line."""
        if line.count('"') % 2 == 0 and not more:
            return True
        cells = line.rstrip("\n").split(self.separator)
        closed = all(len(cell) > 1 and cell.endswith('"') for cell in cells if cell.startswith('"'))
        return len(cells) == self.width and (closed or not self._several_lines)

    def _learnt(self, lines: "PushedBackLines") -> RecordShapes:
        """Return the shapes of the records so far; while they are few, also of following lines that can be records."""
        if self.sample.full or self._looks_ahead >= _LOOKS_AHEAD:
            return self.sample.shapes([])
        self._looks_ahead += 1
        ahead = [line for line in [*lines.record[1:], *lines.peek(SAMPLE)] if line.count('"') % 2 == 0]
        return self.sample.shapes(row for row in map(self._alone, ahead) if row)

    def _alone(self, line: str) -> Sequence[str] | None:
        """Return the cells of a line, if it can be a record by itself."""
        if line.count(self.separator) < self.width - 1:
            return None
        try:
            record = next(csv.reader([line], delimiter=self.separator, strict=True), [])
        except csv.Error:
            return None
        return record if len(record) == self.width else None


class PushedBackLines:
    """Numbered lines, those of the current record kept so that they can be read again."""

    def __init__(self, lines: Iterator[str], passed: int) -> None:
        self._lines, self._again, self.passed = lines, deque[str](), passed
        self.record: list[str] = []

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.passed += 1
        self.record.append(line)
        return line

    @property
    def first(self) -> int:
        """The line number of the record's first line, once it is read."""
        return self.passed - len(self.record) + 1

    def start_record(self) -> None:
        """Forget the lines of the last record."""
        self.record = []

    def read_again(self) -> None:
        """Put back the lines of the current record after its first."""
        again = self.record[1:]
        self._again.extendleft(reversed(again))
        self.passed -= len(again)
        self.record = self.record[:1]

    def peek(self, count: int) -> list[str]:
        """Return the following lines without passing them."""
        missing = count - len(self._again)
        self._again.extend(islice(self._lines, max(0, missing)))
        return list(islice(self._again, count))

    def rest(self) -> str:
        """Return the lines that were read, but not passed."""
        return "".join(self._again)

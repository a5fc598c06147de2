"""Recognise records by the shapes of their cells, to find where records start again after a fault of quotes."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

SAMPLE = 200  # records that are learnt from
_LONGEST = 40  # characters of a cell that has a shape
_MOST_SHAPES = 4  # of a column of ids, dates or numbers; notes have more
_SHARE = 0.8  # of the cells that must have one of these shapes
_RARE = 0.15  # share of the cells that a shape must have, so that no line of a note adds its own
_LEAST_PARTS = 4  # an id and a date have more runs of digits and letters; two numbers, or a line of a note, may not


def shape(cell: str) -> str:
    """Return a cell without quotes, with runs of digits and of letters replaced.

    >>> shape("P017"), shape("2024-03-05 08:00")
    ('a9', '9-9-9 9:9')
    """
    return re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "a", cell.replace('"', "").strip()[:_LONGEST]))


class RecordShapes(NamedTuple):
    """The shapes of the columns whose cells look alike; the empty text is among them if cells may be empty.

    Columns with other cells too, such as short notes that are mostly numbers, are `varied`: a cell that has one of
    their shapes speaks for a record, and another cell does not speak against it.
    """

    columns: Mapping[int, frozenset[str]]
    varied: frozenset[int] = frozenset()

    @classmethod
    def of(cls, records: Iterable[Sequence[str]]) -> "RecordShapes":
        """Learn the shapes of sound records."""
        cells = {number: [shape(cell) for cell in column] for number, column in enumerate(zip(*records, strict=True))}
        found = {number: shapes for number, own in cells.items() if (shapes := _common(own))}
        return cls(found, frozenset(number for number, shapes in found.items() if not shapes.issuperset(cells[number])))

    @property
    def sufficient(self) -> bool:
        """Whether a record can be distinguished from a line of a note."""
        return sum(max(map(_parts, shapes)) for shapes in self.columns.values()) >= _LEAST_PARTS

    def fits(self, record: Sequence[str]) -> bool:
        """Return whether the cells of a line, or its first cells, look like a record's."""
        own = self._shapes_of(record)
        alike = {number for number, found in own.items() if found in self.columns[number]}
        return own.keys() - alike <= self.varied and sum(_parts(own[number]) for number in alike) >= _LEAST_PARTS

    def alike(self, record: Sequence[str]) -> bool:
        """Return whether a line's cells have these shapes, which may be too few to decide."""
        return all(found in self.columns[number] for number, found in self._shapes_of(record).items())

    def _shapes_of(self, record: Sequence[str]) -> dict[int, str]:
        """Return the shapes of a line's cells in the columns whose cells look alike."""
        return {number: shape(record[number]) for number in self.columns if number < len(record)}


class ShapeSample:
    """Collects the first sound records, and the shapes of these and of further ones."""

    def __init__(self) -> None:
        self.records: list[Sequence[str]] = []

    def add(self, records: Iterable[Sequence[str]]) -> None:
        """Add sound records, as long as the sample is not full."""
        for record in records:
            if self.full:
                break
            self.records.append(record)

    @property
    def full(self) -> bool:
        """Whether no more records are needed."""
        return len(self.records) >= SAMPLE

    def shapes(self, further: Iterable[Sequence[str]]) -> RecordShapes:
        """Return the shapes of the sample, with further records while it is not full."""
        return self._own if self.full else RecordShapes.of([*self.records, *further])

    @cached_property
    def _own(self) -> RecordShapes:
        return RecordShapes.of(self.records)


def _common(shapes: list[str]) -> frozenset[str]:
    """Return the shapes of a column of ids, dates or numbers, or none."""
    counts = Counter(found for found in shapes if found)
    written = counts.total()
    most = [(found, count) for found, count in counts.most_common(_MOST_SHAPES) if count >= max(2, _RARE * written)]
    if sum(count for _, count in most) < _SHARE * written or not any("9" in found for found, _ in most):
        return frozenset()
    return frozenset([*(found for found, _ in most), *([""] if written < len(shapes) else [])])


def _parts(found: str) -> int:
    return found.count("9") + found.count("a")

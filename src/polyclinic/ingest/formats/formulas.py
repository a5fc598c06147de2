"""Find the cells of a workbook (`.xlsx`, ECMA-376) whose stored value is not what they stand for.

Programs that write formulas without computing them leave the result empty, or 0, and ask for the computation when the
file is opened (`fullCalcOnLoad`). A reader of results would take such cells for empty, or for 0. Numbers are stored in
floating point: a whole number beyond 2⁵³, as a long id, has lost its last digits.
"""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from posixpath import join, normpath
from typing import NamedTuple
from xml.etree.ElementTree import Element  # only the type: defusedxml parses

from defusedxml.ElementTree import fromstring

from polyclinic.ingest.subject_ids import EXACT

_FORMULA = re.compile(rb"<(?:\w+:)?f(?=[\s/>])")
_CELL = re.compile(rb"<(?:\w+:)?c\s[^>]*>")
_END = re.compile(rb"</(?:\w+:)?c>")
_RESULT = re.compile(rb"<(?:\w+:)?v(?:\s[^>]*)?>([^<]+)<")
_PLACE = re.compile(rb'\sr="([A-Z]+)(\d+)"')
_LONG_NUMBER = re.compile(
    rb"<(?:\w+:)?c(\s[^>]*)>\s*<(?:\w+:)?v(?:\s[^>]*)?>\s*([+-]?(?:\d{16,}(?:\.\d*)?|\d+(?:\.\d*)?[eE]\+?\d+))\s*<"
)
_LONGEST_TAG = 1000  # characters


class Doubtful(NamedTuple):
    """The row (from 1) and column (from 0) of cells of a sheet."""

    uncomputed: list[tuple[int, int]]  # formulas without a computed result
    rounded: list[tuple[int, int]]  # numbers beyond 2**53


def doubtful_cells(path: Path, sheet: str | None) -> Doubtful:
    """Return the doubtful cells of a sheet (None: the first).

    Formats other than `.xlsx` give none; nor does a workbook that is not laid out as the standard says.
    """
    if not zipfile.is_zipfile(path):
        return Doubtful([], [])
    try:
        with zipfile.ZipFile(path) as archive:
            book = fromstring(archive.read("xl/workbook.xml"))
            content = archive.read(_part(archive, book, sheet))
    except (KeyError, StopIteration):
        return Doubtful([], [])
    return Doubtful(list(_uncomputed(content, _waits(book))), list(_rounded(content)))


def _waits(book: Element) -> bool:
    """Return whether all formulas wait for the computation when the workbook is opened."""
    return any(each.get("fullCalcOnLoad") in ("1", "true") for each in _named(book, "calcPr"))


def _part(archive: zipfile.ZipFile, book: Element, sheet: str | None) -> str:
    """Return the name of the sheet's file in the archive."""
    found = next(each for each in _named(book, "sheet") if sheet is None or each.get("name") == sheet)
    identity = next(value for key, value in found.items() if key.endswith("}id"))
    links = fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    target = next(each.attrib["Target"] for each in _named(links, "Relationship") if each.get("Id") == identity)
    return normpath(join("xl", target)).lstrip("/")


def _named(root: Element, name: str) -> Iterator[Element]:
    """Yield the elements of a name in any namespace."""
    return (each for each in root.iter() if each.tag.rpartition("}")[2] == name)


def _uncomputed(content: bytes, waits: bool) -> Iterator[tuple[int, int]]:
    for formula in _FORMULA.finditer(content):
        cell = [*_CELL.finditer(content, max(0, formula.start() - _LONGEST_TAG), formula.start())][-1].group()
        end = _END.search(content, formula.end())
        result = _RESULT.search(content, formula.end(), end.start() if end else len(content))
        empty = result is None and b't="str"' not in cell  # a text may be empty
        if (empty or (waits and result is not None and result[1].strip() == b"0")) and (place := _PLACE.search(cell)):
            yield int(place[2]), _column(place[1])


def _rounded(content: bytes) -> Iterator[tuple[int, int]]:
    for number in _LONG_NUMBER.finditer(content):
        place = _PLACE.search(number[1])
        if place and b" t=" not in number[1].replace(b' t="n"', b"") and abs(float(number[2])) >= EXACT:
            yield int(place[2]), _column(place[1])


def _column(letters: bytes) -> int:
    """Return the number of a column from 0.

    >>> _column(b"A"), _column(b"AB")
    (0, 27)
    """
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number - 1

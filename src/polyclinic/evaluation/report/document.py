"""A document of headings, paragraphs, lists, tables and images, and its Markdown; for HTML see `html_blocks`.

Text is plain: both formats escape it, so that no name of a model, group or code can become markup.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from polyclinic.evaluation.estimate import Difference, Estimate

Cell = str | int | Estimate | Difference | None


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the document's."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of plain text."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of plain sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table; columns in `words` hold text, the others numbers.

    `strong` rows are set off, `faint` ones are too small to trust, `spans` head the rows that follow.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    words: frozenset[int] = frozenset({0})
    strong: frozenset[int] = frozenset()
    faint: frozenset[int] = frozenset()
    spans: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Picture:
    """A picture in a file or at an address."""

    source: str
    alt: str


Block = Heading | Paragraph | Bullets | Table | Picture


def to_markdown(blocks: Sequence[Block]) -> str:
    """Write the blocks as Markdown."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return "#" * level + " " + plain(text)
        case Paragraph(text):
            return _line(text)
        case Bullets(items):
            return "\n".join(f"- {_line(item)}" for item in items)
        case Picture(source, alt):
            return f"![{plain(alt)}](<{source}>)"
        case Table():
            return _markdown_table(block)


def _markdown_table(table: Table) -> str:
    rule = (" :-- " if column in table.words else " --: " for column in range(len(table.header)))
    lines = [_markdown_row(table.header), "|" + "|".join(rule) + "|"]
    for number, row in enumerate(table.rows):
        cells = [_cell(cell) for cell in row] + [""] * (len(table.header) - len(row))
        if cells[0] and (number in table.strong or number in table.spans):
            cells[0] = f"**{cells[0]}**"
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _markdown_row(cells: Sequence[Cell]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(cell: Cell) -> str:
    return plain(cell_text(cell))


def cell_text(cell: Cell) -> str:
    """Write a cell as plain text."""
    if cell is None:
        return ""
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


MARKUP = re.compile(r"[\\`*_{}\[\]|#]")
OPENING = re.compile(r"^(?:[-+>]|\d+[.)](?=\s|$))")
"""What begins a list, a quotation or a rule."""
INTERVAL = re.compile(r"\\\[([-−+.,\d ]*\d)\\\](?![\[(:])")
"""Escaped brackets around numbers alone, which cannot be read as a link."""
ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", "~": "&#126;"})


def plain(text: str) -> str:
    """Escape what Markdown (and the HTML within) would read as markup; the brackets of intervals stay as they are."""
    escaped = MARKUP.sub(r"\\\g<0>", " ".join(text.split()))
    return INTERVAL.sub(r"[\1]", escaped).translate(ENTITIES)


def _line(text: str) -> str:
    """Escape text that begins a line, too."""
    return OPENING.sub(lambda found: f"{found[0][:-1]}\\{found[0][-1]}", plain(text))

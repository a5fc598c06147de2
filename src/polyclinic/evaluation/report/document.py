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

    `strong` rows are highlighted, `faint` rows are too small to trust, `spans` are headings of the rows that follow.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    words: frozenset[int] = frozenset({0})
    strong: frozenset[int] = frozenset()
    faint: frozenset[int] = frozenset()
    spans: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Image:
    """An image in a file or at a URL."""

    source: str
    alt: str


Block = Heading | Paragraph | Bullets | Table | Image


def to_markdown(blocks: Sequence[Block]) -> str:
    """Return the blocks as Markdown."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return "#" * level + " " + plain(text)
        case Paragraph(text):
            return _line(text)
        case Bullets(items):
            return "\n".join(f"- {_line(item)}" for item in items)
        case Image(source, alt):
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
    """Format a cell as plain text."""
    if cell is None:
        return ""
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


MARKUP = re.compile(r"[\\`*_{}\[\]|#]")
LINE_START = re.compile(r"^(?:[-+>]|\d+[.)](?=\s|$))")
"""Markup that starts a list, a quotation or a rule."""
INTERVAL = re.compile(r"\\\[([-−+.,\d ]*\d)\\\](?![\[(:])")
"""Escaped brackets around numbers only, which cannot become a link."""
ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", "~": "&#126;"})


def plain(text: str) -> str:
    """Escape Markdown and HTML markup, except the brackets of intervals."""
    escaped = MARKUP.sub(r"\\\g<0>", " ".join(text.split()))
    return INTERVAL.sub(r"[\1]", escaped).translate(ENTITIES)


def _line(text: str) -> str:
    """Escape text at the start of a line."""
    return LINE_START.sub(lambda found: f"{found[0][:-1]}\\{found[0][-1]}", plain(text))

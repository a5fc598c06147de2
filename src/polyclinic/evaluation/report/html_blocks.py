"""A document's blocks, and the figures of tiles and cells, as HTML."""

from collections.abc import Sequence
from typing import NamedTuple

from polyclinic.evaluation.estimate import Difference, Estimate
from polyclinic.evaluation.report.document import Block, Cell, cell_text
from polyclinic.html import Markup, render

Spans = tuple[tuple[str, str], ...]
"""Pieces of text, each with its CSS class or an empty string."""


class Tile(NamedTuple):
    """A named figure at the top of a page."""

    name: str
    spans: Spans


def to_html(blocks: Sequence[Block]) -> Markup:
    """Return the blocks as HTML, without a page around them."""
    named = [(type(block).__name__.lower(), block) for block in blocks]
    return render("evaluation/report/blocks.html", blocks=named, cell_spans=cell_spans, cell_text=cell_text)


def cell_spans(cell: Cell) -> Spans:
    """Split a cell into its value and, less prominent, its interval and p value."""
    text = cell_text(cell)
    if not isinstance(cell, Estimate | Difference):
        return (("", text),)
    if text.startswith("not estimable"):
        return (("missing", text),)
    value, _, rest = text.partition(" ")
    return (("value", value), ("missing" if "not estimable" in rest else "interval", rest))

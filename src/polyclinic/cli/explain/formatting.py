"""How scores look in a terminal: what speaks for an output and what speaks against it differ without colour, too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from matplotlib.figure import Figure
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from polyclinic.explain.display.summaries import AGAINST, FOR

WARNING = "bold yellow"
HALF = 10
"""Cells of a bar on either side of its axis, unless a table has less room."""
FULL, PART, SHADE = "█", "▌", "░"
BARS = "orange: for; blue, hatched: against"
"""What the marks of a plot of bars mean."""


class Part(Protocol):
    """What is shown of one kind of input, by one method."""

    def lines(self) -> Iterable[RenderableType]:
        """Give tables and lines for people."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Give everything as JSON values."""
        ...

    def draw(self) -> Figure:
        """Plot it; raises ValueError where there is nothing to plot."""
        ...

    @property
    def legend(self) -> str:
        """What the marks of the plot mean."""
        ...


def colour_of(score: float) -> str:
    """Give the colour of a score; none of 0."""
    return "" if score == 0 else FOR if score > 0 else AGAINST


def bar(score: float, largest: float, half: int = HALF) -> Text:
    """Draw a score as a bar of at most `half` cells: solid and to the right for, shaded and to the left against."""
    halves = round(2 * half * min(abs(score) / largest, 1)) if largest else 0
    if score < 0:
        left, right = SHADE * -(-halves // 2), ""
    else:
        left, right = "", FULL * (halves // 2) + PART * (halves % 2)
    return Text.assemble((f"{left:>{half}}", AGAINST), "│", (f"{right:<{half}}", FOR))


def table_of(columns: Sequence[str], numbers: Iterable[str] = ()) -> Table:
    """Make a table, whose columns `numbers` stand to the right."""
    table = Table()
    right = set(numbers)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left")
    return table


def more(shown: int, whole: int) -> str:
    """Say how many are left out."""
    return f"and {whole - shown:,} more, in --json" if whole > shown else ""

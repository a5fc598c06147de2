"""Scores in a terminal; positive and negative ones differ in more than colour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from matplotlib.figure import Figure
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from polyclinic.explain.attribution import Attribution
from polyclinic.explain.display.summaries import AGAINST, FOR
from polyclinic.explain.sample import Sample
from polyclinic.models.bundle.bundle import Bundle

WARNING = "bold yellow"
HALF = 10
"""Default cells of a bar on either side of its axis."""
FULL, PART, SHADE = "█", "▌", "░"
BARS = "orange: for; blue, hatched: against"
"""Legend of bar plots."""


@dataclass(frozen=True, eq=False)
class ViewContext:
    """What a view is made of."""

    bundle: Bundle
    sample: Sample
    found: Attribution
    scale: str  # of the scores
    sensitivity: float | None = None  # of regions; None: the default


class View(Protocol):
    """The function that makes the view of one modality (see `polyclinic.modalities`)."""

    def __call__(self, context: ViewContext) -> Part:
        """Return the view."""
        ...


class Part(Protocol):
    """View of one kind of input, explained by one method."""

    def lines(self) -> Iterable[RenderableType]:
        """Yield tables and lines of text."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        ...

    def draw(self) -> Figure:
        """Return a plot; raise ValueError if there is none."""
        ...

    @property
    def legend(self) -> str:
        """Legend of the plot."""
        ...


def colour_of(score: float) -> str:
    """Return the colour of a score; empty for 0."""
    return "" if score == 0 else FOR if score > 0 else AGAINST


def bar(score: float, largest: float, half: int = HALF) -> Text:
    """Draw a score as a bar of at most `half` cells: positive solid to the right, negative shaded to the left."""
    halves = round(2 * half * min(abs(score) / largest, 1)) if largest else 0
    if score < 0:
        left, right = SHADE * -(-halves // 2), ""
    else:
        left, right = "", FULL * (halves // 2) + PART * (halves % 2)
    return Text.assemble((f"{left:>{half}}", AGAINST), "│", (f"{right:<{half}}", FOR))


def table_of(columns: Sequence[str], numbers: Iterable[str] = ()) -> Table:
    """Return an empty table, with the columns `numbers` right-aligned."""
    table = Table()
    right = set(numbers)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left")
    return table


def more(shown: int, total: int) -> str:
    """Describe how many are left out; empty if none."""
    return f"and {total - shown:,} more, in --json" if total > shown else ""

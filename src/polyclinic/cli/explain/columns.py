"""View of the columns of the classical members that stand for an input as a whole, below the view of the input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from rich.console import RenderableType
from rich.text import Text

from polyclinic.cli.explain.formatting import Part, bar, table_of
from polyclinic.cli.explain.shapley import known_or_none
from polyclinic.explain.attribution import Attribution, ColumnScore
from polyclinic.explain.display.labels import writer
from polyclinic.modalities import noun

MOST = 10


@dataclass(frozen=True)
class WholePart:
    """One kind of input in the whole answer: its view, and the columns of the classical members."""

    part: Part
    columns: Sequence[ColumnScore]  # the largest scores first
    modality: str
    scale: str  # of the scores
    total: float  # of the view and the columns

    @classmethod
    def of(cls, part: Part, found: Attribution, modality: str, scale: str) -> WholePart:
        """Return the view with the columns of its modality."""
        columns = [column for column in found.columns if column.modality == modality]
        return cls(part, columns, modality, scale, found.by_modality[modality])

    def lines(self) -> Iterator[RenderableType]:
        """Yield those of the view, then the largest columns, if there are any."""
        yield from self.part.lines()
        if not self.columns:
            return
        shown, others = self.columns[:MOST], self.columns[MOST:]
        rest = sum(column.score for column in others)
        scores = [*(column.score for column in shown), rest]
        write, largest = writer(scores), max(map(abs, scores))
        table = table_of(("column of classical models", self.scale, "against │ for"), (self.scale,))
        for column in shown:
            table.add_row(column.name, write(column.score), bar(column.score, largest))
        if others:
            table.add_row(f"the other {len(others)}", write(rest), bar(rest, largest))
        yield Text()
        yield table
        yield f"all contributions of the {noun(self.modality)}: {writer([self.total])(self.total)} {self.scale}"

    def to_dict(self) -> dict[str, Any]:
        """Return the values of the view, every column with its (scaled) value, and the total of both."""
        columns = [
            {"name": column.name, "value": known_or_none(column.value), "score": column.score}
            for column in self.columns
        ]
        return self.part.to_dict() | {"columns": columns, "total": self.total}

    def draw(self) -> Figure:
        """Draw the view."""
        return self.part.draw()

    @property
    def legend(self) -> str:
        """Legend of the plot."""
        return self.part.legend

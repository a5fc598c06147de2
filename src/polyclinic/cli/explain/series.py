"""View of measurements over time: contributions by channel and time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Bool
from matplotlib.figure import Figure
from rich.console import RenderableType
from rich.text import Text

from polyclinic.cli.explain.formatting import ViewContext, bar, colour_of, more, table_of
from polyclinic.explain.attribution import ChannelGrid, SeriesAttribution
from polyclinic.explain.display import plots
from polyclinic.explain.display.labels import label_of, unit_of, with_unit, writer

MOST_CHANNELS, MOST_MEASUREMENTS, MOST_BINS = 12, 10, 8
HOURS = (1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 168, 336, 720, 2160, 8760)
NOTHING = "·"
NARROW = 6
"""Cells of a bar next to the grid."""


@dataclass(frozen=True)
class SeriesPart:
    """The measurements of a series with their scores."""

    found: SeriesAttribution
    scale: str  # of the scores

    def lines(self) -> Iterator[RenderableType]:
        """Yield a table of channel × time, and the largest measurements."""
        yield from self._channels()
        yield from self._measurements()

    def to_dict(self) -> dict[str, Any]:
        """Return every measurement, the oldest first, and the grid; null where nothing was measured."""
        grid, measured = self._grid()
        return {
            "score": self.found.total,
            "channels": [channel._asdict() for channel in self.found.by_code],
            "measurements": [row._asdict() for row in self.found.measurements],
            "grid": {
                "codes": list(grid.codes),
                "edges_hours": grid.edges.tolist(),
                "scores": [
                    [score if known else None for score, known in zip(*row, strict=True)]
                    for row in zip(grid.scores.tolist(), measured.tolist(), strict=True)
                ],
            },
        }

    def draw(self) -> Figure:
        """Draw a lane per channel, with shaded contributions."""
        return plots.series(self.found).figure  # type: ignore[return-value]

    @property
    def legend(self) -> str:
        """Legend of the plot."""
        return "shaded: for; hatched: against; curves: the measured values"

    def _grid(self) -> tuple[ChannelGrid, Bool[np.ndarray, "code bin"]]:
        """Return the scores in a few bins of time, and the mask of bins with measurements."""
        longest = max((row.hours for row in self.found.measurements), default=0.0)
        width = next((hours for hours in HOURS if longest < MOST_BINS * hours), longest / (MOST_BINS - 1))
        grid = self.found.grid(width)
        measured = np.zeros(grid.scores.shape, dtype=bool)
        for row in self.found.measurements:
            measured[grid.codes.index(row.code), len(grid.edges) - 2 - int(row.hours // width)] = True
        return grid, measured

    def _channels(self) -> Iterator[RenderableType]:
        grid, measured = self._grid()
        order = np.argsort(-np.abs(grid.scores).sum(axis=1), kind="stable").tolist()
        sums = grid.scores.sum(axis=1)
        write = writer([*grid.scores.ravel().tolist(), *sums.tolist()])
        largest, widest = float(np.abs(grid.scores).max(initial=0.0)), float(np.abs(sums).max(initial=0.0))
        spans = [f"{begin:g}–{end:g}" for begin, end in pairwise(grid.edges.tolist())]
        table = table_of(("channel", *spans, "sum", "against │ for"), (*spans, "sum"))
        for row in order[:MOST_CHANNELS]:
            cells = [
                Text(write(score), style=_style(score, largest)) if known else Text(NOTHING, style="dim")
                for score, known in zip(grid.scores[row].tolist(), measured[row].tolist(), strict=True)
            ]
            table.add_row(
                label_of(grid.codes[row]), *cells, write(float(sums[row])), bar(float(sums[row]), widest, NARROW)
            )
        table.add_section()
        table.add_row("total", *map(write, grid.scores.sum(axis=0).tolist()), write(self.found.total))
        yield f"channel × hours before the prediction, {self.scale}; {NOTHING} not measured"
        yield table
        if len(order) > MOST_CHANNELS:
            yield f"{more(MOST_CHANNELS, len(order))}; the total includes them"

    def _measurements(self) -> Iterator[RenderableType]:
        order = sorted(self.found.measurements, key=lambda row: -abs(row.score))
        shown = [row for row in order[:MOST_MEASUREMENTS] if row.score]
        write, largest = writer(row.score for row in shown), max((abs(row.score) for row in shown), default=0.0)
        numbers = ("hours before", "value", self.scale)
        table = table_of(("largest measurements", *numbers, "against │ for"), numbers)
        for row in shown:
            value = with_unit(row.value, unit_of(row.code))
            table.add_row(label_of(row.code), f"{row.hours:.1f}", value, write(row.score), bar(row.score, largest))
        yield table
        if rest := more(len(shown), len(order)):
            yield rest


def _style(score: float, largest: float) -> str:
    return f"{'bold ' if abs(score) >= largest / 2 else ''}{colour_of(score)}".strip()


def view(context: ViewContext) -> SeriesPart:
    """Return the view of measurements over time."""
    return SeriesPart(context.found["series"], context.scale)

"""Measurements over time: what each channel adds, and when."""

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

from polyclinic.cli.explain.formatting import bar, colour_of, more, table_of
from polyclinic.explain.attribution import ChannelGrid, SeriesAttribution
from polyclinic.explain.display import plots
from polyclinic.explain.display.labels import label_of, unit_of, with_unit, writer

MOST_CHANNELS, MOST_MEASUREMENTS, MOST_BINS = 12, 10, 8
HOURS = (1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 168, 336, 720, 2160, 8760)
NOTHING = "·"
NARROW = 6
"""Cells of a bar beside the grid."""


@dataclass(frozen=True)
class SeriesPart:
    """The measurements of a series, with their scores."""

    found: SeriesAttribution
    scale: str  # of the scores

    def lines(self) -> Iterator[RenderableType]:
        """Give channel × time, and the weightiest measurements."""
        yield from self._channels()
        yield from self._measurements()

    def to_dict(self) -> dict[str, Any]:
        """Give every measurement, the oldest first, and the grid; null where nothing was measured."""
        grid, there = self._grid()
        return {
            "score": self.found.total,
            "channels": [one._asdict() for one in self.found.by_code],
            "measurements": [one._asdict() for one in self.found.measurements],
            "grid": {
                "codes": list(grid.codes),
                "edges_hours": grid.edges.tolist(),
                "scores": [
                    [score if known else None for score, known in zip(*row, strict=True)]
                    for row in zip(grid.scores.tolist(), there.tolist(), strict=True)
                ],
            },
        }

    def draw(self) -> Figure:
        """Draw lanes with shaded moments."""
        return plots.series(self.found).figure  # type: ignore[return-value]

    @property
    def legend(self) -> str:
        """What the marks of the plot mean."""
        return "shaded: for; hatched: against; in a lane, up is more"

    def _grid(self) -> tuple[ChannelGrid, Bool[np.ndarray, "code bin"]]:
        """Give the scores in few bins, and where anything was measured."""
        longest = max((one.hours for one in self.found.measurements), default=0.0)
        width = next((hours for hours in HOURS if longest < MOST_BINS * hours), longest / (MOST_BINS - 1))
        grid = self.found.grid(width)
        there = np.zeros(grid.scores.shape, dtype=bool)
        for one in self.found.measurements:
            there[grid.codes.index(one.code), len(grid.edges) - 2 - int(one.hours // width)] = True
        return grid, there

    def _channels(self) -> Iterator[RenderableType]:
        grid, there = self._grid()
        order = np.argsort(-np.abs(grid.scores).sum(axis=1), kind="stable").tolist()
        sums = grid.scores.sum(axis=1)
        write = writer([*grid.scores.ravel().tolist(), *sums.tolist()])
        largest, widest = float(np.abs(grid.scores).max(initial=0.0)), float(np.abs(sums).max(initial=0.0))
        spans = [f"{begin:g}–{end:g}" for begin, end in pairwise(grid.edges.tolist())]
        table = table_of(("channel", *spans, "sum", "against │ for"), (*spans, "sum"))
        for row in order[:MOST_CHANNELS]:
            cells = [
                Text(write(score), style=_style(score, largest)) if measured else Text(NOTHING, style="dim")
                for score, measured in zip(grid.scores[row].tolist(), there[row].tolist(), strict=True)
            ]
            table.add_row(
                label_of(grid.codes[row]), *cells, write(float(sums[row])), bar(float(sums[row]), widest, NARROW)
            )
        table.add_section()
        table.add_row("all of them", *map(write, grid.scores.sum(axis=0).tolist()), write(self.found.total))
        yield f"channel × hours before the question, {self.scale}; {NOTHING} nothing was measured"
        yield table
        if len(order) > MOST_CHANNELS:
            yield f"{more(MOST_CHANNELS, len(order))}; “all of them” holds them, too"

    def _measurements(self) -> Iterator[RenderableType]:
        order = sorted(self.found.measurements, key=lambda one: -abs(one.score))
        shown = [one for one in order[:MOST_MEASUREMENTS] if one.score]
        write, largest = writer(one.score for one in shown), max((abs(one.score) for one in shown), default=0.0)
        numbers = ("hours before", "value", self.scale)
        table = table_of(("weightiest measurements", *numbers, "against │ for"), numbers)
        for one in shown:
            value = with_unit(one.value, unit_of(one.code))
            table.add_row(label_of(one.code), f"{one.hours:.1f}", value, write(one.score), bar(one.score, largest))
        yield table
        if left := more(len(shown), len(order)):
            yield left


def _style(score: float, largest: float) -> str:
    return f"{'bold ' if abs(score) >= largest / 2 else ''}{colour_of(score)}".strip()

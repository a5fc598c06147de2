"""View of structured features and their contributions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import RenderableType

from polyclinic.cli.explain.formatting import BARS, ViewContext, bar, table_of
from polyclinic.explain.attribution import StructuredAttribution
from polyclinic.explain.display import plots
from polyclinic.explain.display.labels import feature_of, writer
from polyclinic.explain.display.summaries import structured_steps

MOST = 15


@dataclass(frozen=True)
class StructuredPart:
    """The features of a record with their scores."""

    found: StructuredAttribution
    scale: str  # of the scores

    def lines(self) -> Iterator[RenderableType]:
        """Yield the largest features, and the others in one row."""
        steps = structured_steps(self.found, MOST)
        write, largest = writer(step.score for step in steps), max((abs(step.score) for step in steps), default=0.0)
        table = table_of(("feature", "value", self.scale, "against │ for"), ("value", self.scale))
        for step in steps:
            table.add_row(step.label, step.value, write(step.score), bar(step.score, largest))
        table.add_section()
        table.add_row("total", "", write(self.found.total))
        yield table

    def to_dict(self) -> dict[str, Any]:
        """Return every feature, the largest first."""
        order = np.argsort(-np.abs(self.found.scores), kind="stable").tolist()
        return {"score": self.found.total, "features": [self._feature(place) for place in order]}

    def draw(self) -> Figure:
        """Draw a waterfall."""
        axes = plots.waterfall(self.found)
        axes.set_xlabel(self.scale.capitalize())
        return axes.figure  # type: ignore[return-value]

    @property
    def legend(self) -> str:
        """Legend of the plot."""
        return BARS

    def _feature(self, place: int) -> dict[str, Any]:
        name, code, value = self.found.names[place], self.found.codes[place], float(self.found.values[place])
        worded = feature_of(name, code, value)
        return {
            "name": name,
            "code": code,
            "value": None if np.isnan(value) else value,
            "score": float(self.found.scores[place]),
            "label": worded.label,
            "written": worded.value,
        }


def view(context: ViewContext) -> StructuredPart:
    """Return the view of the structured record."""
    return StructuredPart(context.found["structured"], context.scale)

"""View of counterfactual changes of classical models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import RenderableType

from polyclinic.cli.explain.formatting import table_of
from polyclinic.cli.explain.shapley import known_or_none
from polyclinic.cli.explain.target import ExplanationTarget
from polyclinic.explain.counterfactual import Counterfactual
from polyclinic.explain.display.labels import label_of, unit_of, with_unit


@dataclass(frozen=True)
class CounterfactualPart:
    """The smallest plausible changes of single measurements that cross the threshold."""

    found: Sequence[Counterfactual]
    target: ExplanationTarget
    threshold: float

    def lines(self) -> Iterator[RenderableType]:
        """Yield a row per measurement, the smallest change first."""
        side = "at or above" if self.target.answer >= self.threshold else "below"
        yield (
            f"the prediction is {self.target.format_answer(self.target.answer)}, {side} the threshold of "
            f"{self.target.format_answer(self.threshold)}"
        )
        if not self.found:
            yield "no plausible change of a single measurement crosses the threshold"
            return
        numbers = ("hours before", "recorded", "changed to", "change, SD", "prediction then")
        table = table_of(("measurement", *numbers), numbers)
        for change in self.found:
            unit = unit_of(change.code)
            table.add_row(
                label_of(change.code),
                "static" if np.isnan(change.hours) else f"{change.hours:.1f}",
                with_unit(change.recorded, unit),
                with_unit(change.changed, unit),
                f"{change.size:.2f}",
                self.target.format_answer(change.changed_answer),
            )
        yield table
        yield "predictions for another patient; changing the measurement need not change the outcome"

    def to_dict(self) -> dict[str, Any]:
        """Return every change."""
        changes = [asdict(change) | {"hours": known_or_none(change.hours)} for change in self.found]
        for change in changes:
            del change["output"]
        return {"threshold": self.threshold, "counterfactuals": changes}

    def draw(self) -> Figure:
        """Raise ValueError: there is no plot."""
        raise ValueError("counterfactual changes have no plot: omit --out")

    @property
    def legend(self) -> str:
        """What the marks of the plot mean."""
        return ""

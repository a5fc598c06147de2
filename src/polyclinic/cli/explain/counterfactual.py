"""What would change the prediction of a classical model, printed and drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import RenderableType

from polyclinic.cli.explain.formatting import table_of
from polyclinic.cli.explain.shapley import known_features
from polyclinic.cli.explain.target import Question
from polyclinic.explain.counterfactual import Counterfactual
from polyclinic.explain.display.labels import label_of, unit_of, with_unit


@dataclass(frozen=True)
class CounterfactualPart:
    """The smallest plausible changes of single measurements that would turn the call."""

    found: Sequence[Counterfactual]
    question: Question
    threshold: float

    def lines(self) -> Iterator[RenderableType]:
        """Give one row for each measurement, the smallest change first."""
        called = "at or above" if self.question.answer >= self.threshold else "below"
        yield (
            f"the answer is {self.question.said(self.question.answer)}, {called} the threshold of "
            f"{self.question.said(self.threshold)}"
        )
        if not self.found:
            yield "no plausible change of a single measurement would turn the call"
            return
        numbers = ("hours before", "recorded", "would have to be", "change, SD", "answer then")
        table = table_of(("measurement", *numbers), numbers)
        for one in self.found:
            unit = unit_of(one.code)
            table.add_row(
                label_of(one.code),
                "static" if np.isnan(one.hours) else f"{one.hours:.1f}",
                with_unit(one.recorded, unit),
                with_unit(one.changed, unit),
                f"{one.size:.2f}",
                self.question.said(one.changed_answer),
            )
        yield table
        yield "what the model would say of another patient; not that to change the number would change the outcome"

    def to_dict(self) -> dict[str, Any]:
        """Give every change."""
        changes = [asdict(one) | {"hours": known_features(one.hours)} for one in self.found]
        for one in changes:
            del one["output"]
        return {"threshold": self.threshold, "counterfactuals": changes}

    def draw(self) -> Figure:
        """Refuse."""
        raise ValueError("counterfactual changes are a table, of which there is no plot: leave --out away")

    @property
    def legend(self) -> str:
        """What the marks of the plot mean."""
        return ""

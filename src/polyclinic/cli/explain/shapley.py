"""Views of exact Shapley values: of modalities, and of the columns of classical models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import RenderableType
from rich.text import Text

from polyclinic.cli.explain.formatting import BARS, bar, table_of
from polyclinic.cli.explain.target import ExplanationTarget
from polyclinic.evaluation.report.plot_style import styled
from polyclinic.explain.attribution import StructuredAttribution
from polyclinic.explain.display import plots
from polyclinic.explain.display.labels import feature_of, number, signed, writer
from polyclinic.explain.display.summaries import modality_steps
from polyclinic.explain.shapley.classical_models import MemberAttribution, Rule, RulePath
from polyclinic.explain.shapley.modalities import ModalityShapley
from polyclinic.features.structured.summaries import STATISTICS

MOST = 8
ROW = 0.3
"""Height of a row of a plot, in inches."""


@dataclass(frozen=True)
class ModalitiesPart:
    """Contribution of each kind of input to the prediction."""

    found: ModalityShapley
    target: ExplanationTarget

    def lines(self) -> Iterator[RenderableType]:
        """Yield a row per kind of input."""
        is_probability = self.found.log_odds is not None
        steps = modality_steps(self.found.answer.nothing, self.found.by_modality)
        write = (lambda value: signed(100 * value, 1)) if is_probability else writer(step.score for step in steps)
        adds = "points" if is_probability else self.target.unit or "adds"
        odds = dict(zip(self.found.modalities, self.found.log_odds.values, strict=True)) if self.found.log_odds else {}
        numbers = (adds, *(["log-odds"] if is_probability else []))
        table = table_of(("input", *numbers, "against │ for"), numbers)
        largest = max((abs(step.score) for step in steps), default=0.0)
        for step in steps:
            log_odds = [signed(float(odds[step.label.lower()]))] if is_probability else []
            table.add_row(step.label.lower(), write(step.score), *log_odds, bar(step.score, largest))
        yield f"without any input: {self.target.format_answer(self.found.answer.nothing)}"
        yield table
        yield f"with all inputs: {self.target.format_answer(self.found.answer.whole)}"

    def to_dict(self) -> dict[str, Any]:
        """Return the values on both scales."""
        scales = {"answer": self.found.answer, "log_odds": self.found.log_odds}
        return {
            name: None
            if shares is None
            else {
                "nothing": shares.nothing,
                "whole": shares.whole,
                "values": dict(zip(self.found.modalities, shares.values.tolist(), strict=True)),
            }
            for name, shares in scales.items()
        }

    def draw(self) -> Figure:
        """Draw a waterfall."""
        axes = plots.modalities(self.found)
        if self.target.unit:
            axes.set_xlabel(self.target.unit.capitalize())
        return axes.figure  # type: ignore[return-value]

    @property
    def legend(self) -> str:
        """Legend of the plot."""
        return BARS


@dataclass(frozen=True)
class MembersPart:
    """Prediction of each classical model, and contributions of its structured columns."""

    found: Sequence[MemberAttribution]
    code_of: Mapping[str, str]  # by name of the structured feature
    rules: RulePath | None  # of the decision tree

    def lines(self) -> Iterator[RenderableType]:
        """Yield the largest features of each model, and the rules of the tree."""
        for member, part in zip(self.found, self._parts(), strict=True):
            yield Text()
            yield Text.assemble(
                (member.member, "bold"),
                f": {signed(member.value)} {member.scale}, from {signed(member.base)} on average",
            )
            order = np.argsort(-np.abs(part.scores), kind="stable")
            order = order[part.scores[order] != 0]
            rest = float(member.scores.sum()) - part.total
            write = writer([*part.scores.tolist(), rest])
            largest = float(np.abs([*part.scores, rest]).max())
            table = table_of(("feature", "value", member.scale, "against │ for"), ("value", member.scale))
            for k in order[:MOST].tolist():
                score, worded = float(part.scores[k]), feature_of(part.names[k], part.codes[k], float(part.values[k]))
                table.add_row(worded.label, worded.value, write(score), bar(score, largest))
            others = float(part.scores[order[MOST:]].sum())
            if others:
                table.add_row(f"the other {len(order) - MOST}", "", write(others), bar(others, largest))
            if rest:
                table.add_row("other inputs", "", write(rest), bar(rest, largest))
            yield table
        if self.rules is not None:
            yield Text()
            yield Text.assemble(("decision_tree", "bold"), ", rules in order:")
            yield from map(self._rule, self.rules.rules)
            yield f"→ {number(self.rules.value)} ({self.rules.samples:,} training samples)"

    def to_dict(self) -> dict[str, Any]:
        """Return every column with a score."""
        return {
            "members": [
                {
                    "member": member.member,
                    "scale": member.scale,
                    "base": member.base,
                    "value": member.value,
                    "residual": member.residual,
                    "columns": [row._asdict() | {"value": known_or_none(row.value)} for row in member.weightiest],
                }
                for member in self.found
            ],
            "rules": None if self.rules is None else self._rules(self.rules),
        }

    def draw(self) -> Figure:
        """Draw a waterfall per model."""
        from matplotlib import pyplot

        heights = [1.2 + ROW * min(int(np.count_nonzero(part.scores)), MOST + 1) for part in self._parts()]
        with styled():
            figure, axes = pyplot.subplots(
                len(heights), 1, figsize=(7.2, sum(heights)), height_ratios=heights, squeeze=False
            )
            for member, part, place in zip(self.found, self._parts(), axes[:, 0], strict=True):
                plots.waterfall(part, MOST, axes=place)
                place.set_title(member.member.replace("_", " ").capitalize(), loc="left")
                place.set_xlabel(member.scale.capitalize())
        return figure

    @property
    def legend(self) -> str:
        """Legend of the plot."""
        return BARS

    def _parts(self) -> list[StructuredAttribution]:
        """Return each model's attribution of the structured features that it reads."""
        found = []
        for member in self.found:
            own = [place for place, name in enumerate(member.names) if name in self.code_of]
            names = tuple(member.names[place] for place in own)
            codes = tuple(self.code_of[name] for name in names)
            found.append(StructuredAttribution(names, codes, member.values[own], member.scores[own]))
        return found

    def _rule(self, rule: Rule) -> str:
        """Describe a rule, in words if it tests a structured feature."""
        code = self.code_of.get(rule.name)
        if code is None or np.isnan(rule.value):
            return str(rule)
        worded = feature_of(rule.name, code, rule.value)
        if rule.name.removeprefix(code).strip() not in STATISTICS:
            return f"{worded.label}: {worded.value}"
        return f"{worded.label}: {worded.value} {'>' if rule.above else '≤'} {number(rule.threshold)}"

    @staticmethod
    def _rules(path: RulePath) -> dict[str, Any]:
        steps = [rule._asdict() | {"value": known_or_none(rule.value)} for rule in path.rules]
        return {"rules": steps, "value": path.value, "samples": path.samples}


def known_or_none(value: float) -> float | None:
    """Return a value, or None for NaN (not known)."""
    return None if np.isnan(value) else float(value)

"""Measured performance of a bundle, from the files beside it: at thresholds, and with missing inputs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from polyclinic.assess.assessment import Cost, Measured, Operating
from polyclinic.evaluation import Difference, Estimate
from polyclinic.evaluation.report.caveats import CHANCE
from polyclinic.models.bundle.development_reference import Reference
from polyclinic.tasks import Task

FILES = ("metrics.json", "comparison.json", "repeats.json")
NEAR = 1e-9
"""Tolerance for equal thresholds."""


@dataclass(frozen=True)
class Measurements:
    """The measurements of `polyclinic train` as written; empty where there are none."""

    metrics: Mapping[str, Any]
    comparison: Mapping[str, Any]
    crossed: bool  # by cross-validation

    @classmethod
    def beside(cls, folder: Path | None) -> Measurements:
        """Read the files in a bundle's folder; None if it was never saved."""
        if folder is None:
            return cls({}, {}, crossed=False)
        return _read(folder, tuple(_stamp(folder / name) for name in FILES))

    def operating(
        self, task: Task, thresholds: Sequence[float], reference: Reference | None, place: int, p: float
    ) -> Operating | None:
        """Return the threshold of an output and its figures: as measured, otherwise as estimated out of fold."""
        if not thresholds:
            return None
        at_threshold = {"threshold": thresholds[place], "positive": p >= thresholds[place]}
        figures = self._figures(task, place, thresholds)
        if figures is not None:
            how: Measured = "cross_validation" if self.crossed else "held_out"
            return Operating(**at_threshold, sensitivity=figures["sensitivity"], ppv=figures["ppv"], measured=how)
        known = reference.operating.get(task.name) if reference else None
        if known is None:
            return None
        sensitivity, ppv = (Estimate(**known[place][name]) for name in ("sensitivity", "ppv"))
        return Operating(**at_threshold, sensitivity=sensitivity, ppv=ppv, measured="out_of_fold")

    def _figures(self, task: Task, place: int, thresholds: Sequence[float]) -> dict[str, Estimate] | None:
        """Return the figures of an output if measured at the bundle's threshold or by cross-validation."""
        row = self.metrics.get(task.name)
        if row is None or not (self.crossed or self._same(task, row, thresholds)):
            return None
        if task.kind == "multilabel":
            row = next((label for label in row["classes"] if label["level"] == task.classes[place]), None)
        if row is None or not {"sensitivity", "ppv"} <= row["figures"].keys():
            return None
        return {name: Estimate(**row["figures"][name]) for name in ("sensitivity", "ppv")}

    def _same(self, task: Task, row: Mapping[str, Any], thresholds: Sequence[float]) -> bool:
        """Return whether figures were measured of this bundle, judging by the thresholds."""
        if task.kind == "multilabel":
            return True
        return row["threshold"] is not None and abs(row["threshold"] - thresholds[0]) <= NEAR

    def cost(self, task: Task, inputs: Sequence[str], present: Sequence[str]) -> Cost | None:
        """Return the task's headline metric with only the inputs present, and with all."""
        table = (self.comparison.get(task.name) or {}).get("inputs")
        if table is None or not present or set(present) == set(inputs):
            return None
        figure = table["headline"][0]
        rows = {frozenset(row["members"]): row for row in table["contenders"]}
        given, whole = rows.get(frozenset(present)), rows.get(frozenset(inputs))
        if given is None or whole is None:
            return None
        difference = given["differences"].get(figure)
        return Cost(
            missing=tuple(name for name in inputs if name not in present),
            figure=figure,
            given=Estimate(**given["figures"][figure]),
            whole=Estimate(**whole["figures"][figure]),
            difference=None if difference is None else _difference(difference),
        )

    def no_better_than_chance(self, cost: Cost | None) -> bool:
        """Return whether the inputs present were not shown to be better than chance."""
        chance = None if cost is None else CHANCE.get(cost.figure)
        return cost is not None and chance is not None and cost.given.low is not None and cost.given.low <= chance


def _difference(plain: Mapping[str, Any]) -> Difference:
    return Difference(Estimate(**plain["figure"]), plain["p"], plain["p_adjusted"])


def _stamp(path: Path) -> int:
    """Return the modification time of a file; 0 if there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=16)
def _read(folder: Path, stamps: tuple[int, ...]) -> Measurements:
    found = [_json(folder / name) if stamp else {} for name, stamp in zip(FILES[:2], stamps, strict=False)]
    return Measurements(found[0], found[1], crossed=bool(stamps[2]))


def _json(path: Path) -> dict[str, Any]:
    """Read a file; a damaged one counts as missing, since predictions do not need it."""
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return plain if isinstance(plain, dict) else {}

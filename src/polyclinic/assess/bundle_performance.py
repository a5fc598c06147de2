"""What was measured of a bundle, from the files beside it: figures at thresholds, and the cost of missing inputs."""

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
"""Thresholds that differ by no more are the same."""


@dataclass(frozen=True)
class Measurements:
    """What `polyclinic train` measured, as it wrote it; empty where it did not."""

    metrics: Mapping[str, Any]
    comparison: Mapping[str, Any]
    crossed: bool  # by models of the same making, in folds

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
        called = {"threshold": thresholds[place], "positive": p >= thresholds[place]}
        figures = self._figures(task, place, thresholds)
        if figures is not None:
            how: Measured = "cross_validation" if self.crossed else "held_out"
            return Operating(**called, sensitivity=figures["sensitivity"], ppv=figures["ppv"], measured=how)
        known = reference.operating.get(task.name) if reference else None
        if known is None:
            return None
        sensitivity, ppv = (Estimate(**known[place][name]) for name in ("sensitivity", "ppv"))
        return Operating(**called, sensitivity=sensitivity, ppv=ppv, measured="out_of_fold")

    def _figures(self, task: Task, place: int, thresholds: Sequence[float]) -> dict[str, Estimate] | None:
        """Give the figures of an output, if they were measured at the bundle's own threshold, or in folds."""
        row = self.metrics.get(task.name)
        if row is None or not (self.crossed or self._same(task, row, thresholds)):
            return None
        if task.kind == "multilabel":
            row = next((one for one in row["classes"] if one["level"] == task.classes[place]), None)
        if row is None or not {"sensitivity", "ppv"} <= row["figures"].keys():
            return None
        return {name: Estimate(**row["figures"][name]) for name in ("sensitivity", "ppv")}

    def _same(self, task: Task, row: Mapping[str, Any], thresholds: Sequence[float]) -> bool:
        """Tell whether figures were measured of this very bundle, as far as the thresholds show it."""
        if task.kind == "multilabel":
            return True
        return row["threshold"] is not None and abs(row["threshold"] - thresholds[0]) <= NEAR

    def cost(self, task: Task, inputs: Sequence[str], present: Sequence[str]) -> Cost | None:
        """Give what the task's first figure is given only the inputs present, beside that given all."""
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
        """Tell whether the inputs present were, by themselves, not shown to be better than chance."""
        chance = None if cost is None else CHANCE.get(cost.figure)
        return cost is not None and chance is not None and cost.given.low is not None and cost.given.low <= chance


def _difference(plain: Mapping[str, Any]) -> Difference:
    return Difference(Estimate(**plain["figure"]), plain["p"], plain["p_adjusted"])


def _stamp(path: Path) -> int:
    """Give the time of a file's last change; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=16)
def _read(folder: Path, stamps: tuple[int, ...]) -> Measurements:
    found = [_json(folder / name) if stamp else {} for name, stamp in zip(FILES[:2], stamps, strict=False)]
    return Measurements(found[0], found[1], crossed=bool(stamps[2]))


def _json(path: Path) -> dict[str, Any]:
    """Read a file; one that is damaged counts as none, since it is not needed to answer."""
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return plain if isinstance(plain, dict) else {}

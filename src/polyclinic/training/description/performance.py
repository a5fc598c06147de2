"""The figures of a kind of task, and those of out-of-fold answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from polyclinic.evaluation import Binary, Bootstrap, Kind, Multiclass, Multilabel, Regression, TimeToEvent
from polyclinic.evaluation.estimate import Estimate
from polyclinic.tasks import Targets, Task

RESAMPLES = 500
CALIBRATION = ("calibration_slope", "calibration_intercept")


def kind_with(task: Task, thresholds: Sequence[float], bins: Sequence[float]) -> Kind:
    """Return the metrics of a task, at its operating thresholds, or the ends of its bins of time."""
    match task.kind:
        case "binary":
            return Binary(thresholds[0] if thresholds else None)
        case "multiclass":
            return Multiclass(task.classes)
        case "multilabel":
            return Multilabel(task.classes, tuple(thresholds) or None)
        case "regression":
            return Regression()
        case _:
            middle = bins[len(bins) // 2 - 1] if len(bins) > 1 else bins[0]
            return TimeToEvent(tuple(bins), (middle,))


def truth_of(task: Task, target: Targets) -> np.ndarray:
    """Return the truth as the metrics read it."""
    truth: np.ndarray = target.values[:, 0] if task.kind in ("binary", "regression") else target.values
    return truth.argmax(axis=1) if task.kind == "multiclass" else truth


def out_of_fold_figures(
    task: Task, kind: Kind, target: Targets, answers: np.ndarray, subjects: np.ndarray
) -> dict[str, Estimate]:
    """Return the headline figures and the calibration of the answers of the labelled samples."""
    p = 1 - answers if task.kind == "time_to_event" else answers
    p = p[:, 0] if task.kind in ("binary", "regression") else p
    known = kind.read(truth_of(task, target), p, target.observed)
    units = subjects[known.rows]
    figures = kind.figures(known.y, known.p, units, kind.resample(known.y, known.p, units, Bootstrap(RESAMPLES)))
    return {name: figures[name] for name in (*kind.headline, *CALIBRATION) if name in figures}

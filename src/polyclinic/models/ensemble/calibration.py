"""Answers that mean what they say, and thresholds at which they become calls: both learnt on validation subjects.

Temperature (Guo 2017, arXiv 1706.04599) stretches the scores of `links`; Platt (1999) stretches and shifts them;
isotonic (Zadrozny & Elkan 2002) bends them by any rising staircase. With several classes, Platt's shift is one for
each class (Alexandari 2020, arXiv 1901.06852), and isotonic works on each class against the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import minimize
from scipy.special import expit, log_softmax
from sklearn.isotonic import IsotonicRegression

from polyclinic.models.ensemble.link_functions import LINKS, ObservedTargets, log_odds, seen
from polyclinic.models.network.config import TaskKind

Method = Literal["temperature", "platt", "isotonic", "none"]
METHODS: tuple[Method, ...] = ("temperature", "platt", "isotonic", "none")
LEAST_SLOPE = 0.01
"""A model whose answers point the wrong way on the validation subjects is flattened, not reversed."""


@dataclass(frozen=True)
class Calibrator:
    """From a model's answers to calibrated answers of the same shape: scores → slope · scores + shift, or a staircase.

    Calibrators rise: a higher answer never becomes a lower one (of a class against the rest, before they are made to
    add up to one).
    """

    kind: TaskKind
    method: Method
    slope: tuple[float, ...] = ()  # of each output
    shift: tuple[float, ...] = ()
    steps: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] = ()  # of each output: scores, calibrated scores

    @classmethod
    def fit(
        cls,
        kind: TaskKind,
        answers: Float[np.ndarray, "sample output"],
        targets: Float[np.ndarray, "sample number"],
        observed: Bool[np.ndarray, " sample"],
        method: Method = "platt",
        bins: Sequence[float] = (),
    ) -> Calibrator:
        """Learn from validation samples; `bins` are the ends of the bins of time to event.

        What cannot be learnt is left alone: an output of which nothing varies, or a method "none".
        """
        if method not in METHODS:
            raise ValueError(f"unknown calibration {method!r}: choose from {', '.join(METHODS)}")
        if kind == "regression" and method == "temperature":
            raise ValueError("a temperature says nothing of numbers: calibrate regression by platt or isotonic")
        if method == "none" or not observed.any():
            return cls(kind, "none")
        scores, happened = LINKS[kind].scores(answers), seen(kind, targets, observed, bins)
        if method == "isotonic":
            return cls(kind, method, steps=tuple(_staircase(kind, *one) for one in _outputs(kind, scores, happened)))
        if kind == "multiclass":
            slope, shift = _fit_classes(scores[observed], happened.happened[observed], method == "platt")
            return cls(kind, method, (slope,) * len(shift), shift)
        lines = [_line(kind, method, *one) for one in _outputs(kind, scores, happened)]
        return cls(kind, method, tuple(slope for slope, _ in lines), tuple(shift for _, shift in lines))

    def __call__(self, answers: Float[np.ndarray, "sample output"]) -> Float[np.ndarray, "sample output"]:
        """Calibrate."""
        if self.method == "none":
            return answers
        link = LINKS[self.kind]
        scores = link.scores(answers)
        if self.method == "isotonic":
            bent = self._bent(scores)
            if self.kind != "multiclass":
                return link.answers(bent)
            chances = np.exp(bent)
            return np.asarray(chances / chances.sum(axis=1, keepdims=True))
        return link.answers(scores * np.array(self.slope) + np.array(self.shift))

    def _bent(self, scores: np.ndarray) -> np.ndarray:
        """Walk each output up its staircase; the bins of a survival curve share one."""
        columns = [np.interp(column, *self.steps[i % len(self.steps)]) for i, column in enumerate(scores.T)]
        return np.stack(columns, axis=1)

    def state(self) -> dict[str, Any]:
        """Give the state as JSON values."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Calibrator:
        """Rebuild the calibrator that gave `state`."""
        steps = tuple((tuple(x), tuple(y)) for x, y in state["steps"])
        return cls(state["kind"], state["method"], tuple(state["slope"]), tuple(state["shift"]), steps)


def calibrated_by_each(
    calibrators: Sequence[Calibrator], answers: Float[np.ndarray, "sample output"]
) -> Float[np.ndarray, "calibrator sample output"]:
    """Calibrate the same answers by several calibrators of one kind and method."""
    first = calibrators[0]
    if first.method in ("none", "isotonic"):
        return np.stack([one(answers) for one in calibrators])
    link = LINKS[first.kind]
    slopes, shifts = (np.array([getattr(one, name) for one in calibrators])[:, None] for name in ("slope", "shift"))
    return np.asarray(link.answers(link.scores(answers) * slopes + shifts))


def _outputs(kind: TaskKind, scores: np.ndarray, what: ObservedTargets) -> list[tuple[np.ndarray, np.ndarray]]:
    """Give scores and events of each output that is calibrated by itself; the bins of one curve are taken together."""
    if kind == "time_to_event":
        return [(scores[what.known], what.happened[what.known])]
    columns = zip(scores.T, what.happened.T, what.known.T, strict=True)
    return [(column[known], happened[known]) for column, happened, known in columns]


def _line(kind: TaskKind, method: Method, scores: np.ndarray, happened: np.ndarray) -> tuple[float, float]:
    if kind == "regression":
        return _least_squares(scores, happened)
    if len(np.unique(happened)) < 2:
        return 1.0, 0.0  # nothing varies
    return _logistic_line(scores, _softened(happened), method == "platt")


def _softened(happened: np.ndarray) -> np.ndarray:
    """Draw the targets off 0 and 1 as Platt does, so that classes that the scores separate give a finite slope."""
    positive = happened.sum()
    high, low = (positive + 1) / (positive + 2), 1 / (len(happened) - positive + 2)
    softened: np.ndarray = np.where(happened > 0.5, high, low)
    return softened


def _logistic_line(scores: np.ndarray, targets: np.ndarray, shifted: bool) -> tuple[float, float]:
    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        fitted = line[0] * scores + line[1]
        error = expit(fitted) - targets
        slopes = np.array([(error * scores).mean(), error.mean() * shifted])
        return float((np.logaddexp(0, fitted) - targets * fitted).mean()), slopes

    bounds = [(LEAST_SLOPE, 100.0), (None, None)]
    slope, shift = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(slope), float(shift)


def _least_squares(scores: np.ndarray, numbers: np.ndarray) -> tuple[float, float]:
    if len(numbers) < 2 or np.ptp(scores) == 0:
        return 1.0, 0.0
    slope = max(LEAST_SLOPE, float(np.cov(scores, numbers)[0, 1] / scores.var(ddof=1)))
    return slope, float(numbers.mean() - slope * scores.mean())


def _fit_classes(scores: np.ndarray, classes: np.ndarray, shifted: bool) -> tuple[float, tuple[float, ...]]:
    count = scores.shape[1]
    targets = (classes * len(classes) + 1 / count) / (len(classes) + 1)

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        fitted = log_softmax(x[0] * scores + x[1:], axis=1)
        error = np.exp(fitted) - targets
        gradient = np.concatenate([[(error * scores).sum()], error.sum(axis=0) * shifted]) / len(scores)
        return float(-(targets * fitted).sum() / len(scores)), gradient

    start = np.concatenate([[1.0], np.zeros(count)])
    bounds = [(LEAST_SLOPE, 100.0), *((None, None) for _ in range(count))]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(found[0]), tuple(float(shift) for shift in found[1:])


def _staircase(kind: TaskKind, scores: np.ndarray, happened: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Fit a rising staircase; rates stay as far from 0 and 1 as one sample more of either kind would put them."""
    if len(scores) < 2 or np.ptp(scores) == 0:
        return (0.0, 1.0), (0.0, 1.0)
    fitted = IsotonicRegression(out_of_bounds="clip").fit(scores, happened)
    heights = fitted.y_thresholds_
    if kind != "regression":
        least = 1 / (len(scores) + 2)
        heights = heights.clip(least, 1 - least)
        heights = np.log(heights) if kind == "multiclass" else log_odds(heights)
    return tuple(map(float, fitted.X_thresholds_)), tuple(map(float, heights))

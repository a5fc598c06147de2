"""Calibration of predictions, fitted on validation subjects.

Temperature scaling (Guo 2017, arXiv 1706.04599) scales the scores of `link_functions`; Platt (1999) scales and shifts
them; isotonic regression (Zadrozny & Elkan 2002) applies a non-decreasing step function. With several classes, Platt
has one shift per class (Alexandari 2020, arXiv 1901.06852), and isotonic works on each class against the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import expit, log_softmax

from polyclinic.models.ensemble.link_functions import LINKS, ObservedTargets, log_odds, observed_targets
from polyclinic.models.network.config import TaskKind

Method = Literal["temperature", "platt", "isotonic", "none"]
METHODS: tuple[Method, ...] = ("temperature", "platt", "isotonic", "none")
MIN_SLOPE = 0.01
"""A model that ranks the validation subjects in reverse is flattened, not inverted."""


@dataclass(frozen=True)
class Calibrator:
    """Map predictions to calibrated ones of the same shape: scores → slope · scores + shift, or a step function.

    Calibrators are non-decreasing (for several classes: before normalisation).
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
        """Fit to validation samples; `bins` are the ends of the bins of time to event.

        An output whose targets do not vary is left unchanged, as is everything with the method "none".
        """
        if method not in METHODS:
            raise ValueError(f"unknown calibration {method!r}: choose from {', '.join(METHODS)}")
        if kind == "regression" and method == "temperature":
            raise ValueError("temperature scaling does not apply to regression: use platt or isotonic")
        if method == "none" or not observed.any():
            return cls(kind, "none")
        scores, events = LINKS[kind].scores(answers), observed_targets(kind, targets, observed, bins)
        if method == "isotonic":
            steps = tuple(_steps(kind, *output) for output in _outputs(kind, scores, events))
            return cls(kind, method, steps=steps)
        if kind == "multiclass":
            slope, shift = _fit_classes(scores[observed], events.happened[observed], method == "platt")
            return cls(kind, method, (slope,) * len(shift), shift)
        lines = [_line(kind, method, *output) for output in _outputs(kind, scores, events)]
        return cls(kind, method, tuple(slope for slope, _ in lines), tuple(shift for _, shift in lines))

    def __call__(self, answers: Float[np.ndarray, "sample output"]) -> Float[np.ndarray, "sample output"]:
        """Calibrate."""
        if self.method == "none":
            return answers
        link = LINKS[self.kind]
        scores = link.scores(answers)
        if self.method == "isotonic":
            calibrated = self._interpolate(scores)
            if self.kind != "multiclass":
                return link.answers(calibrated)
            probabilities = np.exp(calibrated)
            return np.asarray(probabilities / probabilities.sum(axis=1, keepdims=True))
        return link.answers(scores * np.array(self.slope) + np.array(self.shift))

    def _interpolate(self, scores: np.ndarray) -> np.ndarray:
        """Apply the step function of each output; the bins of a survival curve share one."""
        columns = [np.interp(column, *self.steps[i % len(self.steps)]) for i, column in enumerate(scores.T)]
        return np.stack(columns, axis=1)

    def state(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Calibrator:
        """Rebuild a calibrator from its state."""
        steps = tuple((tuple(x), tuple(y)) for x, y in state["steps"])
        return cls(state["kind"], state["method"], tuple(state["slope"]), tuple(state["shift"]), steps)


def calibrate_with_each(
    calibrators: Sequence[Calibrator], answers: Float[np.ndarray, "sample output"]
) -> Float[np.ndarray, "calibrator sample output"]:
    """Calibrate the same predictions with several calibrators of one kind and method."""
    first = calibrators[0]
    if first.method in ("none", "isotonic"):
        return np.stack([calibrator(answers) for calibrator in calibrators])
    link = LINKS[first.kind]
    slopes = np.array([calibrator.slope for calibrator in calibrators])[:, None]
    shifts = np.array([calibrator.shift for calibrator in calibrators])[:, None]
    return np.asarray(link.answers(link.scores(answers) * slopes + shifts))


def _outputs(kind: TaskKind, scores: np.ndarray, targets: ObservedTargets) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return scores and events of each separately calibrated output; the bins of one curve are calibrated together."""
    if kind == "time_to_event":
        return [(scores[targets.known], targets.happened[targets.known])]
    columns = zip(scores.T, targets.happened.T, targets.known.T, strict=True)
    return [(column[known], happened[known]) for column, happened, known in columns]


def _line(kind: TaskKind, method: Method, scores: np.ndarray, happened: np.ndarray) -> tuple[float, float]:
    if kind == "regression":
        return _least_squares(scores, happened)
    if len(np.unique(happened)) < 2:
        return 1.0, 0.0  # the targets do not vary
    return _logistic_line(scores, _smoothed(happened), method == "platt")


def _smoothed(happened: np.ndarray) -> np.ndarray:
    """Smooth the targets as Platt does, so that separable classes give a finite slope."""
    positive = happened.sum()
    high, low = (positive + 1) / (positive + 2), 1 / (len(happened) - positive + 2)
    smoothed: np.ndarray = np.where(happened > 0.5, high, low)
    return smoothed


def _logistic_line(scores: np.ndarray, targets: np.ndarray, shifted: bool) -> tuple[float, float]:
    from scipy.optimize import minimize  # not needed in use

    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        fitted = line[0] * scores + line[1]
        error = expit(fitted) - targets
        slopes = np.array([(error * scores).mean(), error.mean() * shifted])
        return float((np.logaddexp(0, fitted) - targets * fitted).mean()), slopes

    bounds = [(MIN_SLOPE, 100.0), (None, None)]
    slope, shift = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(slope), float(shift)


def _least_squares(scores: np.ndarray, numbers: np.ndarray) -> tuple[float, float]:
    if len(numbers) < 2 or np.ptp(scores) == 0:
        return 1.0, 0.0
    slope = max(MIN_SLOPE, float(np.cov(scores, numbers)[0, 1] / scores.var(ddof=1)))
    return slope, float(numbers.mean() - slope * scores.mean())


def _fit_classes(scores: np.ndarray, classes: np.ndarray, shifted: bool) -> tuple[float, tuple[float, ...]]:
    from scipy.optimize import minimize

    count = scores.shape[1]
    targets = (classes * len(classes) + 1 / count) / (len(classes) + 1)

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        fitted = log_softmax(x[0] * scores + x[1:], axis=1)
        error = np.exp(fitted) - targets
        gradient = np.concatenate([[(error * scores).sum()], error.sum(axis=0) * shifted]) / len(scores)
        return float(-(targets * fitted).sum() / len(scores)), gradient

    start = np.concatenate([[1.0], np.zeros(count)])
    bounds = [(MIN_SLOPE, 100.0), *((None, None) for _ in range(count))]
    solution = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(solution[0]), tuple(float(shift) for shift in solution[1:])


def _steps(kind: TaskKind, scores: np.ndarray, happened: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Fit a non-decreasing step function; rates are bounded as if there were one more sample of either kind."""
    from sklearn.isotonic import IsotonicRegression  # slow to import, and not needed in use

    if len(scores) < 2 or np.ptp(scores) == 0:
        return (0.0, 1.0), (0.0, 1.0)
    fitted = IsotonicRegression(out_of_bounds="clip").fit(scores, happened)
    heights = fitted.y_thresholds_
    if kind != "regression":
        bound = 1 / (len(scores) + 2)
        heights = heights.clip(bound, 1 - bound)
        heights = np.log(heights) if kind == "multiclass" else log_odds(heights)
    return tuple(map(float, fitted.X_thresholds_)), tuple(map(float, heights))

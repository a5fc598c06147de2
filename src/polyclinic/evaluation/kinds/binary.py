"""Binary tasks."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float

from polyclinic.evaluation.arrays import (
    Array,
    Labels,
    Scores,
    Truth,
    as_probabilities,
    as_scores,
    as_truth,
    binary_obstacle,
    finite,
)
from polyclinic.evaluation.bootstrap import Bootstrap
from polyclinic.evaluation.estimate import Difference, Estimate
from polyclinic.evaluation.kinds.base import Kind, Metric, ObservedSamples, Obstacle, Statistic, kept_rows, no_samples
from polyclinic.evaluation.metrics import calibration, discrimination
from polyclinic.evaluation.metrics.confusion import Cut, confusion, f1, threshold_figures
from polyclinic.evaluation.metrics.decision_curve import decision_curve
from polyclinic.evaluation.metrics.delong import auroc_figure, delong_test
from polyclinic.evaluation.results import Curve, Histogram, PlotData

ORDER = (
    "auroc", "auprc", "min_se_ppv", "brier", "scaled_brier", "log_loss", "calibration_slope", "calibration_intercept",
    "ece", "sensitivity", "specificity", "ppv", "npv", "f1", "accuracy",
)  # fmt: skip
CURVE_POINTS = 200
HISTOGRAM_BINS = 25


@dataclass(frozen=True)
class Binary(Kind):
    """Probabilities of the positive class; without a `threshold`, samples are not classified.

    Where samples have thresholds of their own (predictions pooled from several models), predictions are [sample, 2]:
    probability and threshold; `threshold` is then the one to display.
    """

    threshold: float | None = None

    name: ClassVar[str] = "binary"
    headline: ClassVar[tuple[str, ...]] = ("auroc", "auprc", "brier")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The bootstrapped figures."""
        return METRICS if self.threshold is None else (*METRICS, _f1_at(self.threshold))

    def read(self, y: Labels, p: Labels, observed: Labels | None) -> ObservedSamples:
        """Select the observed samples; truths are Booleans or 0 and 1, predictions probabilities."""
        rows = kept_rows(observed, len(y))
        scores = np.asarray(p, dtype=np.float64)
        if scores.shape not in (rows.shape, (*rows.shape, 2)):
            raise ValueError(f"predictions of shape {scores.shape} for {len(rows)} samples: give one number per sample")
        if scores.ndim == 2 and self.threshold is None:
            raise ValueError("samples have thresholds of their own: give one to display for all of them")
        truth = as_truth(np.asarray(y)[rows])
        as_probabilities(as_scores(probabilities(scores[rows]), len(truth)))
        return ObservedSamples(rows, truth, finite(scores[rows], "thresholds"))

    def figures(
        self, y: Array, p: Array, subjects: Labels | None, draws: Float[Array, "resample metric"]
    ) -> dict[str, Estimate]:
        """Return discrimination, calibration and, at a threshold, classification rates."""
        found, risk = self.bootstrapped(y, p, draws), probabilities(p)
        found["auroc"] = auroc_figure(y, risk, subjects)
        found["ece"] = calibration.ece_figure(y, risk, subjects, draws[:, ECE])
        found.update(calibration.calibration_figures(y, risk, subjects))
        if self.threshold is not None:
            found.update(threshold_figures(y, risk, _cut(p, self.threshold), subjects))
        return {name: found[name] for name in ORDER if name in found}

    def is_case(self, y: Array) -> Bool[Array, " sample"]:
        """Return the positives."""
        return np.asarray(y, dtype=bool)

    def strata(self, y: Array) -> Array:
        """Return the outcome as stratum."""
        return y.astype(int)

    def plot_data(self, y: Array, p: Array, subjects: Labels | None, bootstrap: Bootstrap | None) -> PlotData:
        """Return ROC, precision–recall, reliability, histogram and decision curve."""
        both, risk = not binary_obstacle(y), probabilities(p)
        return PlotData(
            roc={"": thinned(*discrimination.roc_curve(y, risk))} if both else {},
            precision_recall={"": thinned(*discrimination.precision_recall_curve(y, risk))} if both else {},
            reliability={"": calibration.reliability(y, risk)} if len(y) else {},
            histogram=histogram(y, risk),
            decision=decision_curve(y, risk, subjects=subjects, bootstrap=bootstrap) if both else (),
            confusion=None if self.threshold is None else confusion(y, risk, self.threshold, _thresholds(p)),
        )

    def paired(self, metric: str, y: Array, p: Array, reference: Array, subjects: Labels | None) -> Difference | None:
        """Test the AUROC by DeLong's paired test."""
        return delong_test(y, probabilities(p), probabilities(reference), subjects) if metric == "auroc" else None


def probabilities(p: Array) -> Scores:
    """Return the probabilities, without the thresholds that predictions may include."""
    return p if p.ndim == 1 else p[:, 0]


def _thresholds(p: Array) -> Scores | None:
    """Return the threshold of each sample, where samples have their own."""
    return None if p.ndim == 1 else p[:, 1]


def _cut(p: Array, threshold: float) -> Cut:
    own = _thresholds(p)
    return threshold if own is None else own


def _of_probabilities(name: str, statistic: Statistic, obstacle: Obstacle) -> Metric:
    """Build a metric that ignores thresholds."""
    return Metric(name, lambda y, p, weights: statistic(y, probabilities(p), weights), obstacle)


def _obstacle(y: Array, p: Array) -> str:  # noqa: ARG001
    return binary_obstacle(y)


METRICS = (
    _of_probabilities("auprc", discrimination.average_precision, _obstacle),
    _of_probabilities("min_se_ppv", discrimination.min_se_ppv, _obstacle),
    _of_probabilities("brier", calibration.brier, no_samples),
    _of_probabilities("scaled_brier", calibration.scaled_brier, _obstacle),
    _of_probabilities("log_loss", calibration.log_loss, no_samples),
    _of_probabilities("ece", calibration.ece, no_samples),
)
ECE = next(column for column, metric in enumerate(METRICS) if metric.name == "ece")


def _f1_at(threshold: float) -> Metric:
    def statistic(y: Array, p: Array, weights: Array) -> Array:
        return f1(y, probabilities(p), _cut(p, threshold), weights)

    def obstacle(y: Array, p: Array) -> str:
        if not len(y):
            return "no samples"
        return "" if y.any() or (probabilities(p) >= _cut(p, threshold)).any() else "no positives, and none predicted"

    return Metric("f1", statistic, obstacle)


def thinned(x: Array, y: Array, points: int = CURVE_POINTS) -> Curve:
    """Reduce a curve to about `points` points, evenly spaced along it, with both ends."""
    if len(x) > points:
        along = np.cumsum(np.append(0, np.abs(np.diff(x)) + np.abs(np.diff(y))))
        kept = np.searchsorted(along, np.linspace(0, along[-1], points))
        kept = np.unique(np.concatenate([[0], np.minimum(kept, len(x) - 1), [len(x) - 1]]))
        x, y = x[kept], y[kept]
    return Curve(tuple(np.round(x, 5).tolist()), tuple(np.round(y, 5).tolist()))


def histogram(y: Truth, p: Scores) -> Histogram:
    """Count the predictions in equal bins from 0 to 1, by outcome."""
    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
    with_outcome, without = np.histogram(p[y], edges)[0], np.histogram(p[~y], edges)[0]
    return Histogram(tuple(edges.tolist()), tuple(with_outcome.tolist()), tuple(without.tolist()))

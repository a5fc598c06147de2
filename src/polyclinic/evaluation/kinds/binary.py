"""Tasks with two answers: did it happen or not?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from polyclinic.evaluation import calibration, discrimination
from polyclinic.evaluation.arrays import (
    Array,
    Labels,
    Scores,
    Truth,
    as_probabilities,
    as_scores,
    as_truth,
    binary_obstacle,
)
from polyclinic.evaluation.bootstrap import Bootstrap
from polyclinic.evaluation.decision import decision_curve
from polyclinic.evaluation.delong import auroc_figure, delong_test
from polyclinic.evaluation.figure import Difference, Figure
from polyclinic.evaluation.kinds.base import Kind, Known, Metric, kept_rows, no_samples
from polyclinic.evaluation.results import Curve, Histogram, Pictures
from polyclinic.evaluation.threshold import confusion, f1, threshold_figures

ORDER = (
    "auroc", "auprc", "min_se_ppv", "brier", "scaled_brier", "log_loss", "calibration_slope", "calibration_intercept",
    "ece", "sensitivity", "specificity", "ppv", "npv", "f1", "accuracy",
)  # fmt: skip
CURVE_POINTS = 200
HISTOGRAM_BINS = 25


@dataclass(frozen=True)
class Binary(Kind):
    """Probabilities of the positive answer. Without a `threshold` nobody is called positive or negative."""

    threshold: float | None = None

    name: ClassVar[str] = "binary"
    headline: ClassVar[tuple[str, ...]] = ("auroc", "auprc", "brier")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The bootstrapped figures."""
        return METRICS if self.threshold is None else (*METRICS, _f1_at(self.threshold))

    def read(self, y: Labels, p: Labels, observed: Labels | None) -> Known:
        """Keep the observed samples; truths are Booleans or 0 and 1, predictions probabilities."""
        rows = kept_rows(observed, len(y))
        scores = np.asarray(p, dtype=np.float64)
        if scores.shape != rows.shape:
            raise ValueError(f"predictions of shape {scores.shape} for {len(rows)} samples: give one number per sample")
        truth = as_truth(np.asarray(y)[rows])
        return Known(rows, truth, as_probabilities(as_scores(scores[rows], len(truth))))

    def figures(
        self, y: Array, p: Array, subjects: Labels | None, draws: Float[Array, "resample metric"]
    ) -> dict[str, Figure]:
        """Give discrimination, calibration and, at a threshold, the rates of right calls."""
        found = self.bootstrapped(y, p, draws)
        found["auroc"] = auroc_figure(y, p, subjects)
        found["ece"] = calibration.ece_figure(y, p, subjects, draws[:, ECE])
        found.update(calibration.calibration_figures(y, p, subjects))
        if self.threshold is not None:
            found.update(threshold_figures(y, p, self.threshold, subjects))
        return {name: found[name] for name in ORDER if name in found}

    def cases(self, y: Array) -> int:
        """Count the positives."""
        return int(y.sum())

    def strata(self, y: Array) -> Array:
        """Keep the numbers with and without the outcome."""
        return y.astype(int)

    def pictures(self, y: Array, p: Array, subjects: Labels | None, bootstrap: Bootstrap | None) -> Pictures:
        """Give ROC, precision–recall, reliability, histogram and decision curve."""
        both = not binary_obstacle(y)
        return Pictures(
            roc={"": thinned(*discrimination.roc_curve(y, p))} if both else {},
            precision_recall={"": thinned(*discrimination.precision_recall_curve(y, p))} if both else {},
            reliability={"": calibration.reliability(y, p)} if len(y) else {},
            histogram=histogram(y, p),
            decision=decision_curve(y, p, subjects=subjects, bootstrap=bootstrap) if both else (),
            confusion=None if self.threshold is None else confusion(y, p, self.threshold),
        )

    def paired(self, metric: str, y: Array, p: Array, reference: Array, subjects: Labels | None) -> Difference | None:
        """Test AUROC by DeLong's paired test."""
        return delong_test(y, p, reference, subjects) if metric == "auroc" else None


def _obstacle(y: Array, p: Array) -> str:  # noqa: ARG001
    return binary_obstacle(y)


METRICS = (
    Metric("auprc", discrimination.average_precision, _obstacle),
    Metric("min_se_ppv", discrimination.min_se_ppv, _obstacle),
    Metric("brier", calibration.brier, no_samples),
    Metric("scaled_brier", calibration.scaled_brier, _obstacle),
    Metric("log_loss", calibration.log_loss, no_samples),
    Metric("ece", calibration.ece, no_samples),
)
ECE = next(column for column, metric in enumerate(METRICS) if metric.name == "ece")


def _f1_at(threshold: float) -> Metric:
    def statistic(y: Array, p: Array, weights: Array) -> Array:
        return f1(y, p, threshold, weights)

    return Metric("f1", statistic, _f1_obstacle(threshold))


def _f1_obstacle(threshold: float) -> Callable[[Array, Array], str]:
    def obstacle(y: Array, p: Array) -> str:
        if not len(y):
            return "no samples"
        return "" if y.any() or (p >= threshold).any() else "nobody is positive nor called so"

    return obstacle


def thinned(x: Array, y: Array, points: int = CURVE_POINTS) -> Curve:
    """Keep at most about `points` points of a curve, evenly spaced along it, and both ends."""
    if len(x) > points:
        along = np.cumsum(np.append(0, np.abs(np.diff(x)) + np.abs(np.diff(y))))
        kept = np.searchsorted(along, np.linspace(0, along[-1], points))
        kept = np.unique(np.concatenate([[0], np.minimum(kept, len(x) - 1), [len(x) - 1]]))
        x, y = x[kept], y[kept]
    return Curve(tuple(np.round(x, 5).tolist()), tuple(np.round(y, 5).tolist()))


def histogram(y: Truth, p: Scores) -> Histogram:
    """Count the predictions between 0 and 1 in equal steps, by outcome."""
    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
    with_outcome, without = np.histogram(p[y], edges)[0], np.histogram(p[~y], edges)[0]
    return Histogram(tuple(edges.tolist()), tuple(with_outcome.tolist()), tuple(without.tolist()))

"""Tasks with two answers: did it happen or not?"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

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
from polyclinic.evaluation.kinds.base import Kind, Known, Metric, Obstacle, Statistic, kept_rows, no_samples
from polyclinic.evaluation.metrics import calibration, discrimination
from polyclinic.evaluation.metrics.confusion import Cut, confusion, f1, threshold_figures
from polyclinic.evaluation.metrics.decision_curve import decision_curve
from polyclinic.evaluation.metrics.delong import auroc_figure, delong_test
from polyclinic.evaluation.results import Curve, Histogram, Pictures

ORDER = (
    "auroc", "auprc", "min_se_ppv", "brier", "scaled_brier", "log_loss", "calibration_slope", "calibration_intercept",
    "ece", "sensitivity", "specificity", "ppv", "npv", "f1", "accuracy",
)  # fmt: skip
CURVE_POINTS = 200
HISTOGRAM_BINS = 25


@dataclass(frozen=True)
class Binary(Kind):
    """Probabilities of the positive answer. Without a `threshold` nobody is called positive or negative.

    Where every sample has a threshold of its own, as where several models answered, predictions are [sample, 2]: the
    probability, then the threshold; `threshold` is the one to show for all of them.
    """

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
        if scores.shape not in (rows.shape, (*rows.shape, 2)):
            raise ValueError(f"predictions of shape {scores.shape} for {len(rows)} samples: give one number per sample")
        if scores.ndim == 2 and self.threshold is None:
            raise ValueError("each sample has a threshold of its own: name one to show for all of them")
        truth = as_truth(np.asarray(y)[rows])
        as_probabilities(as_scores(chances(scores[rows]), len(truth)))
        return Known(rows, truth, finite(scores[rows], "thresholds"))

    def figures(
        self, y: Array, p: Array, subjects: Labels | None, draws: Float[Array, "resample metric"]
    ) -> dict[str, Estimate]:
        """Give discrimination, calibration and, at a threshold, the rates of right calls."""
        found, chance = self.bootstrapped(y, p, draws), chances(p)
        found["auroc"] = auroc_figure(y, chance, subjects)
        found["ece"] = calibration.ece_figure(y, chance, subjects, draws[:, ECE])
        found.update(calibration.calibration_figures(y, chance, subjects))
        if self.threshold is not None:
            found.update(threshold_figures(y, chance, _cut(p, self.threshold), subjects))
        return {name: found[name] for name in ORDER if name in found}

    def cases(self, y: Array) -> int:
        """Count the positives."""
        return int(y.sum())

    def strata(self, y: Array) -> Array:
        """Keep the numbers with and without the outcome."""
        return y.astype(int)

    def pictures(self, y: Array, p: Array, subjects: Labels | None, bootstrap: Bootstrap | None) -> Pictures:
        """Give ROC, precision–recall, reliability, histogram and decision curve."""
        both, chance = not binary_obstacle(y), chances(p)
        return Pictures(
            roc={"": thinned(*discrimination.roc_curve(y, chance))} if both else {},
            precision_recall={"": thinned(*discrimination.precision_recall_curve(y, chance))} if both else {},
            reliability={"": calibration.reliability(y, chance)} if len(y) else {},
            histogram=histogram(y, chance),
            decision=decision_curve(y, chance, subjects=subjects, bootstrap=bootstrap) if both else (),
            confusion=None if self.threshold is None else confusion(y, chance, self.threshold, _own(p)),
        )

    def paired(self, metric: str, y: Array, p: Array, reference: Array, subjects: Labels | None) -> Difference | None:
        """Test AUROC by DeLong's paired test."""
        return delong_test(y, chances(p), chances(reference), subjects) if metric == "auroc" else None


def chances(p: Array) -> Scores:
    """Give the probabilities alone, of predictions that may have thresholds beside them."""
    return p if p.ndim == 1 else p[:, 0]


def _own(p: Array) -> Scores | None:
    """Give the threshold of each sample, where it has its own."""
    return None if p.ndim == 1 else p[:, 1]


def _cut(p: Array, threshold: float) -> Cut:
    own = _own(p)
    return threshold if own is None else own


def _of_chances(name: str, statistic: Statistic, obstacle: Obstacle) -> Metric:
    """Make a metric that looks at no threshold."""
    return Metric(name, lambda y, p, weights: statistic(y, chances(p), weights), obstacle)


def _obstacle(y: Array, p: Array) -> str:  # noqa: ARG001
    return binary_obstacle(y)


METRICS = (
    _of_chances("auprc", discrimination.average_precision, _obstacle),
    _of_chances("min_se_ppv", discrimination.min_se_ppv, _obstacle),
    _of_chances("brier", calibration.brier, no_samples),
    _of_chances("scaled_brier", calibration.scaled_brier, _obstacle),
    _of_chances("log_loss", calibration.log_loss, no_samples),
    _of_chances("ece", calibration.ece, no_samples),
)
ECE = next(column for column, metric in enumerate(METRICS) if metric.name == "ece")


def _f1_at(shown: float) -> Metric:
    def statistic(y: Array, p: Array, weights: Array) -> Array:
        return f1(y, chances(p), _cut(p, shown), weights)

    def obstacle(y: Array, p: Array) -> str:
        if not len(y):
            return "no samples"
        return "" if y.any() or (chances(p) >= _cut(p, shown)).any() else "nobody is positive nor called so"

    return Metric("f1", statistic, obstacle)


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

"""Regression tasks."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from polyclinic.evaluation.arrays import Array, Labels, Z, as_scores
from polyclinic.evaluation.bootstrap import Bootstrap
from polyclinic.evaluation.estimate import Estimate
from polyclinic.evaluation.kinds.base import Kind, Metric, ObservedSamples, kept_rows, no_samples
from polyclinic.evaluation.metrics import regression
from polyclinic.evaluation.metrics.calibration import BINS, ReliabilityBin, members_of_bins
from polyclinic.evaluation.results import PlotData


@dataclass(frozen=True)
class Regression(Kind):
    """Predicted numbers, in the unit of the target."""

    name: ClassVar[str] = "regression"
    headline: ClassVar[tuple[str, ...]] = ("mae", "rmse", "r2")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The bootstrapped figures."""
        return METRICS

    def read(self, y: Labels, p: Labels, observed: Labels | None) -> ObservedSamples:
        """Select the observed samples; truths and predictions are finite numbers."""
        rows = kept_rows(observed, len(y))
        truth, predicted = np.asarray(y, dtype=np.float64), np.asarray(p, dtype=np.float64)
        if predicted.shape != rows.shape or truth.shape != rows.shape:
            raise ValueError(
                f"truths of shape {truth.shape}, predictions of shape {predicted.shape}: one number per sample"
            )
        n = int(rows.sum())
        return ObservedSamples(rows, as_scores(truth[rows], n, "truths"), as_scores(predicted[rows], n))

    def figures(
        self,
        y: Array,
        p: Array,
        subjects: Labels | None,  # noqa: ARG002
        draws: Float[Array, "resample metric"],
    ) -> dict[str, Estimate]:
        """Return the errors and the explained variance."""
        return self.bootstrapped(y, p, draws)

    def plot_data(self, y: Array, p: Array, subjects: Labels | None, bootstrap: Bootstrap | None) -> PlotData:  # noqa: ARG002
        """Return the mean truth in bins of the prediction."""
        return PlotData(reliability={"": _reliability(y, p)} if len(y) else {})


def _varies(y: Array, p: Array) -> str:  # noqa: ARG001
    if len(y) < 2:
        return "fewer than two samples"
    return "" if np.ptp(y) > 0 else "every truth is the same"


METRICS = (
    Metric("mae", regression.mae, no_samples),
    Metric("median_absolute_error", regression.median_absolute_error, no_samples),
    Metric("rmse", regression.rmse, no_samples),
    Metric("bias", regression.bias, no_samples),
    Metric("r2", regression.r2, _varies),
)


def _reliability(y: Array, p: Array) -> tuple[ReliabilityBin, ...]:
    found = []
    for members in members_of_bins(p, BINS):
        mean = float(y[members].mean())
        half = Z * float(y[members].std(ddof=1)) / np.sqrt(len(members)) if len(members) > 1 else None
        low, high = (None, None) if half is None else (mean - half, mean + half)
        found.append(ReliabilityBin(float(p[members].mean()), mean, low, high, len(members)))
    return tuple(found)

"""Evaluation: pure functions on arrays; every figure has an interval and its n.

`evaluate` evaluates one model, `compare` several, `by_subset` one model on each subset of its modalities. The metrics
are plain functions of (truth, prediction, weights); `report` shows the results.
"""

from polyclinic.evaluation.bootstrap import RESAMPLES, Bootstrap
from polyclinic.evaluation.comparison import by_subset, compare, holm, subset_name
from polyclinic.evaluation.estimate import Difference, Estimate
from polyclinic.evaluation.evaluate import (
    evaluate,
    evaluate_binary,
    evaluate_multiclass,
    evaluate_multilabel,
    evaluate_regression,
    evaluate_time_to_event,
)
from polyclinic.evaluation.groups import by_group, modality_sets
from polyclinic.evaluation.kinds import KINDS, Binary, Kind, Metric, Multiclass, Multilabel, Regression, TimeToEvent
from polyclinic.evaluation.metrics.calibration import brier, ece, log_loss, scaled_brier
from polyclinic.evaluation.metrics.decision_curve import net_benefit
from polyclinic.evaluation.metrics.delong import auroc_figure, delong_test
from polyclinic.evaluation.metrics.discrimination import auroc, average_precision, min_se_ppv
from polyclinic.evaluation.metrics.regression import mae, median_absolute_error, r2, rmse
from polyclinic.evaluation.metrics.survival import harrell_c, integrated_brier, uno_c
from polyclinic.evaluation.results import Comparison, Contender, Evaluation, Row
from polyclinic.features.age_bands import age_bands

__all__ = [
    "KINDS",
    "RESAMPLES",
    "Binary",
    "Bootstrap",
    "Comparison",
    "Contender",
    "Difference",
    "Estimate",
    "Evaluation",
    "Kind",
    "Metric",
    "Multiclass",
    "Multilabel",
    "Regression",
    "Row",
    "TimeToEvent",
    "age_bands",
    "auroc",
    "auroc_figure",
    "average_precision",
    "brier",
    "by_group",
    "by_subset",
    "compare",
    "delong_test",
    "ece",
    "evaluate",
    "evaluate_binary",
    "evaluate_multiclass",
    "evaluate_multilabel",
    "evaluate_regression",
    "evaluate_time_to_event",
    "harrell_c",
    "holm",
    "integrated_brier",
    "log_loss",
    "mae",
    "median_absolute_error",
    "min_se_ppv",
    "modality_sets",
    "net_benefit",
    "r2",
    "rmse",
    "scaled_brier",
    "subset_name",
    "uno_c",
]

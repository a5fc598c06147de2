"""Multiclass tasks."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from polyclinic.evaluation.arrays import (
    Array,
    Labels,
    as_matrix,
    as_probabilities,
    binary_obstacle,
    ratio,
    subject_codes,
    subjects_by_outcome,
)
from polyclinic.evaluation.bootstrap import Bootstrap
from polyclinic.evaluation.estimate import Estimate
from polyclinic.evaluation.kinds.base import Kind, Metric, ObservedSamples, caution, kept_rows, no_samples
from polyclinic.evaluation.kinds.binary import METRICS, thinned
from polyclinic.evaluation.kinds.macro import macro, with_class_count
from polyclinic.evaluation.metrics import calibration, discrimination
from polyclinic.evaluation.metrics.confusion import proportion
from polyclinic.evaluation.metrics.delong import auroc_figure
from polyclinic.evaluation.results import PlotData, Row


@dataclass(frozen=True)
class Multiclass(Kind):
    """Probabilities of each class, named in the order of the columns; truths are column numbers or names."""

    class_names: tuple[str, ...]

    name: ClassVar[str] = "multiclass"
    headline: ClassVar[tuple[str, ...]] = ("macro_auroc", "accuracy", "log_loss")

    def __post_init__(self) -> None:
        if len(self.class_names) < 2:
            raise ValueError("a multiclass task has two classes or more: name them in the order of the columns")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The bootstrapped figures."""
        names = self.class_names
        return (
            macro("macro_auroc", discrimination.auroc, _one_against_rest, binary_obstacle, names),
            macro("macro_auprc", discrimination.average_precision, _one_against_rest, binary_obstacle, names),
            Metric("accuracy", _accuracy, no_samples),
            macro("balanced_accuracy", _recall, _predicted, _absent, names),
            macro("macro_f1", _f1, _predicted, _absent, names),
            Metric("log_loss", _log_loss, no_samples),
            Metric("brier", _brier, no_samples),
            Metric("ece", _top_label_ece, no_samples),
        )

    def read(self, y: Labels, p: Labels, observed: Labels | None) -> ObservedSamples:
        """Select the observed samples; each row of predictions sums to 1."""
        rows = kept_rows(observed, len(y))
        predicted = np.asarray(p, dtype=np.float64)
        if len(predicted) != len(rows):
            raise ValueError(f"{len(predicted)} rows of predictions for {len(rows)} samples")
        predicted = predicted[rows]
        as_probabilities(as_matrix(predicted, len(predicted), len(self.class_names)))
        if len(predicted) and np.abs(predicted.sum(axis=1) - 1).max() > 1e-3:
            raise ValueError("the probabilities of a sample's classes must sum to 1: apply a softmax first")
        return ObservedSamples(rows, self._numbers(np.asarray(y)[rows]), predicted)

    def _numbers(self, y: Array) -> Int[Array, " sample"]:
        if y.dtype.kind in "UOS":
            numbers = np.array([self.class_names.index(c) if c in self.class_names else -1 for c in y], dtype=int)
        else:
            numbers = np.where(np.isfinite(y) & (y == np.floor(y)), y, -1).astype(int)
        invalid = int(((numbers < 0) | (numbers >= len(self.class_names))).sum())
        if invalid:
            raise ValueError(f"{invalid} of {len(y)} truths are not among the {len(self.class_names)} classes")
        return numbers

    def figures(
        self, y: Array, p: Array, subjects: Labels | None, draws: Float[Array, "resample metric"]
    ) -> dict[str, Estimate]:
        """Return macro discrimination, accuracy, and calibration."""
        found = self.bootstrapped(y, p, draws)
        all_samples = np.ones(len(y), dtype=bool)
        found["ece"] = calibration.ece_figure(_correct(y, p), p.max(axis=1), subjects, draws[:, -1])
        found["accuracy"] = proportion("accuracy", _correct(y, p), all_samples, subjects)
        varied = sum(not binary_obstacle(y == number) for number in range(len(self.class_names)))
        occurring = len(np.unique(y))
        for name, used in (
            ("macro_auroc", varied),
            ("macro_auprc", varied),
            ("balanced_accuracy", occurring),
            ("macro_f1", occurring),
        ):
            found[name] = with_class_count(found[name], used, len(self.class_names))
        return found

    def strata(self, y: Array) -> Array:
        """Return the class as stratum."""
        return y

    def plot_data(self, y: Array, p: Array, subjects: Labels | None, bootstrap: Bootstrap | None) -> PlotData:  # noqa: ARG002
        """Return ROC and precision–recall curves per class, top-label reliability and the confusion matrix."""
        both = {name: number for number, name in enumerate(self.class_names) if not binary_obstacle(y == number)}
        matrix = np.zeros((len(self.class_names), len(self.class_names)), dtype=int)
        np.add.at(matrix, (y, p.argmax(axis=1)), 1)
        return PlotData(
            roc={name: thinned(*discrimination.roc_curve(y == c, p[:, c])) for name, c in both.items()},
            precision_recall={
                name: thinned(*discrimination.precision_recall_curve(y == c, p[:, c])) for name, c in both.items()
            },
            reliability={"": calibration.reliability(_correct(y, p), p.max(axis=1))} if len(y) else {},
            confusion_matrix=tuple(tuple(row) for row in matrix.tolist()),
        )

    def classes(self, y: Array, p: Array, subjects: Labels | None, bootstrap: Bootstrap) -> tuple[Row, ...]:
        """Return each class against the rest; sensitivity and PPV are those of the most probable class."""
        return tuple(_class_row(name, y == c, p[:, c], p.argmax(axis=1) == c, subjects, bootstrap)
                     for c, name in enumerate(self.class_names))  # fmt: skip


def _class_row(level: str, y: Array, p: Array, called: Array, subjects: Labels | None, bootstrap: Bootstrap) -> Row:
    auprc = METRICS[0]
    reason = auprc.obstacle(y, p)
    draws = (
        np.empty(0) if reason else bootstrap.draws(lambda w: auprc.statistic(y, p, w), len(y), subjects, y.astype(int))
    )
    figures = {
        "auroc": auroc_figure(y, p, subjects),
        "auprc": auprc.figure(y, p, draws),
        "sensitivity": proportion("sensitivity", called, y, subjects, "no samples of this class"),
        "specificity": proportion("specificity", ~called, ~y, subjects, "no samples of other classes"),
        "ppv": proportion("ppv", y, called, subjects, "never predicted"),
    }
    count, cases = subject_codes(subjects, len(y))[1], int(y.sum())
    return Row(
        "class", level, len(y), count, cases, figures, caution(count, len(y), cases), *subjects_by_outcome(subjects, y)
    )


def _one_against_rest(y: Array, p: Array, number: int) -> tuple[Array, Array, Array]:
    return np.arange(len(y)), y == number, p[:, number]


def _predicted(y: Array, p: Array, number: int) -> tuple[Array, Array, Array]:
    return np.arange(len(y)), y == number, p.argmax(axis=1) == number


def _absent(y: Array) -> str:
    return "" if y.any() else "no samples of this class"


def _recall(y: Array, called: Array, weights: Array) -> Array:
    return ratio(weights @ (y & called).astype(float), weights @ y.astype(float))


def _f1(y: Array, called: Array, weights: Array) -> Array:
    return ratio(2 * (weights @ (y & called).astype(float)), weights @ (y.astype(float) + called))


def _correct(y: Array, p: Array) -> Array:
    return np.asarray(p.argmax(axis=1) == y)


def _accuracy(y: Array, p: Array, weights: Array) -> Array:
    return ratio(weights @ _correct(y, p).astype(float), weights.sum(axis=-1))


def _log_loss(y: Array, p: Array, weights: Array) -> Array:
    edge = np.finfo(float).eps
    chosen = np.clip(p[np.arange(len(y)), y], edge, 1 - edge)
    return ratio(weights @ -np.log(chosen), weights.sum(axis=-1))


def _brier(y: Array, p: Array, weights: Array) -> Array:
    distance = ((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1)
    return ratio(weights @ distance, weights.sum(axis=-1))


def _top_label_ece(y: Array, p: Array, weights: Array) -> Array:
    return calibration.ece(_correct(y, p), p.max(axis=1), weights)

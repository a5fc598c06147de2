"""Multilabel tasks, in which some labels of a sample may be unknown."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from polyclinic.evaluation.arrays import (
    Array,
    Labels,
    as_probabilities,
    binary_obstacle,
    subject_codes,
    subjects_by_outcome,
)
from polyclinic.evaluation.bootstrap import Bootstrap
from polyclinic.evaluation.estimate import Estimate
from polyclinic.evaluation.kinds.base import Kind, Metric, ObservedSamples, caution
from polyclinic.evaluation.kinds.binary import Binary, probabilities, thinned
from polyclinic.evaluation.kinds.macro import macro, with_class_count
from polyclinic.evaluation.metrics import calibration, discrimination
from polyclinic.evaluation.results import PlotData, Row


@dataclass(frozen=True)
class Multilabel(Kind):
    """Probabilities of each of `labels`; internally an unknown truth is NaN, and left out for that label.

    Where samples have thresholds of their own, predictions are [sample, label, 2], as in `Binary`.
    """

    labels: tuple[str, ...]
    thresholds: tuple[float, ...] | None = None

    name: ClassVar[str] = "multilabel"
    headline: ClassVar[tuple[str, ...]] = ("macro_auroc", "macro_auprc", "macro_brier")

    def __post_init__(self) -> None:
        if not self.labels:
            raise ValueError("a multilabel task has labels: name them in the order of the columns")
        if self.thresholds is not None and len(self.thresholds) != len(self.labels):
            raise ValueError(f"{len(self.thresholds)} thresholds for {len(self.labels)} labels")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The bootstrapped figures."""
        return (
            macro("macro_auroc", discrimination.auroc, _label, binary_obstacle, self.labels),
            macro("macro_auprc", discrimination.average_precision, _label, binary_obstacle, self.labels),
            macro("macro_brier", calibration.brier, _label, _empty, self.labels),
            macro("macro_log_loss", calibration.log_loss, _label, _empty, self.labels),
        )

    def read(self, y: Labels, p: Labels, observed: Labels | None) -> ObservedSamples:
        """Select samples with a known label; `observed` has one Boolean per sample, or per sample and label."""
        truth, predicted = np.array(y, dtype=np.float64), np.asarray(p, dtype=np.float64)
        shape = (len(truth), len(self.labels))
        if truth.shape != shape or predicted.shape not in (shape, (*shape, 2)):
            raise ValueError(
                f"truths {truth.shape}, predictions {predicted.shape}: expected one column per label, {shape}"
            )
        truth[~_mask(observed, shape)] = np.nan
        known = np.isfinite(truth)
        invalid = int((~np.isin(truth[known], (0, 1))).sum())
        if invalid:
            raise ValueError(f"{invalid} observed truths are neither 0 nor 1: mask what is unknown")
        if not np.isfinite(predicted[known]).all():
            raise ValueError(
                f"{int((~np.isfinite(predicted[known])).sum())} predictions of observed labels are not finite"
            )
        as_probabilities(probabilities(predicted[known]))
        rows = np.asarray(known.any(axis=1))
        return ObservedSamples(rows, truth[rows], predicted[rows])

    def figures(
        self,
        y: Array,
        p: Array,
        subjects: Labels | None,  # noqa: ARG002
        draws: Float[Array, "resample metric"],
    ) -> dict[str, Estimate]:
        """Return the means over the labels; `classes` returns each label's own figures."""
        varied = sum(not binary_obstacle(_label(y, p, number)[1]) for number in range(len(self.labels)))
        labelled = int(np.isfinite(y).any(axis=0).sum())
        used = {"macro_auroc": varied, "macro_auprc": varied}
        found = self.bootstrapped(y, p, draws)
        return {
            name: with_class_count(figure, used.get(name, labelled), len(self.labels)) for name, figure in found.items()
        }

    def plot_data(self, y: Array, p: Array, subjects: Labels | None, bootstrap: Bootstrap | None) -> PlotData:  # noqa: ARG002
        """Return one curve of each kind per label."""
        known = {name: _label(y, p, number)[1:] for number, name in enumerate(self.labels)}
        both = {name: pair for name, pair in known.items() if not binary_obstacle(pair[0])}
        return PlotData(
            roc={name: thinned(*discrimination.roc_curve(*pair)) for name, pair in both.items()},
            precision_recall={
                name: thinned(*discrimination.precision_recall_curve(*pair)) for name, pair in both.items()
            },
            reliability={name: calibration.reliability(*pair) for name, pair in both.items()},
        )

    def classes(self, y: Array, p: Array, subjects: Labels | None, bootstrap: Bootstrap) -> tuple[Row, ...]:
        """Return each label's figures on the samples in which it is known."""
        return tuple(self._row(number, y, p, subjects, bootstrap) for number in range(len(self.labels)))

    def _row(self, number: int, y: Array, p: Array, subjects: Labels | None, bootstrap: Bootstrap) -> Row:
        rows, truth, _ = _label(y, p, number)
        scores, kind = p[rows, number], Binary(None if self.thresholds is None else self.thresholds[number])
        units = None if subjects is None else np.asarray(subjects)[rows]
        figures = kind.figures(truth, scores, units, kind.resample(truth, scores, units, bootstrap))
        count = subject_codes(units, len(truth))[1]
        cases = int(truth.sum())
        note = caution(count, len(truth), cases)
        return Row(
            "label", self.labels[number], len(truth), count, cases, figures, note, *subjects_by_outcome(units, truth)
        )


def _label(y: Array, p: Array, number: int) -> tuple[Array, Array, Array]:
    rows = np.flatnonzero(np.isfinite(y[:, number]))
    return rows, y[rows, number] == 1, probabilities(p[rows, number])


def _empty(y: Array) -> str:
    return "" if len(y) else "no samples"


def _mask(observed: Labels | None, shape: tuple[int, int]) -> Array:
    if observed is None:
        return np.ones(shape, dtype=bool)
    mask = np.asarray(observed)
    if mask.dtype != bool or mask.shape not in (shape, shape[:1]):
        raise ValueError(f"observed of shape {mask.shape}: give Booleans, one per sample or one per sample and label")
    return np.broadcast_to(mask if mask.ndim == 2 else mask[:, None], shape)

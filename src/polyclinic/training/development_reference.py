"""Compute what a bundle keeps of its development samples: see `polyclinic.models.bundle.development_reference`.

Everything comes from out-of-fold predictions, or from a split reserved for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Bool, Float, Int

from polyclinic.evaluation import Bootstrap
from polyclinic.evaluation.metrics.confusion import threshold_figures
from polyclinic.evaluation.prediction_sets import set_scores
from polyclinic.features import Arrays
from polyclinic.models import NoteSizes
from polyclinic.models.bundle.development_reference import Conformity, Reference
from polyclinic.models.bundle.outliers import Gaussian, Novelty, out_of_fold
from polyclinic.models.bundle.value_ranges import ValueRange
from polyclinic.models.ensemble.answer_spread import AnswerSpread
from polyclinic.models.ensemble.calibration import Calibrator
from polyclinic.models.ensemble.ensemble import Ensemble, TaskEnsemble
from polyclinic.models.ensemble.members import presence_of
from polyclinic.models.ensemble.network_outputs import NetworkPredictions, predict_each_network
from polyclinic.progress import SILENT, Progress
from polyclinic.study import Study
from polyclinic.tasks import Targets, Task
from polyclinic.training.cross_fitting import MemberPredictions
from polyclinic.training.data.dataset import Examples
from polyclinic.training.data.folds import Fold

USUAL = 0.5
"""Share of the samples from which a code counts as usually recorded."""
RESAMPLES = 100
MAX_SAMPLES = 2000
"""Samples from which the mean of one network's latents is computed."""
IMAGE_BATCH = 64
KEPT = ("sensitivity", "specificity", "ppv", "npv")

Features = tuple[Float[np.ndarray, "sample column"], Bool[np.ndarray, " sample"]]
"""Values, and the mask of samples that have them."""


@dataclass(frozen=True)
class OutOfFoldPredictions:
    """Samples, their targets, and predictions by models not fitted to them."""

    subjects: Int[np.ndarray, " sample"]
    targets: Mapping[str, Targets]
    answers: Mapping[str, Float[np.ndarray, "sample output"]]  # by task
    able: Bool[np.ndarray, " sample"]  # whether any input was recorded


class _Distances(NamedTuple):
    """Distances of each fold's samples from the mean of the other folds."""

    gaussians: tuple[Gaussian, ...]  # one per fold; none unless every fold has one
    distances: Float[np.ndarray, " sample"]  # NaN where not measured


@dataclass(frozen=True)
class Development:
    """The development samples of a fit, and the ensemble fitted to them."""

    study: Study
    codes: Mapping[str, float]  # that are usually recorded
    ranges: Mapping[str, ValueRange]  # of their values
    examples: Examples
    read: Examples | None  # with the arrays that networks read; None without a network
    folds: Sequence[Fold]
    ensemble: Ensemble
    member_predictions: MemberPredictions
    spreads: Mapping[str, AnswerSpread]  # by task
    of_networks: NetworkPredictions | None = None  # of all samples, where they are few

    def reference(self, reserved: OutOfFoldPredictions | None = None, progress: Progress = SILENT) -> Reference:
        """Compute the reference; conformal scores are those of the reserved subjects, if there are any."""
        predictions, calibrators, operating = self.out_of_fold(), {}, {}
        with progress.task("reference", total=len(self.study.tasks) + 1) as advance:
            for task in self.study.tasks:
                ensemble, target = self.ensemble.tasks[task.name], self.examples.targets[task.name]
                calibrators[task.name] = self._calibrators(ensemble, task, target)
                operating[task.name] = _operating(ensemble, predictions, task.name)
                advance(1)
            novelty = self._novelty()
            advance(1)
        scored, split = (predictions, None) if reserved is None else (reserved, self.study.conformal)
        conformity = {task.name: conformity_of(task, scored, split) for task in self.study.tasks}
        return Reference(
            subjects=len(np.unique(self.examples.subjects)),
            samples=len(self.examples),
            codes=self.codes,
            ranges=self.ranges,
            calibrators=calibrators,
            spreads=self.spreads,
            conformity={name: found for name, found in conformity.items() if found is not None},
            operating={name: found for name, found in operating.items() if found},
            novelty=novelty,
            usual_picture=usual_picture(self.read),
            usual_words=self._usual_words(),
        )

    def _usual_words(self) -> Float[np.ndarray, "2 word"] | None:
        """Return how often notes have each word; None unless networks read bags of words."""
        note = {} if self.read is None else self.read.arrays.get("note", {})
        if "word_denied" not in note:
            return None
        sizes = self.ensemble.networks[0].config.encoders["note"].sizes
        assert isinstance(sizes, NoteSizes)
        return usual_words(note, sizes.words)

    def out_of_fold(self) -> OutOfFoldPredictions:
        """Return the combined and calibrated out-of-fold predictions."""
        present, groups = presence_of(self.examples.arrays), self.ensemble.groups_of(self.examples.arrays)
        answers = {
            name: self.ensemble.tasks[name].combine(predictions, present, groups)
            for name, predictions in self.member_predictions.items()
        }
        able = np.logical_or.reduce(list(present.values()))
        return OutOfFoldPredictions(self.examples.subjects, self.examples.targets, answers, able)

    def _calibrators(self, ensemble: TaskEnsemble, task: Task, target: Targets) -> tuple[Calibrator, ...]:
        """Refit the calibration to resampled subjects; resamples that lack a class are left out."""
        if ensemble.calibrator is None or ensemble.calibrator.method == "none":
            return ()
        rows = np.flatnonzero(target.observed)
        mixed = ensemble.mix(self.member_predictions[task.name], presence_of(self.examples.arrays))[rows]
        values, subjects = target.values[rows], self.examples.subjects[rows]
        resamples = Bootstrap(RESAMPLES, seed=self.study.seed).weights(len(rows), subjects)
        calibrators = []
        for weights in (row for chunk in resamples for row in chunk):
            chosen = np.repeat(np.arange(len(rows)), weights.astype(int))
            if task.kind == "multilabel" or not np.any(np.ptp(values[chosen], axis=0) == 0):
                observed = np.ones(len(chosen), dtype=bool)
                fitted = Calibrator.fit(task.kind, mixed[chosen], values[chosen], observed, self.study.calibration)
                calibrators.append(fitted)
        return tuple(calibrators)

    def _novelty(self) -> Novelty | None:
        """Measure each fold's samples from the mean of the others; None where none can be measured."""
        latent = self._distances(self._latents(number, fold) for number, fold in enumerate(self.folds))
        structured = self._distances(self._structured() for _ in self.folds)
        columns = np.stack([latent.distances, structured.distances], axis=1)
        typical = columns[~np.isnan(columns).all(axis=1)]
        return Novelty(latent.gaussians, structured.gaussians, typical) if len(typical) else None

    def _distances(self, features: Iterable[Features | None]) -> _Distances:
        """Measure each fold's samples; `features` holds those of all samples, as each fold's model has them."""
        distances = np.full(len(self.examples), np.nan)
        gaussians = []
        for fold, of_fold in zip(self.folds, features, strict=True):
            if of_fold is None:
                continue
            gaussian, measured = out_of_fold(*of_fold, (self._at_most(fold.training), fold.validation))
            distances[fold.validation] = measured[fold.validation]
            if gaussian is not None:
                gaussians.append(gaussian)
        return _Distances(tuple(gaussians) if len(gaussians) == len(self.folds) else (), distances)

    def _at_most(self, rows: Int[np.ndarray, " row"]) -> Int[np.ndarray, " row"]:
        """Draw `MAX_SAMPLES` of the rows, if there are more."""
        if len(rows) <= MAX_SAMPLES:
            return rows
        return np.sort(np.random.default_rng(self.study.seed).choice(rows, MAX_SAMPLES, replace=False))

    def _structured(self) -> Features | None:
        """Return the standardised structured features, and the samples that have any."""
        if "structured" not in self.examples.arrays:
            return None
        table = self.examples.arrays["structured"]
        return np.asarray(table["values"]), np.asarray(table["present"], dtype=bool)

    def _latents(self, number: int, fold: Fold) -> Features | None:
        """Return the latents of a fold's network (NaN where not computed), and the samples that have any input."""
        if self.read is None:
            return None
        if self.of_networks is not None:
            return self.of_networks.latents[number], self.of_networks.able
        rows = np.sort(np.concatenate([self._at_most(fold.training), fold.validation]))
        outputs = predict_each_network([self.ensemble.networks[number]], self.read.arrays, rows=rows)
        latents = np.full((len(self.examples), outputs.latents.shape[2]), np.nan)
        latents[rows] = outputs.latents[0]
        available = np.zeros(len(self.examples), dtype=bool)
        available[rows] = outputs.able
        return latents, available


def usual_picture(read: Examples | None) -> Float[np.ndarray, "cell channel"] | None:
    """Average the feature maps of all images of all samples; None unless networks read feature maps."""
    image = {} if read is None else read.arrays.get("image", {})
    if "tokens" not in image:
        return None
    tokens, mask = image["tokens"], np.asarray(image["view_mask"])
    total = np.zeros(tokens.shape[2:])
    for start in range(0, len(mask), IMAGE_BATCH):
        rows = slice(start, start + IMAGE_BATCH)
        total += tokens[rows][mask[rows]].sum(axis=0, dtype=np.float64)
    return (total / mask.sum()).astype(np.float32) if mask.any() else None


def usual_words(note: Arrays, vocabulary: int) -> Float[np.ndarray, "2 word"]:
    """Return the share of the samples with notes whose notes affirm (row 0) or deny (row 1) each word."""
    words, is_negated = (np.asarray(note[name])[note["present"]] for name in ("words", "word_denied"))
    occurrences = np.unique(np.stack([np.nonzero(words)[0], words[words != 0], is_negated[words != 0]]), axis=1)
    counts = np.zeros((2, vocabulary))
    np.add.at(counts, (occurrences[2], occurrences[1]), 1)
    return (counts / max(len(words), 1)).astype(np.float32)


def usual_codes(known: pl.DataFrame, samples: int) -> dict[str, float]:
    """Return the codes that at least half of the samples have, with the share that has each."""
    counted = known.group_by(pl.col("code").cast(pl.String)).agg(pl.col("sample").n_unique()).sort("code")
    shares = {code: number / samples for code, number in counted.iter_rows()}
    return {code: share for code, share in shares.items() if share >= USUAL}


def conformity_of(task: Task, predictions: OutOfFoldPredictions, split: str | None) -> Conformity | None:
    """Return the conformal scores of a task, from each subject's latest sample; None for time to event."""
    if task.kind == "time_to_event":
        return None
    target = predictions.targets[task.name]
    usable = np.flatnonzero(target.observed & predictions.able)
    _, last = np.unique(predictions.subjects[usable][::-1], return_index=True)
    rows = usable[::-1][last]
    p, values = predictions.answers[task.name][rows], target.values[rows]
    return Conformity(set_scores(task.kind, p, values), split)


def _operating(ensemble: TaskEnsemble, predictions: OutOfFoldPredictions, task: str) -> tuple[dict[str, Any], ...]:
    """Measure each output at its threshold."""
    observed = predictions.targets[task].observed
    truth, p = predictions.targets[task].values[observed] > 0.5, predictions.answers[task][observed]
    subjects = predictions.subjects[observed]
    measured = [
        threshold_figures(truth[:, place], p[:, place], threshold, subjects)
        for place, threshold in enumerate(ensemble.thresholds)
    ]
    return tuple({name: figures[name].to_dict() for name in KEPT} for figures in measured)

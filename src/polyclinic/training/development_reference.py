"""What a fit remembers of its development samples: see `polyclinic.models.bundle.development_reference`.

All of it stands on answers out of fold, by models that had not seen the sample, or on a split reserved for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Bool, Float, Int

from polyclinic.evaluation import Bootstrap
from polyclinic.evaluation.metrics.conformal import class_scores, residual_scores, yes_or_no
from polyclinic.evaluation.metrics.confusion import threshold_figures
from polyclinic.features import Arrays
from polyclinic.models import NoteSizes
from polyclinic.models.bundle.development_reference import Conformity, Reference
from polyclinic.models.bundle.outliers import Gaussian, Novelty, out_of_fold
from polyclinic.models.ensemble.calibration import Calibrator
from polyclinic.models.ensemble.ensemble import Ensemble, TaskEnsemble
from polyclinic.models.ensemble.members import presence_of
from polyclinic.models.ensemble.network_outputs import predict_each_network
from polyclinic.progress import SILENT, Progress
from polyclinic.study import Study
from polyclinic.tasks import Targets, Task
from polyclinic.training.cross_fitting import MemberPredictions
from polyclinic.training.data.dataset import Examples
from polyclinic.training.data.folds import Fold

USUAL = 0.5
"""Share of the samples that have a code, from which on it is usually recorded."""
RESAMPLES = 100
MOST = 2000
"""Samples that make the mean of one network's latent."""
PICTURES_AT_ONCE = 64
KEPT = ("sensitivity", "specificity", "ppv", "npv")


@dataclass(frozen=True)
class OutOfFoldPredictions:
    """Some samples, their true answers, and what was said of them by models that had not seen them."""

    subjects: Int[np.ndarray, " sample"]
    targets: Mapping[str, Targets]
    answers: Mapping[str, Float[np.ndarray, "sample output"]]  # by task
    able: Bool[np.ndarray, " sample"]  # whether anything was recorded


@dataclass(frozen=True)
class Development:
    """What a fit learnt from, and what came of it."""

    study: Study
    codes: Mapping[str, float]  # that are usually recorded
    examples: Examples
    read: Examples | None  # what networks read; None: there are none
    folds: Sequence[Fold]
    ensemble: Ensemble
    member_predictions: MemberPredictions

    def reference(self, reserved: OutOfFoldPredictions | None = None, progress: Progress = SILENT) -> Reference:
        """Remember what an answer is held against; conformal sets stand on the reserved subjects, if there are any."""
        said, calibrators, operating = self.judged(), {}, {}
        with progress.task("reference", total=len(self.study.tasks) + 1) as advance:
            for task in self.study.tasks:
                ensemble, target = self.ensemble.tasks[task.name], self.examples.targets[task.name]
                calibrators[task.name] = self._calibrators(ensemble, task, target)
                operating[task.name] = _operating(ensemble, said, task.name)
                advance(1)
            novelty = self._novelty()
            advance(1)
        stands_on, split = (said, None) if reserved is None else (reserved, self.study.conformal)
        conformity = {task.name: conformity_of(task, stands_on, split) for task in self.study.tasks}
        return Reference(
            subjects=len(np.unique(self.examples.subjects)),
            samples=len(self.examples),
            codes=self.codes,
            calibrators=calibrators,
            conformity={name: found for name, found in conformity.items() if found is not None},
            operating={name: found for name, found in operating.items() if found},
            novelty=novelty,
            usual_picture=usual_picture(self.read),
            usual_words=self._usual_words(),
        )

    def _usual_words(self) -> Float[np.ndarray, "2 word"] | None:
        """Give how often notes have each word, where networks read words without their order."""
        note = {} if self.read is None else self.read.arrays.get("note", {})
        if "word_denied" not in note:
            return None
        sizes = self.ensemble.networks[0].config.encoders["note"].sizes
        assert isinstance(sizes, NoteSizes)
        return usual_words(note, sizes.words)

    def judged(self) -> OutOfFoldPredictions:
        """Give the answers out of fold."""
        present = presence_of(self.examples.arrays)
        answers = {
            name: self.ensemble.tasks[name].combine(said, present) for name, said in self.member_predictions.items()
        }
        able = np.logical_or.reduce(list(present.values()))
        return OutOfFoldPredictions(self.examples.subjects, self.examples.targets, answers, able)

    def _calibrators(self, ensemble: TaskEnsemble, task: Task, target: Targets) -> tuple[Calibrator, ...]:
        """Learn the calibration again on resampled subjects; a resample without one of the classes is left out."""
        if ensemble.calibrator is None or ensemble.calibrator.method == "none":
            return ()
        rows = np.flatnonzero(target.observed)
        mixed = ensemble.mix(self.member_predictions[task.name], presence_of(self.examples.arrays))[rows]
        values, subjects = target.values[rows], self.examples.subjects[rows]
        drawn = Bootstrap(RESAMPLES, seed=self.study.seed).weights(len(rows), subjects)
        found = []
        for weights in (row for some in drawn for row in some):
            chosen = np.repeat(np.arange(len(rows)), weights.astype(int))
            if task.kind == "multilabel" or not np.any(np.ptp(values[chosen], axis=0) == 0):
                seen = np.ones(len(chosen), dtype=bool)
                fitted = Calibrator.fit(task.kind, mixed[chosen], values[chosen], seen, self.study.calibration)
                found.append(fitted)
        return tuple(found)

    def _novelty(self) -> Novelty | None:
        """Measure each fold's samples from the mean of the others; None where nobody can be measured."""
        columns = np.full((len(self.examples), 2), np.nan)
        latents, structured = [], []
        for number, fold in enumerate(self.folds):
            if self.read is not None:
                latents.append(self._measured(columns[:, 0], *self._latents(number, fold), fold))
            if "structured" in self.examples.arrays:
                table = self.examples.arrays["structured"]
                present = np.asarray(table["present"], dtype=bool)
                structured.append(self._measured(columns[:, 1], np.asarray(table["values"]), present, fold))
        typical = columns[~np.isnan(columns).all(axis=1)]
        if not len(typical):
            return None
        kept = (tuple(one for one in some if one is not None) for some in (latents, structured))
        of_latents, of_table = (found if len(found) == len(self.folds) else () for found in kept)
        return Novelty(of_latents, of_table, typical)

    def _measured(
        self,
        column: Float[np.ndarray, " sample"],
        rows: Float[np.ndarray, "sample column"],
        there: Bool[np.ndarray, " sample"],
        fold: Fold,
    ) -> Gaussian | None:
        """Write how far a fold's samples lie from the mean of the others into a column; give what they lie from."""
        gaussian, away = out_of_fold(rows, there, (self._some(fold.training), fold.validation))
        column[fold.validation] = away[fold.validation]
        return gaussian

    def _some(self, rows: Int[np.ndarray, " row"]) -> Int[np.ndarray, " row"]:
        """Give as many of the rows as a mean needs."""
        if len(rows) <= MOST:
            return rows
        return np.sort(np.random.default_rng(self.study.seed).choice(rows, MOST, replace=False))

    def _latents(self, number: int, fold: Fold) -> tuple[np.ndarray, np.ndarray]:
        """Give the latents of a fold's network (NaN of samples that it is not asked about), and who has anything."""
        assert self.read is not None
        rows = np.sort(np.concatenate([self._some(fold.training), fold.validation]))
        network_predictions = predict_each_network([self.ensemble.networks[number]], self.read.arrays, rows=rows)
        latents = np.full((len(self.examples), network_predictions.latents.shape[2]), np.nan)
        latents[rows] = network_predictions.latents[0]
        there = np.zeros(len(self.examples), dtype=bool)
        there[rows] = network_predictions.able
        return latents, there


def usual_picture(read: Examples | None) -> Float[np.ndarray, "cell channel"] | None:
    """Average the maps of all pictures that networks read, each counted once a sample; None where they read no maps."""
    image = {} if read is None else read.arrays.get("image", {})
    if "tokens" not in image:
        return None
    tokens, mask = image["tokens"], np.asarray(image["view_mask"])
    total = np.zeros(tokens.shape[2:])
    for start in range(0, len(mask), PICTURES_AT_ONCE):
        rows = slice(start, start + PICTURES_AT_ONCE)
        total += tokens[rows][mask[rows]].sum(axis=0, dtype=np.float64)
    return (total / mask.sum()).astype(np.float32) if mask.any() else None


def usual_words(note: Arrays, vocabulary: int) -> Float[np.ndarray, "2 word"]:
    """Give the share of the samples with notes whose notes say each word of the vocabulary, and that deny it."""
    words, is_denied = (np.asarray(note[name])[note["present"]] for name in ("words", "word_denied"))
    of_each = np.unique(np.stack([np.nonzero(words)[0], words[words != 0], is_denied[words != 0]]), axis=1)
    counts = np.zeros((2, vocabulary))
    np.add.at(counts, (of_each[2], of_each[1]), 1)
    return (counts / max(len(words), 1)).astype(np.float32)


def usual_codes(known: pl.DataFrame, samples: int) -> dict[str, float]:
    """Give the codes that at least half of the samples have, and the share that has each."""
    counted = known.group_by(pl.col("code").cast(pl.String)).agg(pl.col("sample").n_unique()).sort("code")
    shares = {code: number / samples for code, number in counted.iter_rows()}
    return {code: share for code, share in shares.items() if share >= USUAL}


def conformity_of(task: Task, said: OutOfFoldPredictions, split: str | None) -> Conformity | None:
    """Give the conformal scores of a task, of one sample a subject (its latest); None for time to event."""
    if task.kind == "time_to_event":
        return None
    target = said.targets[task.name]
    usable = np.flatnonzero(target.observed & said.able)
    _, last = np.unique(said.subjects[usable][::-1], return_index=True)
    rows = usable[::-1][last]
    p, values = said.answers[task.name][rows], target.values[rows]
    return Conformity(tuple(np.sort(scores) for scores in _scores(task, p, values)), split)


def _scores(task: Task, p: np.ndarray, values: np.ndarray) -> list[np.ndarray]:
    if task.kind == "regression":
        return [residual_scores(p[:, 0], values[:, 0])]
    if task.kind == "multiclass":
        return [class_scores(p, values.argmax(axis=1))]
    return [
        class_scores(yes_or_no(column), (truth > 0.5).astype(np.int64))
        for column, truth in zip(p.T, values.T, strict=True)
    ]


def _operating(ensemble: TaskEnsemble, said: OutOfFoldPredictions, task: str) -> tuple[dict[str, Any], ...]:
    """Measure each output at its threshold."""
    seen = said.targets[task].observed
    truth, p, subjects = said.targets[task].values[seen] > 0.5, said.answers[task][seen], said.subjects[seen]
    measured = [
        threshold_figures(truth[:, place], p[:, place], threshold, subjects)
        for place, threshold in enumerate(ensemble.thresholds)
    ]
    return tuple({name: figures[name].to_dict() for name in KEPT} for figures in measured)

"""Measures a bundle on subjects it has not learnt from: every task, every member, every subset of the inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import yaml

from polyclinic.cohort import SPLITS, Cohort
from polyclinic.evaluation import (
    Binary,
    Bootstrap,
    Comparison,
    Evaluation,
    Kind,
    Multiclass,
    Multilabel,
    Regression,
    TimeToEvent,
    by_subset,
    compare,
)
from polyclinic.evaluation import evaluate as measure
from polyclinic.evaluation.estimate import decimal
from polyclinic.evaluation.report.card import Card
from polyclinic.features import Arrays
from polyclinic.models import subsets
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.bundle.predictions import with_inputs
from polyclinic.models.network.modality_dropout import keeping
from polyclinic.progress import SILENT, Advance, Progress
from polyclinic.study import Study, StudyError
from polyclinic.tasks import Targets, Task, samples
from polyclinic.training.evaluation.subgroups import subgroups

UNIFIED = "unified"
"""The name of the whole bundle among its members."""
SYNTHETIC = "demo"
"""Prefix of the tasks of the synthetic cohort."""


@dataclass(frozen=True)
class TaskPredictions:
    """What was said of one task: by the whole, by its members, and by the whole given only some inputs."""

    answers: np.ndarray  # [sample, output]
    members: Mapping[str, np.ndarray]
    given: Mapping[tuple[str, ...], np.ndarray]
    thresholds: tuple[float | np.ndarray, ...] = ()  # at which each output is called: of all samples, or of each
    bins: tuple[float, ...] = ()  # ends of the bins of time to event

    @property
    def models(self) -> int:
        """How many are to be measured."""
        return 1 + len(self.members) + len(self.given)


@dataclass(frozen=True)
class Measured:
    """What was measured of one task, and the predictions that it rests on."""

    task: Task
    evaluation: Evaluation
    comparison: Comparison  # of the whole bundle with each of its members
    subsets: Comparison | None  # of the bundle with itself when only some inputs are given
    card: Card
    said: TaskPredictions

    @property
    def answers(self) -> np.ndarray:
        """What the whole said, [sample, output]."""
        return self.said.answers


@dataclass(frozen=True)
class Report:
    """What was measured of a bundle on a cohort."""

    samples: pl.DataFrame  # with the `inputs` that each has
    tasks: dict[str, Measured]
    learnt: int = 0  # subjects of the same cohort that the bundle learnt from, so that figures on them flatter

    def __getitem__(self, task: str) -> Measured:
        """Give what was measured of a task."""
        return self.tasks[task]

    @property
    def cards(self) -> list[Card]:
        """The model card of each task."""
        return [measured.card for measured in self.tasks.values()]


def evaluate(
    bundle: Bundle,
    cohort: Cohort,
    split: str | None = "held_out",
    *,
    subjects: Sequence[int] | None = None,
    tasks: Sequence[str] | None = None,
    by: Sequence[str] = (),
    every_subset: bool = True,
    resamples: int = 2000,
    progress: Progress = SILENT,
) -> Report:
    """Measure a bundle on the subjects of a split, on given `subjects`, or on all (both None).

    Only `tasks` are measured, where given: for a cohort that answers some. Figures come by sex, age band, recorded
    inputs, and each code of `by`: its latest text, the third of its numbers, or whether it is recorded.

    Raises:
        StudyError: nobody there has an answer to a task, or the split or a code of `by` is not one.
    """
    wanted = bundle.tasks if tasks is None else tuple(bundle.task(name) for name in tasks)
    sampled = samples(cohort, wanted)
    rows = sampled.rows(_subjects(cohort, split, subjects, sampled.frame))
    learnt = _learnt(bundle, cohort, sampled.frame[rows]["subject_id"])
    frame = sampled.frame[rows].drop("sample").with_row_index("sample")
    targets = {name: Targets(*(part[rows] for part in target)) for name, target in sampled.targets.items()}
    unanswered = [name for name, target in targets.items() if not target.observed.any()]
    if unanswered:
        raise StudyError(
            f"nobody in {split or 'the cohort'} has an answer to {', '.join(unanswered)}: choose another split"
        )
    arrays = bundle.arrays(cohort, frame, progress)
    said = bundle.ensemble.answer(arrays, every_member=True)
    partial = answers_by_subset(bundle, arrays, progress) if every_subset and len(bundle.inputs) > 1 else {}
    sheet = EvaluationContext(
        cohort=cohort,
        frame=frame,
        groups=subgroups(cohort, frame, arrays, by),
        inputs=bundle.inputs,
        origin=bundle.origin,
        where=(split or "all subjects given")
        + (f" ({learnt} of them learnt from, so the figures flatter)" if learnt else ""),
        rule=Study.model_validate(yaml.safe_load(bundle.study)).operating_rule,
        bootstrap=Bootstrap(resamples),
    )
    member_predictions = {
        task.name: TaskPredictions(
            said[task.name].answers,
            {name: prediction.answers for name, prediction in said[task.name].members.items()},
            {subset: answers[task.name] for subset, answers in partial.items()},
            bundle.ensemble.tasks[task.name].thresholds,
            bundle.ensemble.bins(task.name),
        )
        for task in wanted
    }
    return Report(with_inputs(frame, arrays), sheet.measure(wanted, targets, member_predictions, progress), learnt)


@dataclass(frozen=True)
class EvaluationContext:
    """Who is measured, and what is told of it beside the figures."""

    cohort: Cohort
    frame: pl.DataFrame
    groups: Mapping[str, Sequence[object]]
    inputs: tuple[str, ...]
    origin: Mapping[str, Any]
    where: str
    rule: str  # which threshold is the operating one
    bootstrap: Bootstrap

    def measure(
        self,
        tasks: Sequence[Task],
        targets: Mapping[str, Targets],
        said: Mapping[str, TaskPredictions],
        progress: Progress,
    ) -> dict[str, Measured]:
        """Measure every task."""
        with progress.task("measuring", total=sum(said[task.name].models for task in tasks)) as advance:
            return {task.name: self._measure(task, targets[task.name], said[task.name], advance) for task in tasks}

    def _measure(self, task: Task, target: Targets, said: TaskPredictions, advance: Advance) -> Measured:
        """Measure one task: the whole, its members, and what it says when given only some inputs."""
        kind = kind_of(task, said)
        truth = target.values[:, 0] if task.kind in ("binary", "regression") else target.values
        truth = truth.argmax(axis=1) if task.kind == "multiclass" else truth
        common: dict[str, Any] = {
            "subjects": self.frame["subject_id"].to_numpy(),
            "observed": target.observed,
            "bootstrap": self.bootstrap,
        }
        whole = as_measured(task, said, said.answers)
        evaluation = measure(kind, truth, whole, groups=self.groups, **common)
        advance(1)
        joint = {name: as_measured(task, said, answers) for name, answers in said.members.items() if ":" not in name}
        comparison = compare(kind, truth, {UNIFIED: whole} | joint, UNIFIED, **common)
        advance(len(said.members))
        partial: dict[Any, np.ndarray] = {
            subset: as_measured(task, said, answers) for subset, answers in said.given.items()
        }
        found = by_subset(kind, truth, partial, **common) if partial else None
        advance(len(partial))
        card = self._card(task, said, evaluation, comparison, found)
        return Measured(task, evaluation, comparison, found, card, said)

    def _card(
        self,
        task: Task,
        said: TaskPredictions,
        evaluation: Evaluation,
        comparison: Comparison,
        found: Comparison | None,
    ) -> Card:
        summary, origin = self.cohort.summary(), self.origin
        return Card(
            model=UNIFIED,
            task=task.name,
            question=task.describe(),
            evaluation=evaluation,
            inputs=self.inputs,
            data={
                "subjects in the cohort": summary.subjects,
                "events": summary.events,
                "developed on": f"{origin['development_subjects']} subjects",
                "measured on": f"{self.where}, {evaluation.subjects} subjects",
            },
            splits=dict(summary.splits),
            comparison=comparison,
            subsets=found,
            provenance={
                "Polyclinic": str(origin["polyclinic"]),
                "seed": str(origin["seed"]),
                "development cohort": str(origin["cohort"])[:16],
                "measured cohort": self.cohort.fingerprint[:16],
            },
            operating=called_at(said, self.rule),
            synthetic=task.name.startswith(SYNTHETIC),
        )


def as_measured(task: Task, said: TaskPredictions, answers: np.ndarray) -> np.ndarray:
    """Give answers as the evaluation reads them: chances to be event-free; thresholds beside, where samples differ."""
    if task.kind == "time_to_event":
        return 1 - answers
    if any(np.ndim(threshold) for threshold in said.thresholds):
        answers = np.stack([answers, np.stack(said.thresholds, axis=1)], axis=2)
    return answers[:, 0] if task.kind in ("binary", "regression") else answers


def kind_of(task: Task, said: TaskPredictions) -> Kind:
    """Give how a task is measured, at the operating thresholds that were chosen in development (the median shown)."""
    thresholds = tuple(float(np.median(threshold)) for threshold in said.thresholds)
    match task.kind:
        case "binary":
            return Binary(thresholds[0] if thresholds else None)
        case "multiclass":
            return Multiclass(task.classes)
        case "multilabel":
            return Multilabel(task.classes, thresholds or None)
        case "regression":
            return Regression()
        case _:
            middle = said.bins[len(said.bins) // 2 - 1] if len(said.bins) > 1 else said.bins[0]
            return TimeToEvent(said.bins, (middle,))


def called_at(said: TaskPredictions, rule: str) -> str:
    """Say in a sentence at which threshold samples were called positive, and on which rule it stands."""
    if not said.thresholds:
        return ""
    own, several = bool(np.ndim(said.thresholds[0])), len(said.thresholds) > 1
    low, high = (decimal(float(end(said.thresholds[0]))) for end in (np.min, np.max))
    threshold = "the label's threshold" if several else "the threshold"
    where = " in the models that had not seen them" if own else ""
    value = "" if several else f" ({low} to {high})" if own else f" ({low})"
    return f"Everyone at or above {threshold}{where}{value} was called positive: {rule}."


def answers_by_subset(
    bundle: Bundle, arrays: Mapping[str, Arrays], progress: Progress
) -> dict[tuple[str, ...], dict[str, np.ndarray]]:
    """Answer from each subset of the inputs, as if the others had not been recorded."""
    chosen = list(subsets(bundle.inputs))
    found: dict[tuple[str, ...], dict[str, np.ndarray]] = {}
    with progress.task("subsets of inputs", total=len(chosen)) as advance:
        for members in chosen:
            said = bundle.ensemble.answer(keeping(arrays, members))
            found[members] = {task: answers.answers for task, answers in said.items()}
            advance(1)
    return found


def _subjects(cohort: Cohort, split: str | None, subjects: Sequence[int] | None, frame: pl.DataFrame) -> Sequence[int]:
    if subjects is not None:
        return subjects
    if split is None:
        return frame["subject_id"].unique().to_list()
    if split not in SPLITS:
        raise StudyError(f"unknown split {split!r}: choose from {', '.join(SPLITS)}")
    return cohort.subjects_in(split)


def _learnt(bundle: Bundle, cohort: Cohort, measured: pl.Series) -> int:
    """Count the subjects of the very cohort that the bundle learnt from, among those measured."""
    if cohort.fingerprint != bundle.origin["cohort"]:
        return 0
    learnt = {subject for split in bundle.origin["development"] for subject in cohort.subjects_in(split)}
    return len(learnt & set(measured.to_list()))

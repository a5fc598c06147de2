"""Evaluate a bundle on a cohort: every task, every member, every subset of the inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from polyclinic.cohort import SPLITS, Cohort
from polyclinic.compute.threads import one_thread
from polyclinic.evaluation import Bootstrap, Comparison, Evaluation, Kind, by_subset, compare
from polyclinic.evaluation import evaluate as measure
from polyclinic.evaluation.estimate import decimal
from polyclinic.evaluation.prediction_sets import PredictionSets, prediction_sets, set_coverage
from polyclinic.evaluation.report.about import About
from polyclinic.evaluation.report.card import Card
from polyclinic.evaluation.report.description import Description
from polyclinic.features import Arrays
from polyclinic.features.known_record import known_record
from polyclinic.models import subsets
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.bundle.predictions import with_inputs
from polyclinic.models.bundle.shift import MOST_CODES, Shift
from polyclinic.models.bundle.subject_digest import SubjectDigest
from polyclinic.models.ensemble.ensemble import Answers
from polyclinic.models.ensemble.members import presence_of
from polyclinic.progress import SILENT, Advance, Progress
from polyclinic.study import StudyError
from polyclinic.tasks import Targets, Task, samples
from polyclinic.training.description.characteristics import recorded
from polyclinic.training.description.development import about_of, development_facts
from polyclinic.training.description.measured import MeasuredSamples
from polyclinic.training.description.performance import kind_with, truth_of
from polyclinic.training.evaluation.subgroups import ages_at, sexes_at, subgroups

UNIFIED = "unified"
"""Name of the combined model, among its members."""
SYNTHETIC = "demo"
"""Prefix of the tasks of the synthetic cohort."""


@dataclass(frozen=True)
class TaskPredictions:
    """Predictions of one task: the combined model's, each member's, and the combined model's from some inputs only."""

    answers: np.ndarray  # [sample, output]
    members: Mapping[str, np.ndarray]
    given: Mapping[tuple[str, ...], np.ndarray]  # by the inputs that were given
    thresholds: tuple[float | np.ndarray, ...] = ()  # of each output: one for all samples, or one per sample
    bins: tuple[float, ...] = ()  # ends of the bins of time to event
    sets: PredictionSets | None = None  # None: the bundle has no conformity scores, or the task no sets

    @property
    def models(self) -> int:
        """Number of models to evaluate."""
        return 1 + len(self.members) + len(self.given)


@dataclass(frozen=True)
class Measured:
    """The results of one task, and the predictions that they come from."""

    task: Task
    evaluation: Evaluation
    comparison: Comparison  # of the combined model with each of its members
    subsets: Comparison | None  # of the combined model with itself from fewer inputs
    card: Card
    predictions: TaskPredictions

    @property
    def answers(self) -> np.ndarray:
        """Predictions of the combined model, [sample, output]."""
        return self.predictions.answers


@dataclass(frozen=True)
class Report:
    """The results of a bundle on a cohort."""

    samples: pl.DataFrame  # with the recorded `inputs` of each
    tasks: dict[str, Measured]
    training_subjects: int = 0  # evaluated subjects that the bundle was fitted to: the figures are optimistic
    shift: Shift = field(default_factory=Shift)  # of the samples from those of development

    def __getitem__(self, task: str) -> Measured:
        """Return the results of a task."""
        return self.tasks[task]

    @property
    def cards(self) -> list[Card]:
        """The model card of each task."""
        return [measured.card for measured in self.tasks.values()]


@one_thread()
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
    about: About | None = None,
    progress: Progress = SILENT,
) -> Report:
    """Evaluate a bundle on the subjects of a split, on given `subjects`, or on all (both None).

    `tasks` selects the tasks to evaluate, for a cohort that has labels for some only. Subgroups are sex, age band,
    recorded inputs, and each code of `by`: its latest text, the tertile of its numbers, or whether it is recorded.
    `about` are statements for the card, instead of those in the bundle.

    Raises:
        StudyError: no subject has a label for a task, or the split or a code of `by` is unknown.
    """
    wanted = bundle.tasks if tasks is None else tuple(bundle.task(name) for name in tasks)
    sampled = samples(cohort, wanted)
    evaluated = sampled.take(sampled.rows(_subjects(cohort, split, subjects, sampled.frame)))
    _check_labelled(evaluated.targets, split)
    frame = evaluated.frame
    training_subjects = _training_subjects(bundle, cohort, frame["subject_id"])
    known = known_record(cohort.events(), frame, bundle.tasks)
    arrays = bundle.arrays(cohort, frame, progress, known)
    predicted = bundle.ensemble.predict(arrays, every_member=True)
    answers, shift = bundle.ensemble.combine(predicted), bundle.shift(known, arrays, predicted)
    of_bundle = {task.name: development_facts(bundle, task.name) for task in wanted}
    like = next((own.baseline for own in of_bundle.values() if own is not None), None)
    had = recorded(known, frame, ages_at(cohort, frame), sexes_at(cohort, frame), bundle.features, like)
    del known
    measured = MeasuredSamples(cohort, evaluated, had, split or "all subjects given", shift.unlike_share)
    stated = about_of(bundle, about)
    context = EvaluationContext(
        cohort=cohort,
        frame=frame,
        descriptions={
            task.name: Description(of_bundle[task.name], measured.facts(task, of_bundle[task.name]), stated)
            for task in wanted
        },
        groups=subgroups(cohort, frame, arrays, by),
        inputs=bundle.inputs,
        origin=bundle.origin,
        where=(split or "all subjects given") + _optimism(bundle, cohort, training_subjects),
        rule=bundle.study.operating_rule,
        bootstrap=Bootstrap(resamples),
        shift=shift,
    )
    given = answers_by_subset(bundle, arrays, progress) if every_subset and len(bundle.inputs) > 1 else {}
    predictions = {task.name: _predictions(bundle, task, answers[task.name], given, arrays) for task in wanted}
    results = context.measure(wanted, evaluated.targets, predictions, progress)
    return Report(with_inputs(frame, arrays), results, training_subjects, shift)


def _check_labelled(targets: Mapping[str, Targets], split: str | None) -> None:
    unlabelled = [name for name, target in targets.items() if not target.observed.any()]
    if unlabelled:
        raise StudyError(
            f"no subject in {split or 'the cohort'} has a label for {', '.join(unlabelled)}: choose another split"
        )


def _predictions(
    bundle: Bundle,
    task: Task,
    combined: Answers,
    given: Mapping[tuple[str, ...], Mapping[str, np.ndarray]],
    arrays: Mapping[str, Arrays],
) -> TaskPredictions:
    return TaskPredictions(
        combined.answers,
        {name: prediction.answers for name, prediction in combined.members.items()},
        {subset: by_task[task.name] for subset, by_task in given.items()},
        bundle.ensemble.tasks[task.name].thresholds,
        bundle.ensemble.bins(task.name),
        sets_of(bundle, task, combined.answers, arrays),
    )


@dataclass(frozen=True)
class EvaluationContext:
    """The evaluated samples, and what the card says of them beside the figures."""

    cohort: Cohort
    frame: pl.DataFrame
    groups: Mapping[str, Sequence[object]]
    inputs: tuple[str, ...]
    origin: Mapping[str, Any]
    where: str
    rule: str  # by which the operating threshold was chosen
    bootstrap: Bootstrap
    shift: Shift = field(default_factory=Shift)
    descriptions: Mapping[str, Description] = field(default_factory=dict)  # by task

    def measure(
        self,
        tasks: Sequence[Task],
        targets: Mapping[str, Targets],
        predictions: Mapping[str, TaskPredictions],
        progress: Progress,
    ) -> dict[str, Measured]:
        """Evaluate every task."""
        with progress.task("measuring", total=sum(predictions[task.name].models for task in tasks)) as advance:
            return {
                task.name: self._measure(task, targets[task.name], predictions[task.name], advance) for task in tasks
            }

    def _measure(self, task: Task, target: Targets, predictions: TaskPredictions, advance: Advance) -> Measured:
        """Evaluate one task: the combined model, its members, and the combined model from some inputs only."""
        kind = kind_of(task, predictions)
        truth = truth_of(task, target)
        common: dict[str, Any] = {
            "subjects": self.frame["subject_id"].to_numpy(),
            "observed": target.observed,
            "bootstrap": self.bootstrap,
        }
        combined = as_measured(task, predictions, predictions.answers)
        evaluation = measure(kind, truth, combined, groups=self.groups, **common)
        if predictions.sets is not None:
            names, units = task.classes, common["subjects"]
            rows = set_coverage(task.kind, predictions.sets, truth, names, target.observed, self.groups, units)
            evaluation = replace(evaluation, sets=rows)
        advance(1)
        joint = {
            name: as_measured(task, predictions, answers)
            for name, answers in predictions.members.items()
            if ":" not in name  # those of one modality alone
        }
        comparison = compare(kind, truth, {UNIFIED: combined} | joint, UNIFIED, **common)
        advance(len(predictions.members))
        partial: dict[Any, np.ndarray] = {
            subset: as_measured(task, predictions, answers) for subset, answers in predictions.given.items()
        }
        subsets_compared = by_subset(kind, truth, partial, **common) if partial else None
        advance(len(partial))
        card = self._card(task, predictions, evaluation, comparison, subsets_compared)
        return Measured(task, evaluation, comparison, subsets_compared, card, predictions)

    def _card(
        self,
        task: Task,
        predictions: TaskPredictions,
        evaluation: Evaluation,
        comparison: Comparison,
        subsets_compared: Comparison | None,
    ) -> Card:
        summary, origin = self.cohort.summary(), self.origin
        data: dict[str, str | int] = {
            "subjects in the cohort": summary.subjects,
            "events": summary.events,
            "developed on": f"{origin['development_subjects']} subjects",
            "measured on": f"{self.where}, {evaluation.subjects} subjects",
        }
        return Card(
            model=UNIFIED,
            task=task.name,
            question=task.describe(),
            evaluation=evaluation,
            inputs=self.inputs,
            data=data | self._ignored(),
            splits=dict(summary.splits) if self.cohort.fingerprint == origin["cohort"] else {},
            comparison=comparison,
            subsets=subsets_compared,
            provenance={
                "Polyclinic": str(origin["polyclinic"]),
                "seed": str(origin["seed"]),
                "development cohort": str(origin["cohort"])[:16],
                "measured cohort": self.cohort.fingerprint[:16],
            },
            operating=called_at(predictions, self.rule),
            synthetic=task.name.startswith(SYNTHETIC),
            description=self.descriptions.get(task.name),
            found=(*origin.get("leaks", {}).get(task.name, ()), *self.shift.cautions),
        )

    def _ignored(self) -> dict[str, str | int]:
        """Return the codes that training did not have, as a row of the card's data."""
        counts = self.shift.ignored
        named = ", ".join(f"{code} ({number:,})" for code, number in list(counts.items())[:MOST_CODES])
        more = f" and {len(counts) - MOST_CODES:,} more" if len(counts) > MOST_CODES else ""
        return {"codes not known from training, and ignored (events)": named + more} if counts else {}


def as_measured(task: Task, predictions: TaskPredictions, answers: np.ndarray) -> np.ndarray:
    """Convert answers for the evaluation: risks to survival; with each sample's threshold beside, where they differ."""
    if task.kind == "time_to_event":
        return 1 - answers
    if any(np.ndim(threshold) for threshold in predictions.thresholds):
        answers = np.stack([answers, np.stack(predictions.thresholds, axis=1)], axis=2)
    return answers[:, 0] if task.kind in ("binary", "regression") else answers


def kind_of(task: Task, predictions: TaskPredictions) -> Kind:
    """Return the metrics of a task, at the operating thresholds; where samples differ, the median is shown."""
    thresholds = tuple(float(np.median(threshold)) for threshold in predictions.thresholds)
    return kind_with(task, thresholds, predictions.bins)


def called_at(predictions: TaskPredictions, rule: str) -> str:
    """Describe the threshold at which samples were called positive, and the rule by which it was chosen."""
    if not predictions.thresholds:
        return ""
    first = predictions.thresholds[0]
    own, several = bool(np.ndim(first)), len(predictions.thresholds) > 1
    low, high = (decimal(float(end(first))) for end in (np.min, np.max))
    threshold = "the label's threshold" if several else "the threshold"
    where = " in the models that had not seen them" if own else ""
    value = "" if several else f" ({low} to {high})" if own else f" ({low})"
    return f"Everyone at or above {threshold}{where}{value} was called positive: {rule}."


def sets_of(bundle: Bundle, task: Task, answers: np.ndarray, arrays: Mapping[str, Arrays]) -> PredictionSets | None:
    """Return the conformal sets of a task's predictions; None for time to event, or without conformity scores."""
    conformity = bundle.reference.conformity.get(task.name) if bundle.reference else None
    if conformity is None:
        return None
    thresholds = bundle.ensemble.tasks[task.name].thresholds
    answered = np.logical_or.reduce(list(presence_of(arrays).values()))
    return PredictionSets(prediction_sets(task.kind, answers, conformity.scores, thresholds), answered)


def answers_by_subset(
    bundle: Bundle, arrays: Mapping[str, Arrays], progress: Progress
) -> dict[tuple[str, ...], dict[str, np.ndarray]]:
    """Predict from each subset of the inputs, as if the others had not been recorded; by subset, then task."""
    chosen = list(subsets(bundle.inputs))
    with progress.task("subsets of inputs", total=len(chosen)) as advance:
        predictions = bundle.ensemble.answer_from_subsets(arrays, chosen)
        advance(len(chosen))
    return {
        given: {task: prediction.answers for task, prediction in by_task.items()}
        for given, by_task in predictions.items()
    }


def _subjects(cohort: Cohort, split: str | None, subjects: Sequence[int] | None, frame: pl.DataFrame) -> Sequence[int]:
    if subjects is not None:
        return subjects
    if split is None:
        return frame["subject_id"].unique().to_list()
    if split not in SPLITS:
        raise StudyError(f"unknown split {split!r}: choose from {', '.join(SPLITS)}")
    return cohort.subjects_in(split)


def _optimism(bundle: Bundle, cohort: Cohort, training_subjects: int) -> str:
    if not training_subjects:
        return ""
    same = cohort.fingerprint == bundle.origin["cohort"]
    known = (
        "used in training, so" if same else "with the id of a subject used in training; if they are the same people,"
    )
    return f" ({training_subjects} of them {known} the figures are optimistic)"


def _training_subjects(bundle: Bundle, cohort: Cohort, evaluated: pl.Series) -> int:
    """Count the evaluated subjects that the bundle was fitted to; on another cohort, those with the id of one."""
    if cohort.fingerprint != bundle.origin["cohort"]:
        return SubjectDigest.from_text(bundle.origin["subject_digest"]).count(evaluated.unique())
    development = {subject for split in bundle.origin["development"] for subject in cohort.subjects_in(split)}
    return len(development & set(evaluated.to_list()))

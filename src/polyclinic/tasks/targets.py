"""Labels as numbers, beside the samples that a model is trained on; several tasks share one list of samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from polyclinic.cohort import SPLITS, Cohort
from polyclinic.tasks.labels import Labels, label
from polyclinic.tasks.task import Task
from polyclinic.tasks.validation import CLASS_SEPARATOR


class Targets(NamedTuple):
    """The target of one task for some samples; where it is not observed, `values` is 0 and means nothing.

    The columns of `values` are the task's `target_columns`: 0 or 1 for yes-or-no questions and for each class, the
    number for regression, the duration and whether it ended in the event for time to event.
    """

    values: np.ndarray  # float64 [sample, column]
    observed: np.ndarray  # Boolean [sample]


@dataclass(frozen=True)
class Samples:
    """Every (subject, prediction time) at which at least one task is answered, and the targets of each task."""

    frame: pl.DataFrame  # sample (its row number, uint32), subject_id, prediction_time; sorted by the latter two
    targets: Mapping[str, Targets]  # by the name of the task, aligned with `frame`
    labels: Mapping[str, Labels]  # of the whole cohort

    def rows(self, subjects: Sequence[int]) -> np.ndarray:
        """Give the rows of some subjects' samples, int64."""
        return np.flatnonzero(self.frame["subject_id"].is_in(list(subjects)).to_numpy())

    def take(self, rows: np.ndarray) -> "Samples":
        """Return the samples in `rows`, renumbered, and their targets."""
        targets = {name: Targets(*(part[rows] for part in target)) for name, target in self.targets.items()}
        return Samples(renumber_samples(self.frame[rows]), targets, self.labels)


def samples(cohort: Cohort, tasks: Sequence[Task]) -> Samples:
    """Label several tasks and put them side by side; a sample that a task does not answer is unobserved there.

    Raises:
        TaskError: as `label` does for each task.
    """
    labels = {task.name: label(cohort, task) for task in tasks}
    frame = number_samples(pl.concat([labelled.frame.select(KEY) for labelled in labels.values()]))
    return Samples(frame, {name: as_targets(labelled, frame) for name, labelled in labels.items()}, labels)


KEY = ("subject_id", "prediction_time")


def number_samples(times: pl.DataFrame) -> pl.DataFrame:
    """Give each distinct `subject_id` and `prediction_time` a number: the frame that `known_at` asks for."""
    return times.select(KEY).unique().sort(KEY).with_row_index("sample")


def renumber_samples(samples: pl.DataFrame) -> pl.DataFrame:
    """Number selected samples from 0 in their present order; other columns stay."""
    return samples.drop("sample").with_row_index("sample")


def as_targets(labels: Labels, samples: pl.DataFrame) -> Targets:
    """Give the labels as numbers, aligned with the rows of `samples` (`subject_id`, `prediction_time`)."""
    answers = labels.frame.select(*KEY, *_columns(labels.task)).with_columns(observed=pl.lit(True))
    aligned = samples.select(KEY).join(answers, on=list(KEY), how="left", maintain_order="left")
    values = aligned.select(pl.col(labels.task.target_columns).cast(pl.Float64).fill_null(0)).to_numpy()
    return Targets(np.ascontiguousarray(values), aligned["observed"].fill_null(False).to_numpy())


def _columns(task: Task) -> list[pl.Expr]:
    """Turn the columns of MEDS' label schema into those of the target."""
    if task.kind == "time_to_event":
        return [pl.col("float_value").alias("duration"), pl.col("boolean_value").alias("event")]
    if task.kind == "multiclass":
        return [(pl.col("categorical_value") == name).alias(name) for name in task.classes]
    if task.kind == "multilabel":
        held = pl.col("categorical_value").str.split(CLASS_SEPARATOR)
        return [held.list.contains(name).alias(name) for name in task.classes]
    column = "boolean_value" if task.kind == "binary" else "float_value"
    return [pl.col(column).alias(task.outputs[0])]


class Answers(NamedTuple):
    """How many samples of a split are labelled, and how many of them have each answer.

    The answers are yes and no, the classes (several may hold in a multilabel task), event and censored for time to
    event, and none for regression.
    """

    labelled: int
    answers: Mapping[str, int]


def count_answers(labels: Labels, splits: pl.DataFrame) -> dict[str, Answers]:
    """Count the answers in each split of `splits` (`subject_id`, `split`), that of a cohort."""
    held = _held(labels)
    split = labels.frame.select("subject_id").join(splits, on="subject_id", how="left", maintain_order="left")["split"]
    inside = {name: (split == name).to_numpy() for name in SPLITS}
    return {
        name: Answers(int(rows.sum()), {answer: int(holds[rows].sum()) for answer, holds in held.items()})
        for name, rows in inside.items()
    }


def _held(labels: Labels) -> dict[str, np.ndarray]:
    """Say of each answer to which labels it is given, Boolean [label]."""
    if labels.task.kind == "regression":
        return {}
    given = as_targets(labels, labels.frame).values == 1
    if labels.task.classes:
        return dict(zip(labels.task.classes, given.T, strict=True))
    yes, no = ("event", "censored") if labels.task.kind == "time_to_event" else ("yes", "no")
    return {yes: given[:, -1], no: ~given[:, -1]}

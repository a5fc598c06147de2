"""Labels as arrays, aligned with samples that several tasks share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from polyclinic.cohort import SPLITS, Cohort
from polyclinic.tasks.code_patterns import in_words
from polyclinic.tasks.errors import TaskError
from polyclinic.tasks.labels import Labels, label
from polyclinic.tasks.task import Task
from polyclinic.tasks.validation import CLASS_SEPARATOR

MOST_NAMED = 5
"""Texts that an error names."""


class Targets(NamedTuple):
    """The targets of one task; `values` is 0 and meaningless where not observed.

    The columns of `values` are the task's `target_columns`: 0 or 1 for binary tasks and for each class, the number for
    regression, duration and event indicator for time to event.
    """

    values: np.ndarray  # float64 [sample, column]
    observed: np.ndarray  # Boolean [sample]


@dataclass(frozen=True)
class Samples:
    """Every (subject, prediction time) labelled for at least one task, with the targets of each task."""

    frame: pl.DataFrame  # sample (its row number, uint32), subject_id, prediction_time; sorted by the latter two
    targets: Mapping[str, Targets]  # by the name of the task, aligned with `frame`
    labels: Mapping[str, Labels]  # of the whole cohort

    def rows(self, subjects: Sequence[int]) -> np.ndarray:
        """Return the rows of the subjects' samples, int64."""
        return np.flatnonzero(self.frame["subject_id"].is_in(list(subjects)).to_numpy())

    def take(self, rows: np.ndarray) -> "Samples":
        """Return the samples in `rows`, renumbered, and their targets."""
        targets = {name: Targets(*(part[rows] for part in target)) for name, target in self.targets.items()}
        return Samples(renumber_samples(self.frame[rows]), targets, self.labels)


def samples(cohort: Cohort, tasks: Sequence[Task]) -> Samples:
    """Label a cohort for several tasks; samples without a label of a task are unobserved for it.

    Raises:
        TaskError: see `label`; or every answer is yes, and no text is named that means no.
    """
    labels = {task.name: label(cohort, task) for task in tasks}
    for labelled in labels.values():
        _check_has_no(labelled)
    frame = number_samples(pl.concat([labelled.frame.select(KEY) for labelled in labels.values()]))
    return Samples(frame, {name: as_targets(labelled, frame) for name, labelled in labels.items()}, labels)


def _check_has_no(labels: Labels) -> None:
    """Check that a task which names only what means yes has found what means no."""
    task, frame = labels.task, labels.frame
    unread = [value.value for value in labels.values if value.answer is None]
    if task.kind != "binary" or task.target.read != "category" or task.target.negative or not unread:
        return
    if frame.height and frame["boolean_value"].all():
        raise TaskError(
            f"every answer of {task.name} is yes, and the other texts ({in_words(unread[:MOST_NAMED])}) are none: name "
            'those that mean no in target.negative ("*" stands for all other texts)'
        )


KEY = ("subject_id", "prediction_time")


def number_samples(times: pl.DataFrame) -> pl.DataFrame:
    """Number each distinct `subject_id` and `prediction_time`, as `known_at` requires."""
    return times.select(KEY).unique().sort(KEY).with_row_index("sample")


def renumber_samples(samples: pl.DataFrame) -> pl.DataFrame:
    """Number selected samples from 0 in their present order; other columns stay."""
    return samples.drop("sample").with_row_index("sample")


def as_targets(labels: Labels, samples: pl.DataFrame) -> Targets:
    """Convert labels to numbers, aligned with the rows of `samples` (`subject_id`, `prediction_time`)."""
    answers = labels.frame.select(*KEY, *_columns(labels.task)).with_columns(observed=pl.lit(True))
    aligned = samples.select(KEY).join(answers, on=list(KEY), how="left", maintain_order="left")
    values = aligned.select(pl.col(labels.task.target_columns).cast(pl.Float64).fill_null(0)).to_numpy()
    return Targets(np.ascontiguousarray(values), aligned["observed"].fill_null(False).to_numpy())


def _columns(task: Task) -> list[pl.Expr]:
    """Convert the columns of MEDS' label schema to those of the target."""
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
    """Number of labelled samples of a split, and of each label value.

    Label values are yes and no, the classes (not exclusive in a multilabel task), event and censored for time to event,
    and none for regression.
    """

    labelled: int
    answers: Mapping[str, int]


def count_answers(labels: Labels, splits: pl.DataFrame) -> dict[str, Answers]:
    """Count the label values in each split of a cohort's `splits` (`subject_id`, `split`)."""
    held = _indicators(labels)
    split = labels.frame.select("subject_id").join(splits, on="subject_id", how="left", maintain_order="left")["split"]
    in_split = {name: (split == name).to_numpy() for name in SPLITS}
    return {
        name: Answers(int(rows.sum()), {answer: int(holds[rows].sum()) for answer, holds in held.items()})
        for name, rows in in_split.items()
    }


def _indicators(labels: Labels) -> dict[str, np.ndarray]:
    """Return, for each label value, which labels have it, Boolean `[label]`."""
    if labels.task.kind == "regression":
        return {}
    positive = as_targets(labels, labels.frame).values == 1
    if labels.task.classes:
        return dict(zip(labels.task.classes, positive.T, strict=True))
    yes, no = ("event", "censored") if labels.task.kind == "time_to_event" else ("yes", "no")
    return {yes: positive[:, -1], no: ~positive[:, -1]}

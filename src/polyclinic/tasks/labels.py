"""Labels of a task in MEDS' label schema; samples without a label are counted by reason, never set to 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
from meds.schema import LabelSchema

from polyclinic.cohort import Cohort
from polyclinic.files import replacing, write_text
from polyclinic.tasks.code_patterns import OUTCOMES, in_words, matching
from polyclinic.tasks.definition import Kind
from polyclinic.tasks.errors import TaskError
from polyclinic.tasks.label_readers import read_labels
from polyclinic.tasks.prediction_times import Record, check_clock, find_prediction_times
from polyclinic.tasks.target_events import TargetEvents
from polyclinic.tasks.task import Task
from polyclinic.tasks.validation import check_target_not_input
from polyclinic.tasks.values_read import ReadValue, values_read

TOO_EARLY = "outcome recorded only at or before the prediction time"
TOO_LATE = "outcome recorded only after the horizon"
UNUSABLE = "outcome recorded without a usable value"
UNRECORDED = "no outcome recorded"
NOT_FOLLOWED = "not followed up long enough"

VALUES: Mapping[Kind, Mapping[str, pl.DataType]] = {
    "binary": {"boolean_value": pl.Boolean()},
    "multiclass": {"categorical_value": pl.String()},
    "multilabel": {"categorical_value": pl.String()},
    "regression": {"float_value": pl.Float32()},
    "time_to_event": {"boolean_value": pl.Boolean(), "float_value": pl.Float32()},
}
"""The columns of MEDS' label schema for each kind of task.

Multilabel: the positive classes joined by `|`. Time to event: the Boolean is whether the event happened, the number the
time from the prediction to the event or the end of follow-up, in the target's unit.
"""


@dataclass(frozen=True)
class Labels:
    """The labels of one task.

    `frame` holds `subject_id`, `prediction_time` and the columns of `VALUES`, sorted, without nulls. `unknown`
    counts the samples without a label by reason, `excluded` the excluded subjects (or times). `values` are the texts
    of the target with what each was read as, or the numbers and texts that are no answer. `eligible` counts the
    subjects with a prediction time.
    """

    task: Task
    frame: pl.DataFrame
    unknown: Mapping[str, int] = field(default_factory=dict)
    excluded: Mapping[str, int] = field(default_factory=dict)
    values: tuple[ReadValue, ...] = ()
    eligible: int = 0

    def write(self, cohort: Cohort) -> Path:
        """Write the labels and the task to the cohort's `labels/<task>/`, and return that folder.

        Raises:
            flexible_schema.SchemaValidationError: they do not conform to MEDS' label schema.
        """
        folder = cohort.path / "labels" / self.task.name
        table = LabelSchema.align(self.frame.to_arrow())
        LabelSchema.validate(table)
        with replacing(folder / "labels.parquet") as temporary:
            pq.write_table(table, temporary)
        write_text(folder / "task.yaml", self.task.to_yaml())
        return folder

    @classmethod
    def read(cls, cohort: Cohort, task: Task) -> Labels:
        """Read labels written by `write`; `unknown`, `excluded`, `values` and `eligible` are not stored.

        Raises:
            TaskError: the cohort has no labels of this task, or those of another task of the same name.
        """
        folder = cohort.path / "labels" / task.name
        if not (folder / "labels.parquet").is_file():
            raise TaskError(f"the cohort has no labels of {task.name}: label the cohort and write them")
        if Task.load(folder / "task.yaml") != task:
            raise TaskError(f"the cohort's labels of {task.name} are of another definition: write them again")
        return cls(task, pl.read_parquet(folder / "labels.parquet"))


def label(cohort: Cohort, task: Task) -> Labels:
    """Label every subject of a cohort.

    Raises:
        TaskError: a code of the cohort is both outcome and input, no outcome is recorded, no subject has a prediction
            time, every outcome is before it, or the anchor is not a time of the cohort's clock.
    """
    check_clock(cohort, task)
    return label_events(cohort.events(), task)


def label_events(events: pl.LazyFrame, task: Task) -> Labels:
    """Label every subject of `events`; see `label`."""
    record = Record.of(events, task)
    _check_codes(record, task)
    times = find_prediction_times(record, task)
    if times.frame.is_empty():
        reasons = "; ".join(f"{reason}: {number}" for reason, number in times.excluded.items())
        raise TaskError(
            f"no subject is eligible for {task.name} ({reasons or 'the cohort is empty'}): "
            "change prediction or exclusions; if the source has no dates, use prediction.anchor: origin"
        )
    target_events = TargetEvents.gather(record, times, task)
    if target_events.all.height and (target_events.all["position"] == "earlier").all():
        raise TaskError(
            f"every outcome of {task.name} is recorded at or before the prediction time "
            f"({task.prediction.in_words()}): predict earlier"
        )
    values = [pl.col(name).cast(dtype) for name, dtype in VALUES[task.kind].items()]
    labels = read_labels(target_events).select("sample", *values)
    frame = target_events.samples.join(labels, on="sample").sort("sample").drop("sample", "anchor")
    unknown, eligible = _reasons(target_events, labels), times.frame["subject_id"].n_unique()
    return Labels(task, frame, unknown, times.excluded, values_read(target_events), eligible)


def _check_codes(record: Record, task: Task) -> None:
    """Check that the cohort has outcomes of the task, none of them an input."""
    outcomes = matching(record.codes, task.target.patterns)
    check_target_not_input(task.inputs.among(outcomes), task.target, task.inputs)
    if not outcomes:
        choices = matching(record.codes, (OUTCOMES,))
        raise TaskError(
            f"the cohort has no outcome of {task.name} ({in_words(task.target.patterns)}): its outcomes are "
            f"{', '.join(choices) or 'none'}; to predict without outcomes, use `polyclinic predict`"
        )


def _reasons(target_events: TargetEvents, labels: pl.DataFrame) -> dict[str, int]:
    """Count the samples without a label by the most specific reason."""
    unlabelled = target_events.samples.join(labels, on="sample", how="anti").select("sample")
    positions = target_events.all.group_by("sample").agg(pl.col("position").unique())
    has = {
        position: pl.col("position").list.contains(position).fill_null(False)
        for position in ("inside", "later", "earlier")
    }
    reason_if_absent = NOT_FOLLOWED if target_events.task.target.read in ("presence", "time") else UNRECORDED
    reason = (
        pl.when(has["inside"]).then(pl.lit(UNUSABLE))
        .when(has["later"]).then(pl.lit(TOO_LATE))
        .when(has["earlier"]).then(pl.lit(TOO_EARLY))
        .otherwise(pl.lit(reason_if_absent))
    )  # fmt: skip
    counted = unlabelled.join(positions, on="sample", how="left").select(reason=reason).group_by("reason").len()
    return dict(counted.sort("reason").iter_rows())

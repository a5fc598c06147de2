"""The answers to a task in the label schema of MEDS; subjects without one are counted by reason, never set to 0."""

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
from polyclinic.tasks.label_readers import read_answers
from polyclinic.tasks.prediction_times import Record, ask
from polyclinic.tasks.target_events import Evidence
from polyclinic.tasks.task import Task
from polyclinic.tasks.validation import refuse_visible_target

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
"""The columns of MEDS that hold the answer to each kind of question.

Multilabel answers name the classes that hold, joined by `|`; for time to event the Boolean says whether the event
happened, and the number how long after the prediction time it did, or the follow-up ended, in the target's unit.
"""


@dataclass(frozen=True)
class Labels:
    """The labels of one task.

    `frame` holds `subject_id`, `prediction_time` and the columns of `VALUES`, sorted, without nulls. `unknown`
    counts those asked whose answer is not known, `excluded` the subjects (or times) that the task does not ask of.
    """

    task: Task
    frame: pl.DataFrame
    unknown: Mapping[str, int] = field(default_factory=dict)
    excluded: Mapping[str, int] = field(default_factory=dict)

    def write(self, cohort: Cohort) -> Path:
        """Write the labels under the cohort's `labels/<task>/`, with the task beside them; give that folder.

        Raises:
            flexible_schema.SchemaValidationError: when they do not follow MEDS' label schema.
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
        """Read labels that `write` left; the counts of who has none are not kept.

        Raises:
            TaskError: when the cohort holds no labels of this task, or those of another task of the same name.
        """
        folder = cohort.path / "labels" / task.name
        if not (folder / "labels.parquet").is_file():
            raise TaskError(f"the cohort holds no labels of {task.name}: label the cohort and write them")
        if Task.load(folder / "task.yaml") != task:
            raise TaskError(f"the cohort's labels of {task.name} answer another question: write them again")
        return cls(task, pl.read_parquet(folder / "labels.parquet"))


def label(cohort: Cohort, task: Task) -> Labels:
    """Answer a task for every subject of a cohort.

    Raises:
        TaskError: when a code of the cohort is both outcome and input, when no event of the outcome is recorded, when
            nobody can be asked, or when every outcome lies before the prediction time; says what to change.
    """
    return label_events(cohort.events(), task)


def label_events(events: pl.LazyFrame, task: Task) -> Labels:
    """Answer a task for every subject of `events`, as `label` does."""
    record = Record.of(events, task)
    _refuse_codes(record, task)
    asked = ask(record, task)
    if asked.times.is_empty():
        reasons = "; ".join(f"{reason}: {number}" for reason, number in asked.excluded.items())
        raise TaskError(
            f"{task.name} can be asked of nobody ({reasons or 'the cohort is empty'}): "
            "change prediction or exclusions; where the source has no dates, use prediction.anchor: origin"
        )
    evidence = Evidence.gather(record, asked, task)
    if evidence.found.height and (evidence.found["place"] == "earlier").all():
        raise TaskError(
            f"every outcome of {task.name} is recorded at or before the prediction time "
            f"({task.prediction.in_words()}): ask earlier"
        )
    values = [pl.col(name).cast(dtype) for name, dtype in VALUES[task.kind].items()]
    answers = read_answers(evidence).select("sample", *values)
    frame = evidence.asked.join(answers, on="sample").sort("sample").drop("sample", "anchor")
    return Labels(task, frame, _reasons(evidence, answers), asked.excluded)


def _refuse_codes(record: Record, task: Task) -> None:
    """Refuse outcomes that the cohort shows as inputs, or does not hold."""
    outcomes = matching(record.codes, task.target.patterns)
    refuse_visible_target(task.inputs.among(outcomes), task.target, task.inputs)
    if not outcomes:
        choices = matching(record.codes, (OUTCOMES,))
        raise TaskError(
            f"no event of the cohort answers {task.name} ({in_words(task.target.patterns)}): its outcomes are "
            f"{', '.join(choices) or 'none'}; to predict without outcomes, use `polyclinic predict`"
        )


def _reasons(evidence: Evidence, answers: pl.DataFrame) -> dict[str, int]:
    """Count those without an answer, by the reason that comes closest to one."""
    unanswered = evidence.asked.join(answers, on="sample", how="anti").select("sample")
    places = evidence.found.group_by("sample").agg(pl.col("place").unique())
    has = {place: pl.col("place").list.contains(place).fill_null(False) for place in ("inside", "later", "earlier")}
    absent = NOT_FOLLOWED if evidence.task.target.read in ("presence", "time") else UNRECORDED
    reason = (
        pl.when(has["inside"]).then(pl.lit(UNUSABLE))
        .when(has["later"]).then(pl.lit(TOO_LATE))
        .when(has["earlier"]).then(pl.lit(TOO_EARLY))
        .otherwise(pl.lit(absent))
    )  # fmt: skip
    counted = unanswered.join(places, on="sample", how="left").select(reason=reason).group_by("reason").len()
    return dict(counted.sort("reason").iter_rows())

"""The events of a task's target, before, inside or after the label window."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from polyclinic.tasks.code_patterns import matching
from polyclinic.tasks.prediction_times import PredictionTimes, Record
from polyclinic.tasks.task import Task


@dataclass(frozen=True)
class TargetEvents:
    """The events of one task's target for all samples."""

    task: Task
    record: Record
    samples: pl.DataFrame  # sample, subject_id, anchor, prediction_time
    all: pl.DataFrame  # every event of the target's codes, with the columns of `samples` and its `position`; sorted

    @classmethod
    def gather(cls, record: Record, times: PredictionTimes, task: Task) -> TargetEvents:
        """Collect the events of the target's codes: `earlier` than, `inside`, or `later` than the label window."""
        samples = times.frame.with_row_index("sample")
        events = (
            record.having(task.target.patterns)
            .select("subject_id", "time", "code", "numeric_value", "text_value")
            .join(samples.lazy(), on="subject_id")
            .with_columns(position=_position(task))
            .sort("sample", "time", "code", "numeric_value", "text_value")
            .collect()
        )
        return cls(task, record, samples, events)

    @cached_property
    def inside(self) -> pl.DataFrame:
        """The events that determine labels."""
        return self.all.filter(pl.col("position") == "inside")

    def having(self, patterns: Iterable[str]) -> pl.DataFrame:
        """Return the label events whose code matches a pattern."""
        return self.inside.filter(pl.col("code").is_in(matching(self.record.codes, tuple(patterns))))

    @cached_property
    def last_recorded(self) -> pl.DataFrame:
        """The time of the last event of each sample's subject."""
        last = self.record.events.group_by("subject_id").agg(last_recorded=pl.col("time").max())
        return self.samples.lazy().join(last, on="subject_id", how="left").collect(engine="streaming")

    @cached_property
    def without_event(self) -> pl.Series:
        """Samples for which an event that is not recorded is known not to have happened."""
        target = self.task.target
        if target.complete:
            return self.samples["sample"]
        followed = self.last_recorded.filter(pl.col("last_recorded") >= horizon_end(self.task))["sample"]
        closing = self.record.having(target.closed_by).select("subject_id", "time").collect()
        closed = self.samples.join(closing, on="subject_id").filter(
            pl.col("time") > pl.col("prediction_time"), pl.col("time") <= horizon_end(self.task)
        )["sample"]
        return pl.concat([followed, closed]).unique()


def horizon_end(task: Task) -> pl.Expr:
    """The end of the label window; null without a horizon."""
    if task.horizon is None:
        return pl.lit(None, dtype=pl.Datetime("us"))
    return pl.col("prediction_time") + task.horizon


def _position(task: Task) -> pl.Expr:
    """Return an event's position; events without a time are inside, unless they may be inputs."""
    early = (pl.col("time") <= pl.col("prediction_time")).fill_null(task.inputs.history_of_target)
    early &= pl.lit(task.target.when == "after")
    late = (pl.col("time") > horizon_end(task)).fill_null(False)
    return pl.when(early).then(pl.lit("earlier")).when(late).then(pl.lit("later")).otherwise(pl.lit("inside"))

"""What the record holds about the answers to one task, and where it lies: before, within or after the window."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from polyclinic.tasks.code_patterns import matching
from polyclinic.tasks.prediction_times import Asked, Record
from polyclinic.tasks.task import Task


@dataclass(frozen=True)
class Evidence:
    """What the record holds about the answers to one task."""

    task: Task
    record: Record
    asked: pl.DataFrame  # sample, subject_id, anchor, prediction_time
    found: pl.DataFrame  # every event of the target's codes with `asked`'s columns and its `place`; sorted

    @classmethod
    def gather(cls, record: Record, asked: Asked, task: Task) -> Evidence:
        """Find the events of the target's codes: `earlier` than asked, `inside` the window, or `later` than it."""
        times = asked.times.with_row_index("sample")
        found = (
            record.having(task.target.patterns)
            .select("subject_id", "time", "code", "numeric_value", "text_value")
            .join(times.lazy(), on="subject_id")
            .with_columns(place=_place(task))
            .sort("sample", "time", "code", "numeric_value", "text_value")
            .collect()
        )
        return cls(task, record, times, found)

    @cached_property
    def inside(self) -> pl.DataFrame:
        """The events that may answer."""
        return self.found.filter(pl.col("place") == "inside")

    def having(self, patterns: Iterable[str]) -> pl.DataFrame:
        """Give the events that may answer and whose code a pattern matches."""
        return self.inside.filter(pl.col("code").is_in(matching(self.record.codes, tuple(patterns))))

    @cached_property
    def last_seen(self) -> pl.DataFrame:
        """The latest time at which anything was recorded of each sample's subject."""
        last = self.record.events.group_by("subject_id").agg(last_seen=pl.col("time").max())
        return self.asked.lazy().join(last, on="subject_id", how="left").collect(engine="streaming")

    @cached_property
    def without_event(self) -> pl.Series:
        """Samples of whom it is known that an event not recorded did not happen."""
        target = self.task.target
        if target.complete:
            return self.asked["sample"]
        followed = self.last_seen.filter(pl.col("last_seen") >= horizon_end(self.task))["sample"]
        closing = self.record.having(target.closed_by).select("subject_id", "time").collect()
        closed = self.asked.join(closing, on="subject_id").filter(
            pl.col("time") > pl.col("prediction_time"), pl.col("time") <= horizon_end(self.task)
        )["sample"]
        return pl.concat([followed, closed]).unique()


def horizon_end(task: Task) -> pl.Expr:
    """The time up to which answers count; null without a horizon."""
    if task.horizon is None:
        return pl.lit(None, dtype=pl.Datetime("us"))
    return pl.col("prediction_time") + task.horizon


def _place(task: Task) -> pl.Expr:
    """Place an event in time; one without a time may answer, unless it is an input too and so known when asking."""
    early = (pl.col("time") <= pl.col("prediction_time")).fill_null(task.inputs.history_of_target)
    early &= pl.lit(task.target.when == "after")
    late = (pl.col("time") > horizon_end(task)).fill_null(False)
    return pl.when(early).then(pl.lit("earlier")).when(late).then(pl.lit("later")).otherwise(pl.lit("inside"))

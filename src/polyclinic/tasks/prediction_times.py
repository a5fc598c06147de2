"""When each subject is asked, and who is not asked: needs no outcome, so that it serves cohorts never seen before."""

from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from polyclinic.cohort import BIRTH, NOMINAL_ORIGIN, Cohort
from polyclinic.tasks.code_patterns import codes_of, matching
from polyclinic.tasks.definition import Exclusion
from polyclinic.tasks.task import Task

NO_ANCHOR = "no event to count the prediction time from"
NOTHING_KNOWN = "nothing known by the prediction time"


@dataclass(frozen=True)
class Record:
    """A cohort's events, with the codes a task needs looked up once."""

    events: pl.LazyFrame
    codes: tuple[str, ...]  # all that occur
    inputs: tuple[str, ...]  # those the task's model may see

    @classmethod
    def of(cls, events: pl.LazyFrame, task: Task) -> "Record":
        """Look up the codes of `events`."""
        codes = codes_of(events)
        return cls(events, tuple(codes), tuple(task.inputs.among(codes)))

    def having(self, patterns: tuple[str, ...]) -> pl.LazyFrame:
        """Give the events whose code any of the patterns matches."""
        return self.events.filter(pl.col("code").is_in(matching(self.codes, patterns)))

    @property
    def is_input(self) -> pl.Expr:
        """Tell input events from others; asks for the shorter list of codes."""
        others = sorted(set(self.codes) - set(self.inputs))
        if len(others) < len(self.inputs):
            return ~pl.col("code").is_in(others)
        return pl.col("code").is_in(list(self.inputs))


@dataclass(frozen=True)
class Asked:
    """Who is asked and when, and how many are not, by reason."""

    times: pl.DataFrame  # subject_id, anchor, prediction_time; sorted
    excluded: dict[str, int] = field(default_factory=dict)


def prediction_times(cohort: Cohort, task: Task) -> pl.DataFrame:
    """Give `subject_id` and `prediction_time` of everyone whom the task may be asked of, sorted.

    Left out are subjects without the anchor, those of whom nothing is known by the prediction time, and the task's
    exclusions. No outcome is read.
    """
    return ask(Record.of(cohort.events(), task), task).times.select("subject_id", "prediction_time")


def ask(record: Record, task: Task) -> Asked:
    """Find the prediction times, and count whom the question is not asked of."""
    spans = _spans(record)
    times = _anchored(record, task, spans).with_columns(prediction_time=pl.col("anchor") + task.prediction.offset)
    excluded = {NO_ANCHOR: spans.height - times["subject_id"].n_unique()}
    for exclusion in (None, *task.exclusions):
        unwanted = _excluded(exclusion, times, record) if exclusion else _unknown(times, spans)
        kept = times.join(unwanted, on=["subject_id", "prediction_time"], how="anti")
        reason = exclusion.in_words() if exclusion else NOTHING_KNOWN
        excluded[reason] = times.height - kept.height
        times = kept
    counted = {reason: number for reason, number in excluded.items() if number}
    return Asked(times.sort("subject_id", "prediction_time"), counted)


def _spans(record: Record) -> pl.DataFrame:
    """Give the first and last input time of every subject, and whether a static input is known of it.

    The date of birth counts as static: nobody's record begins with it.
    """
    seen, birth = pl.col("time").filter(record.is_input), pl.col("code").filter(record.is_input) == BIRTH
    lived = seen.filter(~birth)
    return (
        record.events.group_by("subject_id")
        .agg(first=lived.min(), last=lived.max(), static=seen.is_null().any() | birth.any())
        .collect(engine="streaming")
    )


def _anchored(record: Record, task: Task, spans: pl.DataFrame) -> pl.DataFrame:
    """Give `subject_id` and `anchor`, one row for each time the question is asked before exclusions."""
    anchor = task.prediction.anchor
    if pattern := task.prediction.anchor_code:
        return _occurrences(record.having((pattern,)), task.prediction.occurrence)
    if isinstance(anchor, datetime) or anchor == "origin":
        fixed = anchor if isinstance(anchor, datetime) else NOMINAL_ORIGIN
        when = pl.lit(fixed, dtype=pl.Datetime("us"))
    else:
        when = pl.col("first" if anchor == "first_event" else "last")
    return spans.select("subject_id", anchor=when).drop_nulls()


def _occurrences(events: pl.LazyFrame, occurrence: str) -> pl.DataFrame:
    timed = events.select("subject_id", anchor="time").drop_nulls()
    if occurrence == "every":
        return timed.unique().collect()
    when = pl.col("anchor").min() if occurrence == "first" else pl.col("anchor").max()
    return timed.group_by("subject_id").agg(when).collect()


def _unknown(times: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """Give the times by which no input is recorded."""
    known = pl.col("static") | (pl.col("first") <= pl.col("prediction_time")).fill_null(False)
    return times.join(spans, on="subject_id").filter(~known)


def _excluded(exclusion: Exclusion, times: pl.DataFrame, record: Record) -> pl.DataFrame:
    """Give the times that an exclusion strikes out."""
    if exclusion.had or exclusion.lacks:
        having = _known(record.having(exclusion.had or exclusion.lacks), times).unique().collect()
        return times.join(having, on=["subject_id", "prediction_time"], how="semi" if exclusion.had else "anti")
    counted = (
        _known(record.events.filter(record.is_input & (pl.col("code") != BIRTH)), times)
        .group_by("subject_id", "prediction_time")
        .agg(events=pl.len(), span=pl.col("time").max() - pl.col("time").min())
        .collect()
    )
    known = times.join(counted, on=["subject_id", "prediction_time"], how="left").with_columns(
        pl.col("events").fill_null(0), pl.col("span").fill_null(pl.duration())
    )
    if exclusion.shorter_than is not None:
        return known.filter(pl.col("span") < exclusion.shorter_than)
    return known.filter(pl.col("events") < exclusion.fewer_events_than)


def _known(events: pl.LazyFrame, times: pl.DataFrame) -> pl.LazyFrame:
    """Give subject, prediction time and time of the events recorded by then."""
    return (
        events.select("subject_id", "time")
        .join(times.lazy().select("subject_id", "prediction_time"), on="subject_id")
        .filter(pl.col("time").is_null() | (pl.col("time") <= pl.col("prediction_time")))
    )

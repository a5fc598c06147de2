"""Prediction times and exclusions; they need no outcomes, and so work for new cohorts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl

from polyclinic.cohort import BIRTH, NOMINAL_ORIGIN, Cohort
from polyclinic.cohort import UTC as COHORT_UTC
from polyclinic.tasks.code_patterns import codes_of, matching
from polyclinic.tasks.definition import Exclusion
from polyclinic.tasks.errors import TaskError
from polyclinic.tasks.task import Task

NO_ANCHOR = "no anchor event"
NO_INPUT = "no input recorded by the prediction time"


@dataclass(frozen=True)
class Record:
    """A cohort's events with their codes, looked up once."""

    events: pl.LazyFrame
    codes: tuple[str, ...]  # all that occur
    inputs: tuple[str, ...]  # those that are inputs of the task

    @classmethod
    def of(cls, events: pl.LazyFrame, task: Task) -> "Record":
        """Look up the codes of `events`."""
        codes = codes_of(events)
        return cls(events, tuple(codes), tuple(task.inputs.among(codes)))

    def having(self, patterns: tuple[str, ...]) -> pl.LazyFrame:
        """Return the events whose code matches any pattern."""
        return self.events.filter(pl.col("code").is_in(matching(self.codes, patterns)))

    @property
    def is_input(self) -> pl.Expr:
        """Whether an event is an input; uses the shorter list of codes."""
        others = sorted(set(self.codes) - set(self.inputs))
        if len(others) < len(self.inputs):
            return ~pl.col("code").is_in(others)
        return pl.col("code").is_in(list(self.inputs))


def check_clock(cohort: Cohort, task: Task) -> None:
    """Check that the anchor is a time of the cohort's clock.

    Raises:
        TaskError: the anchor has an offset from UTC, and the cohort's times are not in UTC.
    """
    anchor = task.prediction.anchor
    if isinstance(anchor, datetime) and anchor.tzinfo is not None and cohort.clock != COHORT_UTC:
        remedy = "write it without offset"
        raise TaskError(
            f"the anchor has an offset, and the cohort's times are not in UTC: {remedy}", "prediction", "anchor"
        )


@dataclass(frozen=True)
class PredictionTimes:
    """Prediction times, and the number of excluded subjects or times by reason."""

    frame: pl.DataFrame  # subject_id, anchor, prediction_time; sorted
    excluded: dict[str, int] = field(default_factory=dict)


def prediction_times(cohort: Cohort, task: Task, subjects: Sequence[int] | None = None) -> pl.DataFrame:
    """Return `subject_id` and `prediction_time` of all eligible subjects, or of those among `subjects`, sorted.

    Subjects without the anchor, times without any earlier input, and the task's exclusions are left out. Outcomes are
    not read.
    """
    check_clock(cohort, task)
    events = cohort.events()
    if subjects is not None:
        events = events.filter(pl.col("subject_id").is_in(list(subjects)))
    return find_prediction_times(Record.of(events, task), task).frame.select("subject_id", "prediction_time")


def find_prediction_times(record: Record, task: Task) -> PredictionTimes:
    """Return the prediction times, and count the exclusions; an anchor with an offset is one in UTC."""
    spans = _spans(record)
    times = _anchored(record, task, spans).with_columns(prediction_time=pl.col("anchor") + task.prediction.offset)
    excluded = {NO_ANCHOR: spans.height - times["subject_id"].n_unique()}
    for exclusion in (None, *task.exclusions):
        dropped = _excluded(exclusion, times, record) if exclusion else _without_input(times, spans)
        kept = times.join(dropped, on=["subject_id", "prediction_time"], how="anti")
        reason = exclusion.in_words() if exclusion else NO_INPUT
        excluded[reason] = times.height - kept.height
        times = kept
    counted = {reason: number for reason, number in excluded.items() if number}
    return PredictionTimes(times.sort("subject_id", "prediction_time"), counted)


def _spans(record: Record) -> pl.DataFrame:
    """Return the first and last input time of every subject, and whether it has a static input.

    The date of birth counts as static, so that no record starts with it.
    """
    time, birth = pl.col("time").filter(record.is_input), pl.col("code").filter(record.is_input) == BIRTH
    times_since_birth = time.filter(~birth)
    return (
        record.events.group_by("subject_id")
        .agg(first=times_since_birth.min(), last=times_since_birth.max(), static=time.is_null().any() | birth.any())
        .collect(engine="streaming")
    )


def _anchored(record: Record, task: Task, spans: pl.DataFrame) -> pl.DataFrame:
    """Return `subject_id` and `anchor`, one row per prediction time before exclusions."""
    anchor = task.prediction.anchor
    if pattern := task.prediction.anchor_code:
        return _occurrences(record.having((pattern,)), task.prediction.occurrence)
    if isinstance(anchor, datetime) or anchor == "origin":
        fixed = anchor if isinstance(anchor, datetime) else NOMINAL_ORIGIN
        fixed = fixed.astimezone(UTC).replace(tzinfo=None) if fixed.tzinfo else fixed
        anchor_time = pl.lit(fixed, dtype=pl.Datetime("us"))
    else:
        anchor_time = pl.col("first" if anchor == "first_event" else "last")
    return spans.select("subject_id", anchor=anchor_time).drop_nulls()


def _occurrences(events: pl.LazyFrame, occurrence: str) -> pl.DataFrame:
    timed = events.select("subject_id", anchor="time").drop_nulls()
    if occurrence == "every":
        return timed.unique().collect()
    anchor_time = pl.col("anchor").min() if occurrence == "first" else pl.col("anchor").max()
    return timed.group_by("subject_id").agg(anchor_time).collect()


def _without_input(times: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """Return the times before which no input is recorded."""
    known = pl.col("static") | (pl.col("first") <= pl.col("prediction_time")).fill_null(False)
    return times.join(spans, on="subject_id").filter(~known)


def _excluded(exclusion: Exclusion, times: pl.DataFrame, record: Record) -> pl.DataFrame:
    """Return the times excluded by a criterion."""
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
    """Return subject, prediction time and time of the events recorded by then."""
    return (
        events.select("subject_id", "time")
        .join(times.lazy().select("subject_id", "prediction_time"), on="subject_id")
        .filter(pl.col("time").is_null() | (pl.col("time") <= pl.col("prediction_time")))
    )

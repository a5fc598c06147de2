"""The prediction time of each task for one subject, or why the task does not apply."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import polars as pl

from polyclinic.assess.assessment import AssessmentError
from polyclinic.cohort import BIRTH, LOCAL, Cohort
from polyclinic.tasks import Prediction, Task
from polyclinic.tasks.code_patterns import OUTCOMES, matching
from polyclinic.tasks.prediction_times import Record, find_prediction_times


class ScheduledTask(NamedTuple):
    """A task and its prediction time; None with the reason if it does not apply."""

    task: Task
    time: datetime | None
    refusal: str


def scheduled_tasks(events: pl.DataFrame, tasks: Sequence[Task], at: datetime | None) -> list[ScheduledTask]:
    """Find the prediction time of each task for the subject of `events` (the latest), or check that `at` is valid."""
    found: dict[str, tuple[datetime | None, str]] = {}
    scheduled = []
    for task in tasks:
        moved = task if at is None else task.model_copy(update={"prediction": Prediction(anchor=at)})
        key = moved.model_dump_json(include={"prediction", "exclusions", "inputs"})
        if key not in found:
            found[key] = _when(events, moved)
        scheduled.append(ScheduledTask(task, *found[key]))
    return scheduled


def events_of(cohort: Cohort, subject: int, at: datetime | None) -> pl.DataFrame:
    """Return a subject's events.

    Raises:
        AssessmentError: the cohort has no such subject, or `at` is before the first event.
    """
    events = cohort.subject(subject)
    if events.is_empty():
        raise AssessmentError(f"no such subject in {cohort.path}: the ids are in its metadata/subjects.parquet")
    if at is not None:
        _refuse_before_first_event(events, at)
    return events


def on_clock(cohort: Cohort, at: datetime | None) -> datetime | None:
    """Convert a time with an offset to UTC without one, as the times of a cohort are.

    Raises:
        AssessmentError: the cohort has local times, of an unstated zone.
    """
    if at is None or at.tzinfo is None:
        return at
    if cohort.clock == LOCAL:
        raise AssessmentError(
            "the cohort has local times, of an unstated zone: give the time without offset, as local time"
        )
    return at.astimezone(UTC).replace(tzinfo=None)


def _refuse_before_first_event(events: pl.DataFrame, at: datetime) -> None:
    """Raise AssessmentError if `at` is before the first event other than birth and outcomes."""
    codes = events["code"].cast(pl.String)
    recorded = events.filter((codes != BIRTH) & ~codes.is_in(matching(codes.unique().to_list(), (OUTCOMES,))))
    first = recorded["time"].min()
    if isinstance(first, datetime) and at < first:
        raise AssessmentError(
            "the requested time is before the subject's first event: give a later one, or none for the task's own"
        )


def _when(events: pl.DataFrame, task: Task) -> tuple[datetime | None, str]:
    times = find_prediction_times(Record.of(events.lazy(), task), task)
    if times.frame.is_empty():
        return None, "; ".join(times.excluded) or "nothing is recorded"
    return times.frame["prediction_time"][-1], ""

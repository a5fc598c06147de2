"""When each task of a bundle is asked of one subject, and why not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import polars as pl

from polyclinic.assess.assessment import AssessmentError
from polyclinic.cohort import BIRTH
from polyclinic.tasks import Prediction, Task
from polyclinic.tasks.code_patterns import OUTCOMES, matching
from polyclinic.tasks.prediction_times import Record, ask


class Asked(NamedTuple):
    """When a task is asked; None, and the reason, where it is not."""

    task: Task
    time: datetime | None
    refusal: str


def when_asked(events: pl.DataFrame, tasks: Sequence[Task], at: datetime | None) -> list[Asked]:
    """Find the prediction time of each task for the subject of `events`, or judge whether it can be asked at `at`.

    Of a task that is asked at several times, it is the latest.
    """
    found: dict[str, tuple[datetime | None, str]] = {}
    asked = []
    for task in tasks:
        moved = task if at is None else task.model_copy(update={"prediction": Prediction(anchor=at)})
        key = moved.model_dump_json(include={"prediction", "exclusions", "inputs"})
        if key not in found:
            found[key] = _when(events, moved)
        asked.append(Asked(task, *found[key]))
    return asked


def naive(at: datetime | None) -> datetime | None:
    """Turn a time with a zone to UTC: the times of a cohort have no zone."""
    return at.astimezone(UTC).replace(tzinfo=None) if at is not None and at.tzinfo is not None else at


def refuse_before_first_event(events: pl.DataFrame, at: datetime) -> None:
    """Raise AssessmentError where `at` lies before the subject's first event, birth and outcomes aside."""
    codes = events["code"].cast(pl.String)
    lived = events.filter((codes != BIRTH) & ~codes.is_in(matching(codes.unique().to_list(), (OUTCOMES,))))
    first = lived["time"].min()
    if isinstance(first, datetime) and at < first:
        raise AssessmentError(
            "the time asked for lies before the subject's first event: give a later one, or none for the task's own"
        )


def _when(events: pl.DataFrame, task: Task) -> tuple[datetime | None, str]:
    told = ask(Record.of(events.lazy(), task), task)
    if told.times.is_empty():
        return None, "; ".join(told.excluded) or "nothing is recorded"
    return told.times["prediction_time"][-1], ""

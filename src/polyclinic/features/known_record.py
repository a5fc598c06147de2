"""The record available to a model: events of the input codes up to the prediction time."""

from collections.abc import Sequence

import polars as pl

from polyclinic.cohort import known_at
from polyclinic.tasks import Task
from polyclinic.tasks.code_patterns import codes_of


def known_record(events: pl.LazyFrame | pl.DataFrame, samples: pl.DataFrame, tasks: Sequence[Task]) -> pl.DataFrame:
    """Return each sample's events up to its prediction time, of the codes that are inputs of every task.

    `events` are a cohort's or one subject's; `samples` has the columns `sample`, `subject_id` and `prediction_time`.
    The columns `sample` and `prediction_time` are added to those of the events, which are sorted by sample and time.
    """
    codes = codes_of(events)
    for task in tasks:
        codes = task.inputs.among(codes)
    of_subjects = pl.col("subject_id").is_in(samples["subject_id"].unique().implode())
    selected = events.lazy().filter(of_subjects & pl.col("code").is_in(codes))
    return known_at(selected, samples).collect()

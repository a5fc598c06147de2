"""What a model may see of each sample: the input codes of the record, cut at the prediction time."""

from collections.abc import Sequence

import polars as pl

from polyclinic.cohort import known_at
from polyclinic.tasks import Inputs, Task
from polyclinic.tasks.code_patterns import codes_of


def known_inputs(events: pl.LazyFrame, samples: pl.DataFrame, inputs: Inputs) -> pl.DataFrame:
    """Give the events of the input codes known of each sample at its prediction time, sorted by sample and time.

    `events` are a cohort's, or those of one of its subjects; `samples` has the columns `sample`, `subject_id` and
    `prediction_time`, of which the first and the last are added to the events' own.
    """
    selected = events.filter(pl.col("code").is_in(inputs.among(codes_of(events))))
    return known_at(selected, samples).collect()


def record_of(events: pl.LazyFrame | pl.DataFrame, samples: pl.DataFrame, tasks: Sequence[Task]) -> pl.DataFrame:
    """Give what is known of the samples at their prediction times: events of the codes that every task may see."""
    visible = codes_of(events)
    for task in tasks:
        visible = task.inputs.among(visible)
    asked = pl.col("subject_id").is_in(samples["subject_id"].unique().implode())
    seen = events.lazy().filter(asked & pl.col("code").is_in(visible))
    return known_at(seen, samples).collect()

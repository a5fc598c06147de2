"""What a model may see of each sample: the input codes of the record, cut at the prediction time."""

import polars as pl

from polyclinic.cohort import known_at
from polyclinic.tasks import Inputs
from polyclinic.tasks.code_patterns import codes_of


def known_inputs(events: pl.LazyFrame, samples: pl.DataFrame, inputs: Inputs) -> pl.DataFrame:
    """Give the events of the input codes known of each sample at its prediction time, sorted by sample and time.

    `events` are a cohort's, or those of one of its subjects; `samples` has the columns `sample`, `subject_id` and
    `prediction_time`, of which the first and the last are added to the events' own.
    """
    selected = events.filter(pl.col("code").is_in(inputs.among(codes_of(events))))
    return known_at(selected, samples).collect()

"""A bundle's answers as a table in the manner of MEDS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from polyclinic.files import replacing
from polyclinic.tasks import Task

COLUMNS = {
    "subject_id": pl.Int64(),
    "prediction_time": pl.Datetime("us"),
    "task": pl.String(),
    "output": pl.String(),
    "predicted_boolean_probability": pl.Float64(),
    "predicted_boolean_value": pl.Boolean(),
    "predicted_float_value": pl.Float64(),
}


@dataclass(frozen=True)
class Predictions:
    """One row for each subject, prediction time, task and output.

    `frame` has the columns of `COLUMNS`, named as MEDS' evaluation tools name them. `output` is `yes` for a binary
    task, the class or label, or the time by which an event is foretold. A probability comes with the call at the
    operating threshold where there is one; a regression gives `predicted_float_value` and no probability. `ignored`
    counts events of structured and series codes that training never showed, by code.
    """

    frame: pl.DataFrame
    ignored: Mapping[str, int] = field(default_factory=dict)

    def write(self, path: Path | str) -> None:
        """Write the table as Parquet, atomically."""
        with replacing(Path(path)) as temporary:
            self.frame.write_parquet(temporary)


def rows_of(
    task: Task, samples: pl.DataFrame, answers: np.ndarray, thresholds: Sequence[float], bins: Sequence[float]
) -> pl.DataFrame:
    """Give the rows of one task: `answers` `[sample, output]` beside the samples they are of."""
    outputs = [f"by {end:g} {task.target.unit}" for end in bins] if bins else list(task.outputs)
    who = samples.select("subject_id", "prediction_time", task=pl.lit(task.name))
    return pl.concat([_one(task, who, name, answers[:, k], thresholds[k : k + 1]) for k, name in enumerate(outputs)])


def _one(task: Task, who: pl.DataFrame, output: str, answer: np.ndarray, threshold: Sequence[float]) -> pl.DataFrame:
    number = task.kind == "regression"
    said = pl.Series(answer, dtype=pl.Float64())
    nothing = pl.Series([None], dtype=pl.Float64()).new_from_index(0, len(said))
    call = (said >= threshold[0]) if threshold else pl.Series([None], dtype=pl.Boolean()).new_from_index(0, len(said))
    return who.with_columns(
        output=pl.lit(output),
        predicted_boolean_probability=nothing if number else said,
        predicted_boolean_value=call,
        predicted_float_value=said if number else nothing,
    ).select(pl.col(name).cast(dtype) for name, dtype in COLUMNS.items())


def in_order(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Put the tasks' rows under one another, by subject and time."""
    return pl.concat(list(frames)).sort("subject_id", "prediction_time", "task", maintain_order=True)

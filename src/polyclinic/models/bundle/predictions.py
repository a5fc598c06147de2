"""A bundle's answers as a table in the manner of MEDS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path

import numpy as np
import polars as pl

from polyclinic.features import Arrays
from polyclinic.files import replacing
from polyclinic.modalities import in_order as ordered
from polyclinic.tasks import Task

COLUMNS = {
    "subject_id": pl.Int64(),
    "prediction_time": pl.Datetime("us"),
    "task": pl.String(),
    "output": pl.String(),
    "predicted_boolean_probability": pl.Float64(),
    "predicted_boolean_value": pl.Boolean(),
    "predicted_float_value": pl.Float64(),
    "inputs": pl.String(),
}
NO_INPUT = "none"


@dataclass(frozen=True)
class Predictions:
    """One row for each subject, prediction time, task and output.

    `frame` has the columns of `COLUMNS`, named as MEDS' evaluation tools name them. `output` is `yes` for a binary
    task, the class or label, or the time by which an event is foretold. A probability comes with the call at the
    operating threshold where there is one; a regression gives `predicted_float_value` and no probability. `inputs`
    names the modalities that the answer rests on, as the table by recorded inputs does: `structured + note`, or `none`.
    `ignored` counts events of structured and series codes that training never showed, by code.
    """

    frame: pl.DataFrame
    ignored: Mapping[str, int] = field(default_factory=dict)

    @property
    def asked(self) -> int:
        """How many subjects at how many times were answered; several tasks at one time count once."""
        return self._asked.height

    @property
    def without_input(self) -> int:
        """How many of those had none of the inputs: what is said of them is what is usual, and says nothing of them."""
        return self._asked.filter(pl.col("inputs") == NO_INPUT).height

    @property
    def _asked(self) -> pl.DataFrame:
        return self.frame.select("subject_id", "prediction_time", "inputs").unique()

    def write(self, path: Path | str) -> None:
        """Write the table as Parquet, atomically."""
        with replacing(Path(path)) as temporary:
            self.frame.write_parquet(temporary)


def with_inputs(samples: pl.DataFrame, arrays: Mapping[str, Arrays]) -> pl.DataFrame:
    """Add the column `inputs` to samples: the modalities that each really has in its arrays."""
    modalities = ordered(arrays)
    present = zip(*(np.asarray(arrays[modality]["present"]).tolist() for modality in modalities), strict=True)
    named = [" + ".join(compress(modalities, here)) or NO_INPUT for here in present]
    return samples.with_columns(inputs=pl.Series(named, dtype=pl.String()))


def rows_of(
    task: Task,
    samples: pl.DataFrame,
    answers: np.ndarray,
    thresholds: Sequence[float | np.ndarray],
    bins: Sequence[float],
) -> pl.DataFrame:
    """Give the rows of one task: `answers` `[sample, output]` beside the samples they are of, which have `inputs`."""
    outputs = [f"by {end:g} {task.target.unit}" for end in bins] if bins else list(task.outputs)
    who = samples.select("subject_id", "prediction_time", "inputs", task=pl.lit(task.name))
    return pl.concat([_one(task, who, name, answers[:, k], thresholds[k : k + 1]) for k, name in enumerate(outputs)])


def _one(
    task: Task, who: pl.DataFrame, output: str, answer: np.ndarray, threshold: Sequence[float | np.ndarray]
) -> pl.DataFrame:
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

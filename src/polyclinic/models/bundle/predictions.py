"""Predictions of a bundle as a table, with MEDS' column names."""

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
from polyclinic.models.bundle.shift import Shift
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
    """One row per subject, prediction time, task and output.

    `frame` has the columns of `COLUMNS`, named as in MEDS' evaluation tools. `output` is `yes` for a binary task, the
    class or label, or the time by which an event is predicted. A probability comes with the decision at the operating
    threshold, if there is one; regression has `predicted_float_value` and no probability. `inputs` names the modalities
    present, such as `structured + note`, or `none`. `shift` says how the samples differ from those of
    development, `unusable` gives the reasons of images and waveforms that count as absent.
    """

    frame: pl.DataFrame
    shift: Shift = field(default_factory=Shift)
    unusable: tuple[str, ...] = ()

    @property
    def ignored(self) -> Mapping[str, int]:
        """Number of events of structured and series codes absent in training, by code."""
        return self.shift.ignored

    @property
    def samples(self) -> int:
        """Number of distinct subjects and prediction times."""
        return self._samples.height

    @property
    def without_input(self) -> int:
        """Number of samples without any input, whose prediction is only the outcome rate of training."""
        return self._samples.filter(pl.col("inputs") == NO_INPUT).height

    @property
    def _samples(self) -> pl.DataFrame:
        return self.frame.select("subject_id", "prediction_time", "inputs").unique()

    def write(self, path: Path | str, subjects: pl.DataFrame | None = None) -> None:
        """Write the table as Parquet, atomically.

        Args:
            path: of the file.
            subjects: columns `subject_id` and `source_id` of a cohort (`Cohort.subjects`), to add the source's own id
                of each patient after `subject_id`; MEDS allows further columns. None: none is added.
        """
        frame = self.frame if subjects is None else with_source_ids(self.frame, subjects)
        with replacing(Path(path)) as temporary:
            frame.write_parquet(temporary)


def with_source_ids(frame: pl.DataFrame, subjects: pl.DataFrame) -> pl.DataFrame:
    """Add the column `source_id` of `subjects` after `subject_id`."""
    known = subjects.select("subject_id", "source_id")
    named = frame.join(known, on="subject_id", how="left", maintain_order="left")
    return named.select("subject_id", "source_id", pl.exclude("subject_id", "source_id"))


def with_inputs(samples: pl.DataFrame, arrays: Mapping[str, Arrays]) -> pl.DataFrame:
    """Add the column `inputs` to samples: the modalities present in their arrays."""
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
    """Return the rows of one task for its predictions `[sample, output]`; the samples have `inputs`."""
    outputs = [f"by {end:g} {task.target.unit}" for end in bins] if bins else list(task.outputs)
    keys = samples.select("subject_id", "prediction_time", "inputs", task=pl.lit(task.name))
    return pl.concat(
        [_rows_of_output(task, keys, name, answers[:, k], thresholds[k : k + 1]) for k, name in enumerate(outputs)]
    )


def _rows_of_output(
    task: Task, keys: pl.DataFrame, output: str, answer: np.ndarray, threshold: Sequence[float | np.ndarray]
) -> pl.DataFrame:
    number = task.kind == "regression"
    predicted = pl.Series(answer, dtype=pl.Float64())
    null = pl.Series([None], dtype=pl.Float64()).new_from_index(0, len(predicted))
    call = (
        (predicted >= threshold[0])
        if threshold
        else pl.Series([None], dtype=pl.Boolean()).new_from_index(0, len(predicted))
    )
    return keys.with_columns(
        output=pl.lit(output),
        predicted_boolean_probability=null if number else predicted,
        predicted_boolean_value=call,
        predicted_float_value=predicted if number else null,
    ).select(pl.col(name).cast(dtype) for name, dtype in COLUMNS.items())


def in_order(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Concatenate the rows of all tasks, sorted by subject and time."""
    return pl.concat(list(frames)).sort("subject_id", "prediction_time", "task", maintain_order=True)

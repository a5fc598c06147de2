"""One subject at one time, as a bundle sees it, and the answer that is to be explained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Self

import numpy as np
import polars as pl

from polyclinic.cohort.as_of import SAMPLES, known_at
from polyclinic.features import Arrays
from polyclinic.features.featurizer import Blobs
from polyclinic.features.known_record import record_of
from polyclinic.modalities import in_order
from polyclinic.models.bundle.bundle import Bundle

OF_PICTURES = ("IMAGE//", "DICOM//")
"""The kinds of codes that name a picture, and tell how it was taken."""


class ExplanationError(ValueError):
    """What was asked cannot be explained; says why and what to ask instead."""


@dataclass(frozen=True, eq=False)
class Sample:
    """What is known of one subject at one time, and the arrays of one row that a bundle's features make of it."""

    subject_id: int
    prediction_time: datetime
    known: pl.DataFrame  # the record as of the prediction time
    arrays: Mapping[str, Arrays]  # by modality
    blobs: Blobs  # where the pictures lie
    taken: pl.DataFrame | None = None  # see `taken_of`; None: only what `known` says of how pictures were taken

    @classmethod
    def of(cls, bundle: Bundle, events: pl.DataFrame, subject_id: int, prediction_time: datetime, blobs: Blobs) -> Self:
        """Read a subject's events (`cohort.subject(id)`) as the bundle does; `blobs` is a cohort's `blob`.

        Nothing after the prediction time is read.
        """
        frame = samples_of(subject_id, prediction_time)
        known = record_of(events.lazy(), frame, bundle.tasks)
        arrays = bundle.features.reading(blobs).transform(known, frame)
        return cls(subject_id, prediction_time, known, arrays, blobs, taken_of(events, frame))

    @property
    def frame(self) -> pl.DataFrame:
        """The sample as a table of one row: `sample`, `subject_id`, `prediction_time`."""
        return samples_of(self.subject_id, self.prediction_time)

    @property
    def present(self) -> tuple[str, ...]:
        """The modalities that the subject has at that time."""
        return tuple(name for name in in_order(self.arrays) if bool(np.asarray(self.arrays[name]["present"])[0]))

    def require_something(self) -> None:
        """Raise ExplanationError where no modality is present."""
        if not self.present:
            raise ExplanationError(
                f"nothing is known by the prediction time of {', '.join(self.arrays)}: the answer is what is usual "
                "for such patients, and there is nothing to explain"
            )


class Output(NamedTuple):
    """One number that a bundle says: an output of a task."""

    task: str
    name: str  # `yes`, a class, a label, `value`, or the end of a bin of time: `by 30 day`
    place: int


def output_of(bundle: Bundle, task: str, name: str | None = None) -> Output:
    """Find an output of a task by its name, which need not be given where the task has only one.

    Raises:
        BundleError: the bundle does not answer the task.
        ExplanationError: the task has no such output, or several and none was named.
    """
    outputs = outputs_of(bundle, task)
    if name is None and len(outputs) == 1:
        return outputs[0]
    for one in outputs:
        if one.name == name:
            return one
    wrong = "has several outputs" if name is None else f"has no output {name!r}"
    raise ExplanationError(f"{task} {wrong}: choose from {', '.join(one.name for one in outputs)}")


def outputs_of(bundle: Bundle, task: str) -> tuple[Output, ...]:
    """Give all outputs of a task; raises BundleError if the bundle does not answer it."""
    asked, bins = bundle.task(task), bundle.ensemble.bins(task)
    names = [f"by {end:g} {asked.target.unit}" for end in bins] if bins else asked.outputs
    return tuple(Output(task, name, place) for place, name in enumerate(names))


def samples_of(subject_id: int, prediction_time: datetime) -> pl.DataFrame:
    """Give the table of one sample."""
    row = {"sample": [0], "subject_id": [subject_id], "prediction_time": [prediction_time]}
    return pl.DataFrame(row, schema=SAMPLES)


def taken_of(events: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """Give what is known of the samples' pictures: which there are, and how they were taken.

    No model reads it: most tasks may not see how a picture was taken (`DICOM//…`), but who shows one needs its scale.
    """
    kinds = [pl.col("code").cast(pl.String).str.starts_with(kind) for kind in OF_PICTURES]
    return known_at(events.filter(pl.any_horizontal(kinds)), frame)

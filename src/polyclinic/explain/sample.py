"""One subject at one time as input to a bundle, and the output to explain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np
import polars as pl

from polyclinic.cohort.as_of import SAMPLES, known_at
from polyclinic.cohort.codes import kind
from polyclinic.features import Arrays, NoteFeaturizer
from polyclinic.features.blobs import damaged_blobs, unusable_blobs
from polyclinic.features.feature_set import FeatureSet
from polyclinic.features.featurizer import Blobs
from polyclinic.features.known_record import known_record
from polyclinic.features.note.layout import NoteLayout
from polyclinic.modalities import MODALITIES, in_order
from polyclinic.models.bundle.bundle import Bundle

OF_PICTURES = ("IMAGE//", "DICOM//")
"""The kinds of codes that name an image or describe its acquisition."""


class ExplanationError(ValueError):
    """The request cannot be explained; the message gives the reason and the remedy."""


@dataclass(frozen=True, eq=False)
class Sample:
    """The record of one subject as of one time, and the arrays of one row that a bundle's features make of it.

    Made once and passed on: nothing else cuts the record or encodes it.
    """

    subject_id: int
    prediction_time: datetime
    known: pl.DataFrame  # the record as of the prediction time
    arrays: Mapping[str, Arrays]  # by modality
    features: FeatureSet  # that made the arrays
    blobs: Blobs  # paths of the images
    taken: pl.DataFrame | None = None  # see `taken_of`; None: read the acquisition from `known`
    unusable_blobs: tuple[str, ...] = ()  # why images and waveforms cannot be used

    @classmethod
    def of(cls, bundle: Bundle, events: pl.DataFrame, subject_id: int, prediction_time: datetime, blobs: Blobs) -> Self:
        """Cut and transform a subject's events (`cohort.subject(id)`); `blobs` is a cohort's `blob`.

        Events after the prediction time are not read. Images and waveforms whose files are damaged or missing now are
        absent, even if their encodings are cached, because nothing could be shown of them.
        """
        frame = samples_of(subject_id, prediction_time)
        known = known_record(events.lazy(), frame, bundle.tasks)
        features = bundle.features.set_blobs(blobs)
        arrays, unusable = _intact(features, known, frame, blobs)
        return cls(subject_id, prediction_time, known, arrays, features, blobs, taken_of(events, frame), unusable)

    @property
    def frame(self) -> pl.DataFrame:
        """The sample as a table of one row: `sample`, `subject_id`, `prediction_time`."""
        return samples_of(self.subject_id, self.prediction_time)

    @property
    def present(self) -> tuple[str, ...]:
        """The modalities recorded by that time."""
        return tuple(name for name in in_order(self.arrays) if bool(np.asarray(self.arrays[name]["present"])[0]))

    @property
    def unusable(self) -> tuple[str, ...]:
        """The absent modalities of which something was recorded that cannot be used, such as an ECG of flat lines."""
        kinds = {kind(code) for code in self.known["code"].cast(pl.String).unique()}
        absent = (name for name in in_order(self.arrays) if name not in self.present)
        return tuple(name for name in absent if not kinds.isdisjoint(MODALITIES[name].kinds))

    @cached_property
    def note_layout(self) -> NoteLayout:
        """The notes, their sections, sentences and words."""
        featurizer = self.features.featurizers["note"]
        assert isinstance(featurizer, NoteFeaturizer)
        (layout,) = featurizer.layouts(self.known, self.frame)
        return layout

    def require_input(self) -> None:
        """Raise ExplanationError if no modality is present."""
        if not self.present:
            raise ExplanationError(
                f"nothing is known by the prediction time of {', '.join(self.arrays)}: the answer is what is usual "
                "for such patients, and there is nothing to explain"
            )


def _intact(
    features: FeatureSet, known: pl.DataFrame, frame: pl.DataFrame, blobs: Blobs
) -> tuple[dict[str, Arrays], tuple[str, ...]]:
    """Transform the record without blobs that are damaged now; return also why blobs cannot be used."""
    damaged: dict[str, str] = {}
    while True:
        arrays = features.transform(known.filter(~pl.col("blob").is_in([*damaged]).fill_null(False)), frame)
        newly = damaged_blobs(arrays, blobs)
        if not newly:
            return arrays, tuple(dict.fromkeys((*damaged.values(), *unusable_blobs(arrays))))
        damaged |= newly


class Output(NamedTuple):
    """One output of a task."""

    task: str
    name: str  # `yes`, a class, a label, `value`, or the end of a bin of time: `by 30 day`
    place: int


def output_of(bundle: Bundle, task: str, name: str | None = None) -> Output:
    """Return an output of a task by name; optional if the task has only one.

    Raises:
        BundleError: the bundle does not answer the task.
        ExplanationError: the task has no such output, or has several and `name` is None.
    """
    outputs = outputs_of(bundle, task)
    if name is None and len(outputs) == 1:
        return outputs[0]
    for output in outputs:
        if output.name == name:
            return output
    wrong = "has several outputs" if name is None else f"has no output {name!r}"
    raise ExplanationError(f"{task} {wrong}: choose from {', '.join(output.name for output in outputs)}")


def outputs_of(bundle: Bundle, task: str) -> tuple[Output, ...]:
    """Return all outputs of a task; raises BundleError if the bundle does not answer it."""
    question, bins = bundle.task(task), bundle.ensemble.bins(task)
    names = [f"by {end:g} {question.target.unit}" for end in bins] if bins else question.outputs
    return tuple(Output(task, name, place) for place, name in enumerate(names))


def samples_of(subject_id: int, prediction_time: datetime) -> pl.DataFrame:
    """Return the table of one sample."""
    row = {"sample": [0], "subject_id": [subject_id], "prediction_time": [prediction_time]}
    return pl.DataFrame(row, schema=SAMPLES)


def taken_of(events: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the events of the samples' images and their acquisition.

    Most tasks exclude the acquisition (`DICOM//…`) from the inputs, but displaying an image needs its scale.
    """
    kinds = [pl.col("code").cast(pl.String).str.starts_with(kind) for kind in OF_PICTURES]
    return known_at(events.filter(pl.any_horizontal(kinds)), frame)

"""What a bundle reads of one subject at one time, what everyone says of it, and how complete and usual it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import numpy as np
import polars as pl

from polyclinic.assess.assessment import AssessmentError, CodeCount, CodeShare, Record, Typicality
from polyclinic.cohort import Cohort
from polyclinic.cohort.storage.digest import digest
from polyclinic.explain.sample import Sample, samples_of, taken_of
from polyclinic.features import Arrays, SeriesFeaturizer, StructuredFeaturizer
from polyclinic.features.known_record import record_of
from polyclinic.modalities import in_order
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.ensemble.ensemble import EnsemblePredictions

BY_KIND = {"note": "NOTE//", "image": "IMAGE//"}
"""Modalities that read every code of a kind, seen in training or not."""


@dataclass(frozen=True, eq=False)
class InferenceInput:
    """One sample: the record as of its time, its arrays, and what networks and classical models say of it."""

    subject: int
    time: datetime
    known: pl.DataFrame
    arrays: Mapping[str, Arrays]  # by modality
    predictions: EnsemblePredictions
    taken: pl.DataFrame  # how its pictures were taken

    @classmethod
    def of(cls, bundle: Bundle, cohort: Cohort, events: pl.DataFrame, subject: int, time: datetime) -> Self:
        """Read what was known of the subject of `events` at a time.

        Raises:
            PictureError: a picture is missing or damaged.
        """
        frame = samples_of(subject, time)
        known = record_of(events.lazy(), frame, bundle.tasks)
        arrays = bundle.features.reading(cohort.blob).transform(known, frame)
        return cls(subject, time, known, arrays, bundle.ensemble.predict(arrays), taken_of(events, frame))

    @property
    def present(self) -> tuple[str, ...]:
        """The modalities that are recorded."""
        return tuple(name for name in in_order(self.arrays) if bool(np.asarray(self.arrays[name]["present"])[0]))

    def sample(self, cohort: Cohort) -> Sample:
        """Give what `polyclinic.explain` explains."""
        return Sample(self.subject, self.time, self.known, self.arrays, cohort.blob, self.taken)

    def record(self, bundle: Bundle) -> Record:
        """Say how complete and how usual it is."""
        codes = set(self.known["code"].cast(pl.String).unique().to_list())
        usual = bundle.reference.codes if bundle.reference else {}
        lacking = sorted((code for code in usual if code not in codes), key=lambda code: (-usual[code], code))
        unknown = bundle.features.ignored(self.known)
        return Record(
            prediction_time=self.time,
            events=self.known.height,
            digest=f"{digest(self.known.with_columns(pl.col('code').cast(pl.Categorical))):032x}",
            present=self.present,
            missing=tuple(name for name in in_order(self.arrays) if name not in self.present),
            usually_there=tuple(CodeShare(code=code, share=usual[code]) for code in lacking),
            unknown=tuple(CodeCount(code=code, events=number) for code, number in sorted(unknown.items())),
            typicality=self._typicality(bundle),
        )

    def _typicality(self, bundle: Bundle) -> Typicality | None:
        novelty = bundle.reference.novelty if bundle.reference else None
        if novelty is None or not self.present:
            return None
        latents = (
            None if self.predictions.network_predictions is None else self.predictions.network_predictions.latents[:, 0]
        )
        structured = self.arrays["structured"]["values"][0] if "structured" in self.present else None
        place = novelty.place(latents, structured)
        if place is None:
            return None
        return Typicality(
            quantile=place.whole,
            latent=place.latent,
            structured=place.structured,
            far=place.far,
            samples=novelty.samples,
        )


def refuse_foreign(bundle: Bundle, cohort: Cohort) -> None:
    """Raise AssessmentError where nothing that the bundle reads is recorded in the whole cohort."""
    codes = cohort.summary().per_code["code"].to_list()
    read: set[str] = set()
    kinds = tuple(BY_KIND[name] for name in bundle.inputs if name in BY_KIND)
    for featurizer in bundle.features.featurizers.values():
        if isinstance(featurizer, StructuredFeaturizer):
            read |= featurizer.layout.codes
        elif isinstance(featurizer, SeriesFeaturizer):
            read |= set(featurizer.codes)
    if not any(code in read or code.startswith(kinds) for code in codes):
        raise AssessmentError(
            f"the cohort at {cohort.path} has no code that the bundle reads, such as {min(read, default=kinds)}: "
            "ingest it with a mapping that names codes as those of training"
        )

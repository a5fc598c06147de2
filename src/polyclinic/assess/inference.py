"""The input of an assessment: one sample, its predictions, and how complete and typical its record is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

import polars as pl

from polyclinic.assess.assessment import AssessmentError, CodeCount, CodeShare, Record, Typicality
from polyclinic.cohort import Cohort
from polyclinic.cohort.storage.digest import digest
from polyclinic.explain.sample import Sample
from polyclinic.features.feature_set import FeatureSet
from polyclinic.modalities import MODALITIES, in_order
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.bundle.development_reference import Reference
from polyclinic.models.bundle.outliers import Novelty
from polyclinic.models.ensemble.ensemble import EnsemblePredictions


@dataclass(frozen=True, eq=False)
class InferenceInput:
    """A sample, made once for everything that an assessment reads of it, and what the ensemble's members predict."""

    sample: Sample
    predictions: EnsemblePredictions

    @classmethod
    def of(cls, bundle: Bundle, cohort: Cohort, events: pl.DataFrame, subject: int, time: datetime) -> Self:
        """Read what was known of the subject of `events` at a time."""
        sample = Sample.of(bundle, events, subject, time, cohort.blob)
        return cls(sample, bundle.ensemble.predict(sample.arrays))

    def record(self, reference: Reference | None) -> Record:
        """Describe how complete and how typical the record is."""
        sample, present = self.sample, self.sample.present
        codes = set(sample.known["code"].cast(pl.String).unique().to_list())
        usual = reference.codes if reference else {}
        lacking = sorted((code for code in usual if code not in codes), key=lambda code: (-usual[code], code))
        unknown = sample.features.ignored(sample.known)
        return Record(
            prediction_time=sample.prediction_time,
            events=sample.known.height,
            digest=f"{digest(sample.known.with_columns(pl.col('code').cast(pl.Categorical))):032x}",
            present=present,
            missing=tuple(name for name in in_order(sample.arrays) if name not in present),
            unusable=sample.unusable,
            unusable_blobs=sample.unusable_blobs,
            usually_there=tuple(CodeShare(code=code, share=usual[code]) for code in lacking),
            unknown=tuple(CodeCount(code=code, events=number) for code, number in sorted(unknown.items())),
            typicality=self._typicality(reference.novelty) if reference and reference.novelty and present else None,
        )

    def _typicality(self, novelty: Novelty) -> Typicality | None:
        networks = self.predictions.network_predictions
        latents = None if networks is None else networks.latents[:, 0]
        sample = self.sample
        structured = sample.arrays["structured"]["values"][0] if "structured" in sample.present else None
        score = novelty.score(latents, structured)
        if score is None:
            return None
        return Typicality(
            quantile=score.overall,
            latent=score.latent,
            structured=score.structured,
            far=score.is_outlier,
            samples=novelty.samples,
        )


def refuse_foreign(features: FeatureSet, cohort: Cohort) -> None:
    """Raise AssessmentError if the cohort has no code that the features read."""
    codes = cohort.summary().per_code["code"].to_list()
    read = features.codes_read
    kinds = tuple(f"{kind}//" for name in features.modalities for kind in MODALITIES[name].kinds)
    if not any(code in read or code.startswith(kinds) for code in codes):
        raise AssessmentError(
            f"the cohort at {cohort.path} has no code that the bundle reads, such as {min(read, default=kinds)}: "
            "ingest it with a mapping that names codes as those of training"
        )

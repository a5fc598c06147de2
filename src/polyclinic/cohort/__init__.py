"""The cohort on disk: a MEDS data set, its schema, subject-level splits, and the events known at a time."""

from polyclinic.cohort.as_of import SAMPLES, known_at
from polyclinic.cohort.codes import (
    BIRTH,
    MODALITIES,
    MODALITY_OF_KIND,
    OUTCOME,
    SERIES_KINDS,
    kind,
    kinds,
    modality,
    name,
    unit,
)
from polyclinic.cohort.cohort import Cohort
from polyclinic.cohort.errors import CohortError
from polyclinic.cohort.rejects import Reject
from polyclinic.cohort.removal import Removal, count_removal, remove
from polyclinic.cohort.schema import EVENTS, LOCAL, NOMINAL_ORIGIN, POLARS_EVENTS, UTC
from polyclinic.cohort.splits import SPLITS
from polyclinic.cohort.storage.writer import CohortWriter, Commit
from polyclinic.cohort.summary import ModalityCount, Summary

__all__ = [
    "BIRTH",
    "EVENTS",
    "LOCAL",
    "MODALITIES",
    "MODALITY_OF_KIND",
    "NOMINAL_ORIGIN",
    "OUTCOME",
    "POLARS_EVENTS",
    "SAMPLES",
    "SERIES_KINDS",
    "SPLITS",
    "UTC",
    "Cohort",
    "CohortError",
    "CohortWriter",
    "Commit",
    "ModalityCount",
    "Reject",
    "Removal",
    "Summary",
    "count_removal",
    "kind",
    "kinds",
    "known_at",
    "modality",
    "name",
    "remove",
    "unit",
]

"""The inputs of a study that names none: the modalities recorded of its samples."""

import polars as pl

from polyclinic.cohort import Cohort
from polyclinic.cohort.codes import SERIES_KINDS, kind, modality
from polyclinic.features.known_record import known_record
from polyclinic.modalities import MODALITIES
from polyclinic.progress import SILENT, Progress
from polyclinic.study import Study, StudyError


def resolve_inputs(study: Study, cohort: Cohort, samples: pl.DataFrame, progress: Progress = SILENT) -> Study:
    """Return the study with its inputs named; by default, the modalities recorded of `samples` by prediction time.

    Raises:
        StudyError: none of the samples has any input.
    """
    if study.inputs is not None:
        return study
    recorded = _recorded(known_record(cohort.events(), samples, study.tasks))
    inputs = tuple(name for name in MODALITIES if name in recorded)
    if not inputs:
        raise StudyError("no sample has any input recorded at its prediction time: nothing can be learnt")
    absent = [name for name in MODALITIES if name not in recorded]
    progress.message(f"inputs: {', '.join(inputs)}" + (f" (not in the cohort: {', '.join(absent)})" if absent else ""))
    return study.model_copy(update={"inputs": inputs})


def _recorded(known: pl.DataFrame) -> set[str | None]:
    """Return the modalities of some events."""
    timed_number = pl.col("numeric_value").is_not_null() & pl.col("time").is_not_null()
    codes = known.group_by(pl.col("code").cast(pl.String)).agg(timed=timed_number.any())
    series = any(timed and kind(code) in SERIES_KINDS for code, timed in codes.iter_rows())
    return {modality(code) for code in codes["code"]} | ({"series"} if series else set())

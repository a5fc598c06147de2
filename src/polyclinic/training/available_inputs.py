"""The inputs of a study that names none: the modalities recorded of its samples."""

import polars as pl

from polyclinic.features.feature_set import FEATURIZERS
from polyclinic.progress import SILENT, Progress
from polyclinic.study import Study, StudyError


def resolve_inputs(study: Study, known: pl.DataFrame, samples: pl.DataFrame, progress: Progress = SILENT) -> Study:
    """Return the study with its inputs named; by default, the modalities in the `known` record of the samples.

    Raises:
        StudyError: none of the samples has any input.
    """
    if study.inputs is not None:
        return study
    recorded = {name: featurizer.is_recorded(known, samples) for name, featurizer in FEATURIZERS.items()}
    inputs = tuple(name for name, found in recorded.items() if found)
    if not inputs:
        raise StudyError("no sample has any input recorded at its prediction time: nothing can be learnt")
    absent = [name for name, found in recorded.items() if not found]
    progress.message(f"inputs: {', '.join(inputs)}" + (f" (absent or too rare: {', '.join(absent)})" if absent else ""))
    return study.model_copy(update={"inputs": inputs})

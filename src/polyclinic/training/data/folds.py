"""Stratified folds by subject; subjects who share an image stay together."""

import warnings
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Int
from sklearn.model_selection import StratifiedGroupKFold

from polyclinic.cohort import Cohort
from polyclinic.cohort.splits import connected
from polyclinic.study import StudyError
from polyclinic.tasks import Targets, Task


class Fold(NamedTuple):
    """Rows of the samples for training and for validation."""

    training: Int[np.ndarray, " row"]
    validation: Int[np.ndarray, " row"]


def groups_of(cohort: Cohort, subjects: Int[np.ndarray, " sample"]) -> Int[np.ndarray, " sample"]:
    """Return the group of each sample: one subject in place of all connected by shared images."""
    images = (
        cohort.events()
        .filter(pl.col("blob").is_not_null() & pl.col("subject_id").is_in(np.unique(subjects)))
        .select("subject_id", "blob")
        .unique()
        .collect(engine="streaming")
    )
    root = dict(connected(images).select("subject_id", "group").iter_rows())
    return np.array([root.get(subject, subject) for subject in subjects.tolist()], dtype=np.int64)


def folds(groups: Int[np.ndarray, " row"], strata: Int[np.ndarray, " row"], number: int, seed: int) -> Iterator[Fold]:
    """Split rows into `number` folds that no group spans; the same seed gives the same folds.

    Raises:
        StudyError: there are fewer groups than folds.
    """
    if len(np.unique(groups)) < number:
        raise StudyError(
            f"{len(np.unique(groups))} subjects are too few for {number} folds: lower folds, or use more subjects"
        )
    splitter = StratifiedGroupKFold(number, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")  # such a class cannot be in every fold
        parts = list(splitter.split(np.zeros(len(groups)), strata, groups))
    yield from (Fold(training, validation) for training, validation in parts)


def strata_of(tasks: tuple[Task, ...], targets: Mapping[str, Targets]) -> Int[np.ndarray, " sample"]:
    """Return the stratum of each sample: its class in the first task that has classes; 0 where unknown."""
    for task in tasks:
        target = targets[task.name]
        if task.kind == "binary":
            return np.where(target.observed, 1 + target.values[:, 0], 0).astype(np.int64)
        if task.kind == "multiclass":
            return np.where(target.observed, 1 + target.values.argmax(axis=1), 0).astype(np.int64)
        if task.kind == "time_to_event":
            return np.where(target.observed, 1 + target.values[:, 1], 0).astype(np.int64)
    return np.zeros(len(next(iter(targets.values())).observed), dtype=np.int64)

"""The samples that an audit explains, and means over them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from polyclinic.cohort import Cohort
from polyclinic.evaluation import Estimate
from polyclinic.evaluation.arrays import weighted_mean
from polyclinic.evaluation.bootstrap import METHOD as BOOTSTRAP
from polyclinic.evaluation.bootstrap import Bootstrap, percentiles
from polyclinic.explain.methods.unit_scores import UnitScores
from polyclinic.explain.perturbation.perturbed_sample import PerturbedSample
from polyclinic.explain.sample import Output, Sample
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.ensemble.ensemble import Ensemble
from polyclinic.tasks import Task, prediction_times


@dataclass
class Explained:
    """One sample and its scores by method."""

    sample: Sample
    perturbed: PerturbedSample
    scores: Mapping[str, UnitScores]


def chosen(cohort: Cohort, task: Task, split: str | None, limit: int, seed: int) -> pl.DataFrame:
    """Draw subjects, each at its first prediction time."""
    times = prediction_times(cohort, task).group_by("subject_id", maintain_order=True).first()
    if split is not None:
        times = times.filter(pl.col("subject_id").is_in(cohort.subjects_in(split)))
    return times.sort("subject_id").sample(min(limit, times.height), shuffle=True, seed=seed)


def samples(bundle: Bundle, cohort: Cohort, times: pl.DataFrame) -> Iterator[Sample]:
    """Yield the samples of subjects, without those that have none of the inputs."""
    for subject, time in times.select("subject_id", "prediction_time").iter_rows():
        sample = Sample.of(bundle, cohort.subject(subject), subject, time, cohort.blob)
        if sample.present:
            yield sample


def explained_output(ensemble: Ensemble, sample: Sample, task: Task) -> Output:
    """Choose the output to explain: the most probable class or label, or the last time bin."""
    bins = ensemble.bins(task.name)
    if bins:
        return Output(task.name, f"by {bins[-1]:g} {task.target.unit}", len(bins) - 1)
    answers = ensemble.answer(sample.arrays)[task.name].answers[0]
    place = int(answers.argmax())
    return Output(task.name, task.outputs[place], place)


def mean(name: str, values: Sequence[tuple[int, float]]) -> Estimate:
    """Average values by subject, with an interval; NaN values are left out."""
    there = [(subject, value) for subject, value in values if np.isfinite(value)]
    if not there:
        return Estimate.missing(name, 0, "nothing that could be measured")
    subjects, numbers = np.array([one[0] for one in there]), np.array([one[1] for one in there])
    draws = Bootstrap().draws(lambda weights: weighted_mean(numbers, weights), len(numbers), subjects)
    *ends, reason = percentiles(draws)
    return Estimate.of(name, numbers.mean(), (ends[0], ends[1]), len(numbers), BOOTSTRAP, reason)

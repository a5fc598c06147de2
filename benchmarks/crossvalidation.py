"""Out-of-fold predictions of a study, shared by the benchmarks on real data."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.common import clocked
from polyclinic import Cohort, Study
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.tasks import Samples, samples
from polyclinic.training.data.folds import Fold, folds, groups_of, strata_of
from polyclinic.training.fit import fit_study

UNIFIED = "unified"


@dataclass(frozen=True)
class OutOfFold:
    """Out-of-fold predictions of the bundle and each of its members."""

    truth: np.ndarray  # 0 or 1 [sample]
    subjects: np.ndarray  # int64 [sample]
    answers: dict[str, np.ndarray]  # by model: the probability of the positive class [sample]
    seconds: list[float]  # of each fold's fit


def out_of_fold(study: Study, cohort: Cohort, number: int, seed: int, cache: EncoderCache) -> OutOfFold:
    """Fit a study of one binary task in each of `number` folds by subject, and predict the others."""
    (task,) = study.tasks
    sampled = samples(cohort, study.tasks)
    subjects = sampled.frame["subject_id"].to_numpy()
    answers: dict[str, np.ndarray] = {}
    seconds: list[float] = []
    for fold in _folds(study, cohort, sampled, number, seed):
        learnt = np.unique(subjects[fold.training]).tolist()
        fitted = []
        seconds.append(clocked(lambda: fitted.append(fit_study(study, cohort, subjects=learnt, cache=cache))))  # noqa: B023
        bundle = fitted[0].bundle
        arrays = bundle.arrays(cohort, sampled.take(fold.validation).frame)
        predicted = bundle.ensemble.answer(arrays, every_member=True)[task.name]
        members = {name: member.answers for name, member in predicted.members.items()}
        for name, values in ({UNIFIED: predicted.answers} | members).items():
            answers.setdefault(name, np.full(len(subjects), np.nan))[fold.validation] = values[:, 0]
    return OutOfFold(sampled.targets[task.name].values[:, 0], subjects, answers, seconds)


def _folds(study: Study, cohort: Cohort, sampled: Samples, number: int, seed: int) -> Iterator[Fold]:
    groups = groups_of(cohort, sampled.frame["subject_id"].to_numpy())
    return folds(groups, strata_of(study.tasks, sampled.targets), number, seed)

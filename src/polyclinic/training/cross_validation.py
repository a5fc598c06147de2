"""Measure a study on every subject by models that have not seen it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from polyclinic.cohort import SPLITS, Cohort
from polyclinic.evaluation import Bootstrap
from polyclinic.evaluation.metrics.survival import risks_at
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.files import write_json
from polyclinic.modalities import in_order as modalities_in_order
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.bundle.predictions import with_inputs
from polyclinic.progress import SILENT, Progress
from polyclinic.study import Study
from polyclinic.tasks import Targets, samples
from polyclinic.training.available_inputs import resolve_inputs
from polyclinic.training.data.folds import folds as split_into_folds
from polyclinic.training.data.folds import groups_of, strata_of
from polyclinic.training.evaluation.evaluate import EvaluationContext, Report, TaskPredictions, answers_by_subset
from polyclinic.training.evaluation.subgroups import subgroups
from polyclinic.training.fit import fit_study
from polyclinic.training.model_setup import check_network, head_config
from polyclinic.training.network.trainer import check_logger
from polyclinic.training.output_folder import (
    checkpoint_folder,
    installed_version,
    keep_logs,
    refuse_foreign_folder,
    save_bundle,
    write_report,
)


def cross_validate(
    study: Study,
    cohort: Cohort,
    out: Path,
    *,
    folds: int,
    repeats: int = 1,
    logger: str = "csv",
    progress: Progress = SILENT,
    cache: EncoderCache | None = None,
) -> Report:
    """Measure a study on every subject by models that have not seen it, then fit the bundle on all of them.

    In each fold everything is fitted anew: features, networks, classical models, combination, calibration. Tables show
    the first repeat; `repeats.json` has the headline figures of each and their mean.
    """
    check_network(study)
    check_logger(logger)
    refuse_foreign_folder(out)
    work = checkpoint_folder(study, cohort, out, f"{folds} folds")
    sampled = samples(cohort, study.tasks)
    study = resolve_inputs(study, cohort, sampled.frame, progress)
    subjects = sampled.frame["subject_id"].to_numpy()
    groups, strata = groups_of(cohort, subjects), strata_of(study.tasks, sampled.targets)
    reports: list[Report] = []
    for repeat in range(repeats):
        pooled = _Pooled(study, sampled.targets, sampled.frame.height)
        chosen = list(split_into_folds(groups, strata, folds, study.seed + repeat))
        with progress.task(f"cross-validation, repeat {repeat + 1}", total=folds) as advance:
            for number, fold in enumerate(chosen):
                learnt = np.unique(subjects[fold.training]).tolist()
                bundle = fit_study(
                    study,
                    cohort,
                    work=work / f"repeat{repeat}-fold{number}",
                    subjects=learnt,
                    cache=cache,
                    logger=logger,
                    progress=progress,
                    golden=False,
                ).bundle
                pooled.add(bundle, cohort, sampled.frame, fold.validation, progress)
                advance(1)
        reports.append(pooled.report(cohort, sampled.frame, f"{folds}-fold cross-validation", progress))
    everyone = study.model_copy(update={"development": SPLITS})
    bundle = fit_study(everyone, cohort, work=work / "everyone", cache=cache, logger=logger, progress=progress).bundle
    save_bundle(bundle, out)
    lead = f"{folds}-fold cross-validation by subject; the bundle learnt from everyone."
    write_report(reports[0], out, lead, progress)
    write_json(out / "repeats.json", _repeats(reports))
    keep_logs(work, out)
    return reports[0]


class _Pooled:
    """Collects what the models of all folds said of the subjects they had not seen.

    Everyone is called at the thresholds of the bundle that answered. A member that some fold could not fit is left out.
    The bins of time to event are those of the bundle that learns from everyone: the risks by the ends of a fold's own
    are read off there.
    """

    def __init__(self, study: Study, targets: Mapping[str, Targets], samples: int) -> None:
        self.study = study
        self.targets = targets
        self.samples = samples
        self.bins = {task.name: head_config(task, targets[task.name], balance=False).bins for task in study.tasks}
        self.answers: dict[str, np.ndarray] = {}
        self.thresholds: dict[str, np.ndarray] = {}
        self.members: dict[str, dict[str, np.ndarray]] = {task.name: {} for task in study.tasks}
        self.given: dict[str, dict[tuple[str, ...], np.ndarray]] = {task.name: {} for task in study.tasks}
        self.present = {modality: np.zeros(samples, dtype=bool) for modality in modalities_in_order(study.modalities)}
        self.developed = 0

    def add(self, bundle: Bundle, cohort: Cohort, frame: pl.DataFrame, rows: np.ndarray, progress: Progress) -> None:
        """Ask a fold's bundle about its validation rows."""
        arrays = bundle.arrays(cohort, frame[rows].drop("sample").with_row_index("sample"), progress)
        for modality, present in self.present.items():
            present[rows] = arrays[modality]["present"]
        for name, said in bundle.ensemble.answer(arrays, every_member=True).items():
            self._put(self.answers, name, self._read_off(bundle, name, said.answers), rows)
            thresholds = np.array(bundle.ensemble.tasks[name].thresholds)
            self._put(self.thresholds, name, np.tile(thresholds, (len(rows), 1)), rows)
            for member, prediction in said.members.items():
                self._put(self.members[name], member, self._read_off(bundle, name, prediction.answers), rows)
        if len(self.study.modalities) > 1:
            for subset, answers in answers_by_subset(bundle, arrays, progress).items():
                for name, answer in answers.items():
                    self._put(self.given[name], subset, self._read_off(bundle, name, answer), rows)
        self.developed = max(self.developed, bundle.origin["development_subjects"])

    def _put(self, into: dict[Any, np.ndarray], name: Any, answers: np.ndarray, rows: np.ndarray) -> None:
        into.setdefault(name, np.full((self.samples, answers.shape[1]), np.nan))[rows] = answers

    def _read_off(self, bundle: Bundle, name: str, answers: np.ndarray) -> np.ndarray:
        bins = self.bins[name]
        return risks_at(answers, bundle.ensemble.bins(name), bins) if bins else answers

    def report(self, cohort: Cohort, frame: pl.DataFrame, where: str, progress: Progress) -> Report:
        """Measure what was collected."""
        arrays: dict[str, Any] = {modality: {"present": present} for modality, present in self.present.items()}
        sheet = EvaluationContext(
            cohort=cohort,
            frame=frame,
            groups=subgroups(cohort, frame, arrays),
            inputs=self.study.modalities,
            origin={
                "polyclinic": installed_version(),
                "seed": self.study.seed,
                "cohort": cohort.fingerprint,
                "development_subjects": f"up to {self.developed}",
            },
            where=where,
            rule=self.study.operating_rule,
            bootstrap=Bootstrap(),
        )
        said = {task.name: self._said(task.name) for task in self.study.tasks}
        return Report(with_inputs(frame, arrays), sheet.measure(self.study.tasks, self.targets, said, progress))

    def _said(self, name: str) -> TaskPredictions:
        thresholds = tuple(self.thresholds[name].T)
        members = {member: said for member, said in self.members[name].items() if not np.isnan(said).any()}
        return TaskPredictions(self.answers[name], members, self.given[name], thresholds, self.bins[name])


def _repeats(reports: Sequence[Report]) -> dict[str, Any]:
    """Give the headline figures of every model in each repeat, and their mean."""
    found: dict[str, Any] = {}
    for name, first in reports[0].tasks.items():
        compared = [report[name].comparison for report in reports]
        found[name] = {
            contender.name: {
                figure: _values([comparison[contender.name].figures[figure].value for comparison in compared])
                for figure in first.comparison.headline
            }
            for contender in first.comparison.contenders
        }
    return found


def _values(values: Sequence[float | None]) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    return {"each": list(values), "mean": float(np.mean(known)) if known else None}

"""The main job: fit a study, measure it on subjects it has not seen, and leave everything in one folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from polyclinic.cohort import SPLITS, Cohort
from polyclinic.evaluation import Bootstrap
from polyclinic.evaluation.metrics.survival import risks_at
from polyclinic.evaluation.report.card import model_card
from polyclinic.evaluation.report.figures import save_pictures
from polyclinic.evaluation.report.page import write_page
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.files import sha256, write_json, write_text
from polyclinic.models.bundle.bundle import INDEX, Bundle
from polyclinic.models.bundle.predictions import Predictions, in_order, rows_of, with_inputs
from polyclinic.models.network.batch import in_order as modalities_in_order
from polyclinic.progress import SILENT, Progress
from polyclinic.study import Study, StudyError
from polyclinic.tasks import Targets, samples
from polyclinic.training.data.folds import folds as split_into_folds
from polyclinic.training.data.folds import groups_of, strata_of
from polyclinic.training.evaluation.evaluate import Report, Said, Sheet, answers_by_subset, evaluate
from polyclinic.training.evaluation.subgroups import subgroups
from polyclinic.training.fit import WORK, fit_study
from polyclinic.training.model_setup import check_network, head_config
from polyclinic.training.network.trainer import LOG, check_logger

MEASURED = ("metrics.json", "comparison.json", "repeats.json", "card.md", "report.html", "predictions.parquet")
"""What is written beside a bundle."""


def train_and_measure(
    study: Study,
    cohort: Cohort,
    out: Path,
    *,
    logger: str = "csv",
    progress: Progress = SILENT,
    cache: EncoderCache | None = None,
) -> Report | None:
    """Fit on the development subjects, measure on the held-out ones, and write bundle, card, tables, plots and page.

    Gives None where the study learns from every subject. What an interrupted run had finished is used again, if the
    study and the cohort are the same.
    """
    check_network(study)
    check_logger(logger)
    _refuse_foreign(out)
    work = _work(study, cohort, out, "one fit")
    bundle = fit_study(study, cohort, work=work, cache=cache, logger=logger, progress=progress).bundle
    _save(bundle, out)
    report = None
    if "held_out" not in study.development:
        report = evaluate(bundle, cohort, "held_out", progress=progress)
        write_report(report, out, "Held-out subjects, whom no part of the model has seen.", progress)
    _finish(work, out)
    return report


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
    _refuse_foreign(out)
    work = _work(study, cohort, out, f"{folds} folds")
    sampled = samples(cohort, study.tasks)
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
    _save(bundle, out)
    lead = f"{folds}-fold cross-validation by subject; the bundle learnt from everyone."
    write_report(reports[0], out, lead, progress)
    write_json(out / "repeats.json", _repeats(reports))
    _finish(work, out)
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
        self.present = {modality: np.zeros(samples, dtype=bool) for modality in modalities_in_order(study.inputs)}
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
            for member, opinion in said.members.items():
                self._put(self.members[name], member, self._read_off(bundle, name, opinion.answers), rows)
        if len(self.study.inputs) > 1:
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
        sheet = Sheet(
            cohort=cohort,
            frame=frame,
            groups=subgroups(cohort, frame, arrays),
            inputs=self.study.inputs,
            origin={
                "polyclinic": _version(),
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

    def _said(self, name: str) -> Said:
        thresholds = tuple(self.thresholds[name].T)
        members = {member: said for member, said in self.members[name].items() if not np.isnan(said).any()}
        return Said(self.answers[name], members, self.given[name], thresholds, self.bins[name])


def write_report(report: Report, out: Path, lead: str, progress: Progress = SILENT) -> None:
    """Write what was measured beside the bundle: card, figures, predictions, plots for each task, and one page."""
    write_json(out / "metrics.json", {name: one.evaluation.to_dict() for name, one in report.tasks.items()})
    write_json(
        out / "comparison.json",
        {
            name: {"models": one.comparison.to_dict(), "inputs": one.subsets.to_dict() if one.subsets else None}
            for name, one in report.tasks.items()
        },
    )
    write_text(out / "card.md", "\n\n".join(model_card(card) for card in report.cards))
    for card in report.cards:
        folder = out / "plots" / card.task
        folder.mkdir(parents=True, exist_ok=True)
        save_pictures(card, folder, progress=progress)
    write_page(out / "report.html", report.cards, "Polyclinic: results", lead, progress)
    rows = [
        rows_of(one.task, report.samples, one.said.answers, one.said.thresholds, one.said.bins)
        for one in report.tasks.values()
    ]
    Predictions(in_order(rows)).write(out / "predictions.parquet")


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


def _refuse_foreign(out: Path) -> None:
    """Refuse a file, and a folder that holds neither a bundle nor an unfinished fit: they would be written over."""
    taken = next((place for place in (out, *out.parents) if place.exists()), None)
    if taken is not None and not taken.is_dir():
        raise StudyError(f"{taken} is a file, and no folder: name a new folder with --out")
    if out.is_dir() and any(out.iterdir()) and not (out / INDEX).is_file() and not (out / WORK).is_dir():
        raise StudyError(f"{out} holds something else than a bundle: name a new folder with --out")


def _save(bundle: Bundle, out: Path) -> None:
    """Save the bundle, and remove what was measured of another that was here."""
    for name in MEASURED:
        (out / name).unlink(missing_ok=True)
    for name in ("plots", "logs"):
        shutil.rmtree(out / name, ignore_errors=True)
    bundle.save(out)


def _work(study: Study, cohort: Cohort, out: Path, scheme: str) -> Path:
    """Name the folder of checkpoints of this very study, cohort and scheme of folds; those of another are removed.

    The fit makes it with its first checkpoint, so that one which is refused leaves nothing behind.
    """
    key = sha256(f"{study.to_yaml()}{cohort.fingerprint}{scheme}{_version()}".encode())[:16]
    work = out / WORK / key
    if not work.is_dir():
        shutil.rmtree(out / WORK, ignore_errors=True)
    return work


def _finish(work: Path, out: Path) -> None:
    """Keep the training logs, and remove the checkpoints."""
    for log in sorted(work.rglob(LOG)):
        shutil.copytree(log, out / "logs" / "-".join(log.parent.relative_to(work).parts), dirs_exist_ok=True)
    shutil.rmtree(out / WORK, ignore_errors=True)


def _version() -> str:
    from importlib.metadata import version

    return version("polyclinic")

"""The main job: fit a study, measure it on subjects it has not seen, and leave everything in one folder."""

from __future__ import annotations

from pathlib import Path

from polyclinic.cohort import Cohort
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.progress import SILENT, Progress
from polyclinic.study import Study
from polyclinic.training.evaluation.evaluate import Report, evaluate
from polyclinic.training.fit import fit_study
from polyclinic.training.model_setup import check_network
from polyclinic.training.network.trainer import check_logger
from polyclinic.training.output_folder import (
    checkpoint_folder,
    keep_logs,
    refuse_foreign_folder,
    save_bundle,
    write_report,
)


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
    refuse_foreign_folder(out)
    work = checkpoint_folder(study, cohort, out, "one fit")
    bundle = fit_study(study, cohort, work=work, cache=cache, logger=logger, progress=progress).bundle
    save_bundle(bundle, out)
    report = None
    if "held_out" not in study.development:
        report = evaluate(bundle, cohort, "held_out", progress=progress)
        write_report(report, out, "Held-out subjects, whom no part of the model has seen.", progress)
    keep_logs(work, out)
    return report

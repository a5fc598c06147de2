"""Fit a study, evaluate it on held-out subjects, and write everything into one folder."""

from __future__ import annotations

from pathlib import Path

from polyclinic.cohort import Cohort
from polyclinic.compute.resources import Resources
from polyclinic.evaluation.report.about import About
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.progress import SILENT, Progress
from polyclinic.study import Study
from polyclinic.training.description.development import state
from polyclinic.training.evaluation.evaluate import Report, evaluate
from polyclinic.training.fit import fit_checked_study
from polyclinic.training.output_folder import (
    keep_logs,
    prepare_output,
    save_bundle,
    write_report,
    write_timings,
)


def train_and_measure(
    study: Study,
    cohort: Cohort,
    out: Path,
    *,
    logger: str = "csv",
    progress: Progress = SILENT,
    cache: EncoderCache | None = None,
    about: About | None = None,
    resources: Resources | None = None,
) -> Report | None:
    """Fit on the development subjects, evaluate on the held-out ones, and write bundle, card, tables, plots and page.

    An interrupted run is resumed if the study and the cohort are the same. `about` are statements for the card.

    Returns:
        The report; None where the study learns from every subject.

    Raises:
        StudyError: as `fit_study`, or `out` holds something other than a bundle.
    """
    resources = resources or Resources()
    stage = resources.stages.stage
    work = prepare_output(study, cohort, out, "one fit", logger, resources.device)
    with stage("fit"):
        bundle = fit_checked_study(
            study, cohort, work=work, cache=cache, logger=logger, progress=progress, resources=resources
        ).bundle
    bundle = state(bundle, about)
    with stage("write the bundle"):
        save_bundle(bundle, out)
    report = None
    if "held_out" not in study.development:
        with stage("evaluate"):
            report = evaluate(bundle, cohort, "held_out", progress=progress)
        with stage("write the report"):
            write_report(report, out, "Held-out subjects, not used in training.", progress)
    keep_logs(work, out)
    write_timings(resources.stages, out)
    return report

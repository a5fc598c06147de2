"""Cross-validate a study by subject, and fit its bundle to all subjects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from polyclinic.cohort import SPLITS, Cohort
from polyclinic.compute.resources import Resources
from polyclinic.evaluation import Bootstrap
from polyclinic.evaluation.report.about import About
from polyclinic.evaluation.report.description import Description
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.features.known_record import known_record
from polyclinic.files import write_json
from polyclinic.modalities import in_order as modalities_in_order
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.bundle.predictions import with_inputs
from polyclinic.progress import SILENT, Progress
from polyclinic.study import Study
from polyclinic.tasks import Samples, samples
from polyclinic.training.available_inputs import resolve_inputs
from polyclinic.training.data.folds import folds as split_into_folds
from polyclinic.training.data.folds import groups_of, strata_of
from polyclinic.training.description.development import about_of, development_facts, state
from polyclinic.training.description.measured import measured_out_of_fold
from polyclinic.training.evaluation.evaluate import EvaluationContext, Report
from polyclinic.training.evaluation.pooling import (
    FoldPredictions,
    common_bins,
    pooled_predictions,
    pooled_presence,
    predict_fold,
)
from polyclinic.training.evaluation.subgroups import subgroups
from polyclinic.training.fit import fit_checked_study
from polyclinic.training.output_folder import (
    installed_version,
    keep_logs,
    prepare_output,
    save_bundle,
    write_report,
    write_timings,
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
    about: About | None = None,
    resources: Resources | None = None,
) -> Report:
    """Evaluate a study on every subject by cross-validation, then fit the bundle to all subjects.

    Everything is fitted anew in each fold: features, networks, classical models, combination, calibration. Tables show
    the first repeat; `repeats.json` has the headline figures of each repeat and their mean.
    """
    resources = resources or Resources()
    stage = resources.stages.stage
    work = prepare_output(study, cohort, out, f"{folds} folds", logger, resources.device)
    sampled = samples(cohort, study.tasks)
    if study.inputs is None:
        known = known_record(cohort.events(), sampled.frame, study.tasks)
        study = resolve_inputs(study, known, sampled.frame, progress)
        del known
    subjects = sampled.frame["subject_id"].to_numpy()
    groups, strata = groups_of(cohort, subjects), strata_of(study.tasks, sampled.targets)
    bins = common_bins(study.tasks, sampled.targets)
    reports: list[Report] = []
    for repeat in range(repeats):
        predictions: list[FoldPredictions] = []
        chosen = list(split_into_folds(groups, strata, folds, study.seed + repeat))
        with progress.task(f"cross-validation, repeat {repeat + 1}", total=folds) as advance:
            for number, fold in enumerate(chosen):
                with stage("fit without a fold"):
                    bundle = fit_checked_study(
                        study,
                        cohort,
                        work=work / f"repeat{repeat}-fold{number}",
                        subjects=np.unique(subjects[fold.training]).tolist(),
                        cache=cache,
                        logger=logger,
                        progress=progress,
                        golden=False,
                        resources=resources,
                    ).bundle
                with stage("predict the fold"):
                    predictions.append(predict_fold(bundle, cohort, sampled, fold.validation, bins, progress))
                advance(1)
        with stage("evaluate"):
            reports.append(_report(study, cohort, sampled, predictions, progress))
    on_all = study.model_copy(update={"development": SPLITS})
    with stage("fit"):
        bundle = fit_checked_study(
            on_all,
            cohort,
            work=work / "everyone",
            cache=cache,
            logger=logger,
            progress=progress,
            resources=resources,
        ).bundle
    bundle = state(bundle, about)
    with stage("write the bundle"):
        save_bundle(bundle, out)
    how = f"{folds}-fold cross-validation"
    reports[0] = _with_description(_with_leaks(reports[0], bundle.origin.get("leaks", {})), bundle, how)
    lead = f"{folds}-fold cross-validation by subject; the bundle learnt from everyone."
    with stage("write the report"):
        write_report(reports[0], out, lead, progress)
    write_json(out / "repeats.json", _repeats(reports))
    keep_logs(work, out)
    write_timings(resources.stages, out)
    return reports[0]


def _report(
    study: Study, cohort: Cohort, sampled: Samples, predictions: Sequence[FoldPredictions], progress: Progress
) -> Report:
    """Evaluate the pooled out-of-fold predictions."""
    present = pooled_presence(predictions)
    arrays: Mapping[str, Any] = {modality: present[modality] for modality in modalities_in_order(study.modalities)}
    context = EvaluationContext(
        cohort=cohort,
        frame=sampled.frame,
        groups=subgroups(cohort, sampled.frame, arrays),
        inputs=study.modalities,
        origin={
            "polyclinic": installed_version(),
            "seed": study.seed,
            "cohort": cohort.fingerprint,
            "development_subjects": f"up to {max(fold.development_subjects for fold in predictions)}",
        },
        where=f"{len(predictions)}-fold cross-validation",
        rule=study.operating_rule,
        bootstrap=Bootstrap(),
    )
    evaluated = context.measure(study.tasks, sampled.targets, pooled_predictions(predictions), progress)
    return Report(with_inputs(sampled.frame, arrays), evaluated)


def _with_leaks(report: Report, leaks: Mapping[str, Sequence[str]]) -> Report:
    """Add the cautions of the fit to all subjects, which has the most of them, to the cards."""
    tasks = {
        name: replace(measured, card=replace(measured.card, found=(*leaks.get(name, ()), *measured.card.found)))
        for name, measured in report.tasks.items()
    }
    return replace(report, tasks=tasks)


def _with_description(report: Report, bundle: Bundle, how: str) -> Report:
    """Add the facts of the fit to all subjects, who are those measured, to the cards."""
    tasks = {}
    for name, measured in report.tasks.items():
        facts = development_facts(bundle, name)
        described = Description(facts, measured_out_of_fold(facts, how) if facts else None, about_of(bundle))
        tasks[name] = replace(measured, card=replace(measured.card, description=described))
    return replace(report, tasks=tasks)


def _repeats(reports: Sequence[Report]) -> dict[str, Any]:
    """Return the headline figures of every model in each repeat, and their mean."""
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

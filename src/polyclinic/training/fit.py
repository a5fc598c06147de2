"""From a study and a cohort to a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from polyclinic.cohort import Cohort
from polyclinic.features import Arrays
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.features.feature_set import FeatureSet
from polyclinic.features.known_record import record_of
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.ensemble.members import presence_of
from polyclinic.progress import SILENT, Progress
from polyclinic.study import Study, StudyError
from polyclinic.tasks import Samples, Targets, samples
from polyclinic.training.available_inputs import resolve_inputs
from polyclinic.training.cross_fitting import Crossfitter, MemberPredictions
from polyclinic.training.data.dataset import Examples
from polyclinic.training.data.folds import folds, groups_of, strata_of
from polyclinic.training.development_reference import Development, OutOfFoldPredictions, usual_codes
from polyclinic.training.memory_estimate import MemoryEstimate, classical_bytes, free_bytes, held_bytes, step_bytes
from polyclinic.training.model_setup import check_network, designs, feature_options, head_config, model_config
from polyclinic.training.network.trainer import check_logger
from polyclinic.verification.golden_outputs import golden_of

WORK = ".work"
"""Folder, within a bundle's, of the checkpoints of an unfinished fit."""


@dataclass(frozen=True)
class FittedStudy:
    """A bundle, and what its members said of the development samples when they had not seen them."""

    bundle: Bundle
    samples: pl.DataFrame
    examples: Examples
    member_predictions: MemberPredictions


def fit(study: Study, cohort: Cohort, **options: Any) -> Bundle:
    """Fit a study on the development subjects of a cohort; see `fit_study` for the options and errors."""
    return fit_study(study, cohort, **options).bundle


def fit_study(
    study: Study,
    cohort: Cohort,
    *,
    work: Path | None = None,
    subjects: list[int] | None = None,
    cache: EncoderCache | None = None,
    logger: str = "csv",
    progress: Progress = SILENT,
    golden: bool = True,
) -> FittedStudy:
    """Fit a study on the development subjects of a cohort.

    Features, networks, classical models, their combination, calibration and thresholds all come from these subjects;
    the others are not read. `work` keeps checkpoints, so that a fit that was killed goes on where it was when it is
    called again with the same study and cohort. `subjects` replaces the splits that `study.development` names; those
    of the split that `study.conformal` reserves are not learnt from either way. `golden` keeps golden outputs with the
    bundle, by which an installation is verified; a bundle that nobody will keep does without.

    Raises:
        StudyError: the study names what there is not, there is nothing to learn from, or memory will not suffice.
        TaskError: a task cannot be asked of this cohort, or its outcome would leak into the inputs.
    """
    check_network(study)
    check_logger(logger)
    sampled = samples(cohort, study.tasks)
    learnt, kept = _subjects(study, cohort, subjects)
    frame, targets = _answered(sampled, learnt)
    if not frame.height:
        raise StudyError("no development subject has an answer to any of the tasks: nothing can be learnt")
    study = resolve_inputs(study, cohort, frame, progress)
    features, codes, arrays = _features(study, cohort, frame, cache or EncoderCache(), progress)
    examples = Examples(arrays, targets, frame["subject_id"].to_numpy())
    _refuse_hopeless(study, examples)
    with TemporaryDirectory() as temporary:
        crossfitter = _crossfitter(study, features, examples, work or Path(temporary), logger, progress)
        groups = groups_of(cohort, examples.subjects)
        chosen = list(folds(groups, strata_of(study.tasks, targets), study.folds, study.seed))
        ensemble, member_predictions = crossfitter.fit(chosen)
    bundle = Bundle(study.tasks, features, ensemble, study.to_yaml(), _origin(study, cohort, examples))
    read = crossfitter.network_examples if crossfitter.config else None
    development = Development(study, codes, examples, read, chosen, ensemble, member_predictions)
    reserved = _reserved(study, bundle, cohort, *_answered(sampled, kept), progress) if study.conformal else None
    bundle.reference = development.reference(reserved, progress)
    bundle.golden = golden_of(bundle) if golden else None
    return FittedStudy(bundle, frame, examples, member_predictions)


def estimate(study: Study, examples: Examples, crossfitter: Crossfitter) -> MemoryEstimate:
    """Estimate the memory of the fit: of the network's steps, and of the classical models' matrices."""
    parameters, activations = 0, 0
    if crossfitter.config is not None and study.network is not None:
        from polyclinic.models import UnifiedModel
        from polyclinic.training.network.lightning_module import UnifiedModule

        module = UnifiedModule(UnifiedModel(crossfitter.config), study.network, study.seed)
        parameters, activations = step_bytes(module, crossfitter.network_examples, np.arange(len(examples)))
    asked = any(task.kind != "time_to_event" for task in study.tasks)
    return MemoryEstimate(
        examples=held_bytes(examples),
        parameters=parameters,
        activations=activations,
        classical=classical_bytes(crossfitter.designs.values(), len(examples)) if asked else 0,
        available=free_bytes(),
    )


def _subjects(study: Study, cohort: Cohort, subjects: list[int] | None) -> tuple[list[int], list[int]]:
    """Give the subjects to learn from, and those kept for conformal sets."""
    kept = set(cohort.subjects_in(study.conformal)) if study.conformal else set()
    if subjects is None:
        return [one for split in study.learnt_from for one in cohort.subjects_in(split)], sorted(kept)
    return [one for one in subjects if one not in kept], [one for one in subjects if one in kept]


def _answered(sampled: Samples, subjects: list[int]) -> tuple[pl.DataFrame, dict[str, Targets]]:
    """Give the samples of some subjects, renumbered, and their answers."""
    rows = sampled.rows(subjects)
    frame = sampled.frame[rows].drop("sample").with_row_index("sample")
    return frame, {name: Targets(*(part[rows] for part in target)) for name, target in sampled.targets.items()}


def _reserved(
    study: Study, bundle: Bundle, cohort: Cohort, frame: pl.DataFrame, targets: dict[str, Targets], progress: Progress
) -> OutOfFoldPredictions:
    """Ask the bundle about the subjects of whom it has learnt nothing."""
    for task in study.tasks:
        if not targets[task.name].observed.any():
            whom = f"nobody in {study.conformal} has an answer to {task.name}"
            raise StudyError(f"{whom}: reserve another split, or none")
    arrays = bundle.arrays(cohort, frame, progress)
    answers = {name: said.answers for name, said in bundle.ensemble.answer(arrays).items()}
    able = np.logical_or.reduce(list(presence_of(arrays).values()))
    return OutOfFoldPredictions(frame["subject_id"].to_numpy(), targets, answers, able)


def _features(
    study: Study, cohort: Cohort, frame: pl.DataFrame, cache: EncoderCache, progress: Progress
) -> tuple[FeatureSet, dict[str, float], dict[str, Arrays]]:
    known = record_of(cohort.events(), frame, study.tasks)
    features = FeatureSet.of(study.modalities, feature_options(study), cache).reading(cohort.blob)
    features.fit(known, frame)
    features.prepare(known, frame, progress)
    arrays = features.transform(known, frame, classical=bool(study.classical))
    lacking = [modality for modality in study.modalities if not np.any(arrays[modality]["present"])]
    if lacking:
        raise StudyError(f"no development subject has {' or '.join(lacking)}: leave it out of the inputs")
    return features, usual_codes(known, frame.height), arrays


def _crossfitter(
    study: Study, features: FeatureSet, examples: Examples, folder: Path, logger: str, progress: Progress
) -> Crossfitter:
    config = None
    if study.network is not None:
        heads = {
            task.name: head_config(task, examples.targets[task.name], study.network.balance_classes)
            for task in study.tasks
        }
        config = model_config(study, features, examples.arrays, heads)
    crossfitter = Crossfitter(
        study, examples, config, designs(study, features, examples.arrays), folder, logger, progress
    )
    needed = estimate(study, examples, crossfitter)
    progress.message(f"memory: {needed}")
    if not needed.fits:
        raise StudyError(f"{needed}: {needed.remedy}")
    return crossfitter


def _refuse_hopeless(study: Study, examples: Examples) -> None:
    """Refuse tasks that leave nothing to learn: too few answers, or too few of either kind for the folds."""
    for task in study.tasks:
        target = examples.targets[task.name]
        values = target.values[target.observed]
        if len(values) < 2 * study.folds:
            raise StudyError(f"{task.name} is answered for {len(values)} development samples: too few to learn from")
        if task.kind == "regression":
            alike, what = len(values) - len(np.unique(values)) + 1, "value"
            enough = alike < len(values)
        else:
            counted = values[:, 1:] if task.kind == "time_to_event" else values
            cases = counted.sum(axis=0)
            usual = task.kind in ("binary", "multilabel")
            rare = np.minimum(cases, len(values) - cases) if usual else cases
            enough, what = bool((np.sort(rare)[-2 if task.kind == "multiclass" else -1]) >= study.folds), "answer"
        if not enough:
            raise StudyError(
                f"{task.name} has the same {what} for every development subject but fewer than {study.folds} "
                "(the number of folds): nothing can be learnt"
            )


def _origin(study: Study, cohort: Cohort, examples: Examples) -> dict[str, Any]:
    return {
        "polyclinic": version("polyclinic"),
        "cohort": cohort.fingerprint,
        "seed": study.seed,
        "development": list(study.learnt_from),
        "development_subjects": len(np.unique(examples.subjects)),
        "development_samples": len(examples),
        "answered": {name: int(target.observed.sum()) for name, target in examples.targets.items()},
        "present": {modality: int(np.asarray(arrays["present"]).sum()) for modality, arrays in examples.arrays.items()},
    }

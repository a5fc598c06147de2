"""Fit a study on a cohort, and return a bundle."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Int

from polyclinic.cohort import Cohort
from polyclinic.compute.memory import free_bytes
from polyclinic.compute.resources import RAY, Resources
from polyclinic.compute.threads import one_thread
from polyclinic.features import Arrays
from polyclinic.features.blobs import caution_of, unusable_blobs
from polyclinic.features.cache.encoder_cache import EncoderCache
from polyclinic.features.feature_set import FeatureSet
from polyclinic.features.known_record import known_record
from polyclinic.models import UnifiedModel
from polyclinic.models.bundle.bundle import Bundle
from polyclinic.models.bundle.subject_digest import SubjectDigest
from polyclinic.models.bundle.value_ranges import ValueRange, value_ranges
from polyclinic.models.ensemble.members import presence_of
from polyclinic.models.ensemble.network_outputs import predict_each_network
from polyclinic.progress import SILENT, Progress
from polyclinic.study import Study, StudyError
from polyclinic.tasks import Samples, samples
from polyclinic.training.answer_spreads import MAX_SAMPLES, FoldModels, answer_spreads
from polyclinic.training.available_inputs import resolve_inputs
from polyclinic.training.cross_fitting import Crossfitter, MemberPredictions
from polyclinic.training.data.dataset import Examples
from polyclinic.training.data.folds import folds, groups_of, strata_of
from polyclinic.training.description.characteristics import Recorded, recorded
from polyclinic.training.description.development import FittedModel
from polyclinic.training.development_reference import Development, OutOfFoldPredictions, usual_codes
from polyclinic.training.evaluation.subgroups import ages_at, sexes_at
from polyclinic.training.leak_check import leak_cautions
from polyclinic.training.memory_estimate import MemoryEstimate, copies_bytes, held_bytes, matrices_bytes, step_bytes
from polyclinic.training.model_setup import check_network, designs, feature_options, head_config, model_config
from polyclinic.training.network.lightning_module import UnifiedModule
from polyclinic.training.network.trainer import check_logger
from polyclinic.verification.golden_outputs import golden_of

WORK = ".work"
"""Subfolder of a bundle's folder, for the checkpoints of an unfinished fit."""
EPOCHS_PER_PATIENCE = 2
"""Epochs after which a fit usually stops, as a multiple of its patience; decides only when workers are started."""


@dataclass(frozen=True)
class FittedStudy:
    """A bundle, its development samples, and its members' out-of-fold predictions of them."""

    bundle: Bundle
    samples: pl.DataFrame
    examples: Examples
    member_predictions: MemberPredictions


class _Recorded(NamedTuple):
    """What the development samples usually have."""

    codes: dict[str, float]
    ranges: dict[str, ValueRange]
    described: Recorded  # for the card


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
    resources: Resources | None = None,
) -> FittedStudy:
    """Fit a study on the development subjects of a cohort.

    Features, networks, classical models, their combination, calibration and thresholds are fitted to these subjects;
    the others are not read.

    Args:
        study: What to fit.
        cohort: Where to fit it.
        work: Folder for checkpoints; called again with the same study and cohort, an interrupted fit is resumed.
        subjects: The subjects to learn from, instead of the splits of `study.development`. Those of the split that
            `study.conformal` reserves are left out either way. A subject that is named several times counts as often,
            as in a bootstrap; its copies stay in one fold.
        cache: Cache of the frozen encoders' outputs.
        logger: Where networks log their losses: csv, mlflow or tensorboard.
        progress: Receives the steps.
        golden: Whether to store in the bundle golden outputs, which verify an installation, and facts for its card.
        resources: Processes or a Ray cluster to fit in, by default this process; they do not change the result.

    Raises:
        StudyError: the study or the logger is invalid, there is too little to learn from, or too little memory.
        TaskError: a task does not suit the cohort, or its outcome would leak into the inputs.
        WorkerError: the system stopped a worker process, or a cluster lost a task several times.
        ClusterError: there is no such Ray cluster, or a node has other versions.
    """
    check_study(study, logger)
    return fit_checked_study(
        study,
        cohort,
        work=work,
        subjects=subjects,
        cache=cache,
        logger=logger,
        progress=progress,
        golden=golden,
        resources=resources,
    )


def check_study(study: Study, logger: str) -> None:
    """Check what can be checked of a fit before anything is read.

    Raises:
        StudyError: the network cannot be built, or the logger is unknown or not installed.
        MissingLibraryError: a classical model needs a library that the system lacks.
    """
    from polyclinic.models.classical.estimators import check_libraries  # imports scikit-learn

    check_network(study)
    check_logger(logger)
    check_libraries(study.classical)


@one_thread()
def fit_checked_study(
    study: Study,
    cohort: Cohort,
    *,
    work: Path | None = None,
    subjects: list[int] | None = None,
    cache: EncoderCache | None = None,
    logger: str = "csv",
    progress: Progress = SILENT,
    golden: bool = True,
    resources: Resources | None = None,
) -> FittedStudy:
    """Fit a study that has passed `check_study`; otherwise as `fit_study`.

    Everything is computed in one thread, as jobs are: beside it, threads on small matrices only take turns.
    """
    resources = resources or Resources()
    stage = resources.stages.stage
    with stage("labels"):
        sampled = samples(cohort, study.tasks)
    development_subjects, reserved_subjects = _subjects(study, cohort, subjects)
    development = sampled.take(_rows(sampled, development_subjects))
    if not development.frame.height:
        raise StudyError("no development subject has a label for any of the tasks")
    study, features, had, arrays = _features(
        study, cohort, development.frame, cache or EncoderCache(), progress, resources
    )
    examples = Examples(arrays, development.targets, development.frame["subject_id"].to_numpy())
    _check_labels(study, examples)
    with stage("check for leaks"):
        leaks = leak_cautions(study.tasks, features, examples)
    for caution in (text for texts in leaks.values() for text in texts):
        progress.message(f"caution: {caution}")
    with TemporaryDirectory() as temporary, stage("cross-fitting"):
        crossfitter = _crossfitter(study, features, examples, work or Path(temporary), logger, progress, resources)
        groups = groups_of(cohort, examples.subjects)
        chosen = list(folds(groups, strata_of(study.tasks, examples.targets), study.folds, study.seed))
        ensemble, member_predictions, by_fold = crossfitter.fit(chosen)
    bundle = Bundle(study, features, ensemble, _origin(study, cohort, examples, leaks))
    read = crossfitter.network_examples if crossfitter.config else None
    reserved, reserved_samples = None, sampled.take(sampled.rows(reserved_subjects)) if study.conformal else None
    if reserved_samples is not None:
        reserved = _reserved(study, bundle, cohort, reserved_samples, progress)
    with stage("spread of answers"):
        of_networks = None
        if read is not None and len(examples) <= MAX_SAMPLES:
            of_networks = predict_each_network(ensemble.networks, read.arrays)
        models = FoldModels(study, examples, read, chosen, ensemble, by_fold, crossfitter.design_rows, of_networks)
        spreads = answer_spreads(models)
    fitted = Development(
        study, had.codes, had.ranges, examples, read, chosen, ensemble, member_predictions, spreads, of_networks
    )
    with stage("development reference"):
        bundle.reference = fitted.reference(reserved, progress)
    if golden:
        out_of_fold = fitted.out_of_fold().answers
        described = FittedModel(
            study, cohort, features, ensemble, development, out_of_fold, had.described, reserved_samples
        )
        with stage("description and golden outputs"):
            bundle.description = described.description()
            bundle.golden = golden_of(bundle)
    return FittedStudy(bundle, development.frame, examples, member_predictions)


def estimate(study: Study, examples: Examples, crossfitter: Crossfitter) -> MemoryEstimate:
    """Estimate the memory of the network's training steps and of the classical models' matrices."""
    parameters, activations = 0, 0
    if crossfitter.config is not None and study.network is not None:
        module = UnifiedModule(UnifiedModel(crossfitter.config), study.network, study.seed)
        parameters, activations = step_bytes(module, crossfitter.network_examples, np.arange(len(examples)))
    has_classical_models = any(task.kind != "time_to_event" for task in study.tasks)
    designs = crossfitter.designs.values() if has_classical_models else ()
    return MemoryEstimate(
        examples=held_bytes(examples),
        parameters=parameters,
        activations=activations,
        matrices=matrices_bytes(designs, len(examples)),
        classical=copies_bytes(designs, len(examples)),
        available=free_bytes(),
        jobs=crossfitter.resources.jobs,
        on_nodes=crossfitter.resources.on == RAY,
    )


def _subjects(study: Study, cohort: Cohort, subjects: list[int] | None) -> tuple[list[int], list[int]]:
    """Return the subjects to learn from, and those reserved for conformal sets."""
    reserved = set(cohort.subjects_in(study.conformal)) if study.conformal else set()
    if subjects is None:
        development = [subject for split in study.fitting_splits for subject in cohort.subjects_in(split)]
        return development, sorted(reserved)
    return [subject for subject in subjects if subject not in reserved], [
        subject for subject in subjects if subject in reserved
    ]


def _rows(sampled: Samples, subjects: list[int]) -> Int[np.ndarray, " row"]:
    """Return the rows of the subjects' samples, each as often as its subject is named."""
    rows, times = sampled.rows(subjects), Counter(subjects)
    named = sampled.frame["subject_id"].gather(rows).to_list()
    return np.repeat(rows, [times[subject] for subject in named])


def _reserved(
    study: Study, bundle: Bundle, cohort: Cohort, reserved: Samples, progress: Progress
) -> OutOfFoldPredictions:
    """Predict the samples of the reserved subjects."""
    for task in study.tasks:
        if not reserved.targets[task.name].observed.any():
            raise StudyError(
                f"no subject in {study.conformal} has a label for {task.name}: reserve another split, or none"
            )
    arrays = bundle.arrays(cohort, reserved.frame, progress)
    answers = {name: prediction.answers for name, prediction in bundle.ensemble.answer(arrays).items()}
    able = np.logical_or.reduce(list(presence_of(arrays).values()))
    return OutOfFoldPredictions(reserved.frame["subject_id"].to_numpy(), reserved.targets, answers, able)


def _features(
    study: Study, cohort: Cohort, frame: pl.DataFrame, cache: EncoderCache, progress: Progress, resources: Resources
) -> tuple[Study, FeatureSet, _Recorded, dict[str, Arrays]]:
    """Fit the features; return them, the study with its inputs named, what is usually recorded, and the arrays."""
    stage = resources.stages.stage
    with stage("record at the prediction times"):
        known = known_record(cohort.events(), frame, study.tasks)
    study = resolve_inputs(study, known, frame, progress)
    features = FeatureSet.of(study.modalities, feature_options(study), cache).set_blobs(cohort.blob)
    features.use(resources)
    with stage("features"):
        features.fit(known, frame)
        with stage("frozen encoders"):
            features.prepare(known, frame, progress)
        arrays = features.transform(known, frame, classical=bool(study.classical))
    if unusable := unusable_blobs(arrays):
        progress.message(caution_of(unusable))
    missing = [
        f"usable {modality}" if unusable_blobs({modality: arrays[modality]}) else modality
        for modality in study.modalities
        if not np.any(arrays[modality]["present"])
    ]
    if missing:
        raise StudyError(f"no development subject has {' or '.join(missing)}: leave it out of the inputs")
    with stage("summary for the card"):
        described = recorded(known, frame, ages_at(cohort, frame), sexes_at(cohort, frame), features)
    had = _Recorded(usual_codes(known, frame.height), value_ranges(known, features), described)
    return study, features, had, arrays


def _crossfitter(
    study: Study,
    features: FeatureSet,
    examples: Examples,
    folder: Path,
    logger: str,
    progress: Progress,
    resources: Resources,
) -> Crossfitter:
    """Return the crossfitter, with as many processes as there is memory for."""
    config = None
    if study.network is not None:
        heads = {
            task.name: head_config(task, examples.targets[task.name], study.network.balance_classes)
            for task in study.tasks
        }
        config = model_config(study, features, examples.arrays, heads)
    crossfitter = Crossfitter(
        study,
        examples,
        config,
        designs(study, features, examples.arrays),
        folder,
        features.demographics,
        logger,
        progress,
        resources,
    )
    begun = time.perf_counter()
    needed = estimate(study, examples, crossfitter)
    network_s = _network_s(study, len(examples), time.perf_counter() - begun)
    progress.message(f"memory: {needed}")
    if not needed.fits:
        raise StudyError(f"{needed}: {needed.remedy}")
    return replace(
        crossfitter,
        resources=replace(resources, jobs=needed.workers),
        network_s=network_s,
        each_bytes=needed.of_worker,
    )


def _network_s(study: Study, samples: int, step_s: float) -> float:
    """Guess how long one network is fitted, from the seconds of one step."""
    if study.network is None:
        return 0.0
    epochs = min(study.network.epochs, EPOCHS_PER_PATIENCE * study.network.patience)
    return step_s * epochs * math.ceil(samples / study.network.batch_size)


def _check_labels(study: Study, examples: Examples) -> None:
    """Raise `StudyError` where a task has too few labels, or too few of a class, for the folds."""
    for task in study.tasks:
        target = examples.targets[task.name]
        values = target.values[target.observed]
        if len(values) < 2 * study.folds:
            raise StudyError(
                f"{task.name} is labelled for only {len(values)} development samples: too few to learn from"
            )
        if task.kind == "regression":
            enough, what = len(np.unique(values)) > 1, "value"
        else:
            counted = values[:, 1:] if task.kind == "time_to_event" else values
            cases = counted.sum(axis=0)
            two_sided = task.kind in ("binary", "multilabel")
            rarer = np.minimum(cases, len(values) - cases) if two_sided else cases
            enough, what = bool((np.sort(rarer)[-2 if task.kind == "multiclass" else -1]) >= study.folds), "label"
        if not enough:
            raise StudyError(
                f"{task.name} has the same {what} for all development samples but fewer than {study.folds} "
                "(the number of folds): nothing can be learnt"
            )


def _origin(study: Study, cohort: Cohort, examples: Examples, leaks: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    found = {"leaks": {task: list(texts) for task, texts in leaks.items()}} if leaks else {}
    return found | {
        "polyclinic": version("polyclinic"),
        "cohort": cohort.fingerprint,
        "seed": study.seed,
        "development": list(study.fitting_splits),
        "development_subjects": len(np.unique(examples.subjects)),
        "subject_digest": SubjectDigest.of(np.unique(examples.subjects)).text(),
        "development_samples": len(examples),
        "answered": {name: int(target.observed.sum()) for name, target in examples.targets.items()},
        "present": {modality: int(np.asarray(arrays["present"]).sum()) for modality, arrays in examples.arrays.items()},
    }

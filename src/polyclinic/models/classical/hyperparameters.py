"""Hyper-parameter search by cross-validation within the training samples."""

import numpy as np
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from polyclinic.models.classical.config import ClassicalConfig, Options
from polyclinic.models.classical.estimators import FAMILIES, fit_estimator


def best_options(config: ClassicalConfig, x: np.ndarray, targets: list[np.ndarray], subjects: np.ndarray) -> Options:
    """Return the options of the family's grid with the least cross-validated loss; the default without folds.

    The samples of a subject are in one fold. The loss is the log loss, or the squared error for regression.
    """
    grid = FAMILIES[config.name].grid
    folds = min(config.inner_folds, len(np.unique(subjects)))
    if folds < 2:
        return grid[0]
    splits = _splits(config, folds, targets[0], subjects)
    losses = [sum(_loss(config, options, x, target, splits) for target in targets) for options in grid]
    return grid[int(np.argmin(losses))]


def _splits(
    config: ClassicalConfig, folds: int, target: np.ndarray, subjects: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    if config.kind == "regression" or np.bincount(target).min() < folds:
        return list(GroupKFold(folds, shuffle=True, random_state=config.seed).split(target, target, subjects))
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=config.seed)
    return list(splitter.split(target, target, subjects))


def _loss(
    config: ClassicalConfig,
    options: Options,
    x: np.ndarray,
    target: np.ndarray,
    splits: list[tuple[np.ndarray, np.ndarray]],
) -> float:
    total = 0.0
    for fitted, held_out in splits:
        estimator = fit_estimator(config, options, x[fitted], target[fitted])
        if config.kind == "regression":
            total += float(np.square(estimator.predict(x[held_out]) - target[held_out]).sum())
            continue
        probabilities = np.full((len(held_out), int(target.max()) + 1), 1e-6)
        probabilities[:, estimator.classes_] = estimator.predict_proba(x[held_out]).clip(1e-6)
        total -= float(np.log(probabilities[np.arange(len(held_out)), target[held_out]]).sum())
    return total / len(target)

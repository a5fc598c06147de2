"""The estimators of each classical model, with defaults and search grids for 150 to 10,000 samples."""

import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from polyclinic.models.classical.config import ClassicalConfig, Options
from polyclinic.study import ClassicalName

SklearnEstimator = Any
Build = Callable[..., SklearnEstimator]
"""Shape of the matrix, seed and options → unfitted estimator."""


class MissingLibraryError(RuntimeError):
    """A library that the system must bring is missing."""


@dataclass(frozen=True)
class Family:
    """Classifier, regressor and search grid of one name."""

    classifier: Build
    regressor: Build
    grid: tuple[Options, ...]  # the first is the default


def _logistic(shape: tuple[int, int], seed: int, strength: float, **options: Any) -> SklearnEstimator:  # noqa: ARG001
    return LogisticRegression(C=strength, max_iter=2000, random_state=seed, **options)


def _ridge(shape: tuple[int, int], seed: int, strength: float) -> SklearnEstimator:  # noqa: ARG001
    return Ridge(alpha=5 / strength, random_state=seed)


def _tree(make: Callable[..., SklearnEstimator]) -> Build:
    def build(shape: tuple[int, int], seed: int, **options: Any) -> SklearnEstimator:
        return make(random_state=seed, min_samples_leaf=max(5, shape[0] // 50), **options)

    return build


def _forest(make: Callable[..., SklearnEstimator]) -> Build:
    def build(shape: tuple[int, int], seed: int, share: float, **options: Any) -> SklearnEstimator:
        columns = share_of(shape[1], share)
        leaf = 3 + shape[0] // 2000
        return make(200, random_state=seed, min_samples_leaf=leaf, max_features=columns, n_jobs=-1, **options)

    return build


def _boosting(name: str) -> Build:
    def build(shape: tuple[int, int], seed: int, total: float, share: float, **options: Any) -> SklearnEstimator:
        rate = 0.03 if shape[0] < MANY_SAMPLES else 0.01
        return getattr(_lightgbm(), name)(
            random_state=seed,
            learning_rate=rate,
            n_estimators=round(total / rate),  # each adds its share of the total
            extra_trees=True,
            colsample_bytree=share_of(shape[1], share),
            subsample=0.8,
            subsample_freq=1,
            min_child_samples=int(np.clip(shape[0] // 25, 5, 20)),
            reg_lambda=5.0,
            n_jobs=1,
            deterministic=True,
            force_row_wise=True,
            verbose=-1,
            **options,
        )

    return build


def check_libraries(methods: Collection[ClassicalName]) -> None:
    """Raise MissingLibraryError where a library that one of the methods needs cannot be loaded."""
    if "gradient_boosting" in methods:
        _lightgbm()


def _lightgbm() -> Any:
    """Import LightGBM, whose OpenMP library torch brings where the system has none."""
    try:
        import lightgbm
    except OSError:
        import torch  # noqa: F401

        try:
            import lightgbm
        except OSError as error:
            raise MissingLibraryError(
                "gradient_boosting needs LightGBM, and this the OpenMP library: install libgomp1 (Debian, Ubuntu), "
                "libgomp (Fedora) or libomp (macOS, with Homebrew); or leave gradient_boosting out of `classical`"
            ) from error
    return lightgbm


def share_of(columns: int, share: float) -> float:
    """Return the share of columns considered at a split: `share`, but at least ten columns."""
    return min(1.0, max(share, 10 / columns))


FAMILIES: Mapping[str, Family] = {
    "logistic_regression": Family(_logistic, _ridge, tuple({"strength": c} for c in (0.05, 0.01, 0.3))),
    "decision_tree": Family(
        _tree(DecisionTreeClassifier),
        _tree(DecisionTreeRegressor),
        tuple({"max_depth": depth} for depth in (4, 2, 3, 6)),
    ),
    "random_forest": Family(
        _forest(RandomForestClassifier),
        _forest(RandomForestRegressor),
        tuple({"share": share} for share in (0.1, 0.3)),
    ),
    "gradient_boosting": Family(
        _boosting("LGBMClassifier"),
        _boosting("LGBMRegressor"),
        (
            {"total": 15.0, "num_leaves": 15, "share": 0.3},
            {"total": 6.0, "num_leaves": 6, "share": 0.3},
            {"total": 15.0, "num_leaves": 31, "share": 0.1},
        ),
    ),
}
"""By `ClassicalName`."""

MANY_SAMPLES = 2000
"""Samples from which boosting takes smaller steps, in more rounds: on PhysioNet 2012 AUROC gains .003."""


def fit_estimator(config: ClassicalConfig, options: Options, x: np.ndarray, y: np.ndarray) -> SklearnEstimator:
    """Fit one estimator; `y` contains classes from 0, or numbers.

    With a single class the prediction is constant: its share, with one added sample of every other class.
    """
    family = FAMILIES[config.name]
    if config.kind == "regression":
        estimator = family.regressor(x.shape, config.seed, **options)
    elif len(np.unique(y)) < 2:
        estimator = DummyClassifier(strategy="prior")
        others = np.setdiff1d(np.arange(config.outputs if config.kind == "multiclass" else 2), y)
        x, y = np.concatenate([x, x[:1].repeat(len(others), axis=0)]), np.concatenate([y, others.astype(y.dtype)])
    else:
        weight = {"class_weight": "balanced"} if config.balanced else {}
        estimator = family.classifier(x.shape, config.seed, **options, **weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # nearly separable data are regularised anyway
        estimator.fit(x, y)
    return estimator

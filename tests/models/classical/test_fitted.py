"""Estimators kept as arrays predict as scikit-learn and LightGBM do, to the bit, also after saving and loading."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from polyclinic.models.classical.fitted import Linear
from polyclinic.models.classical.from_estimators import arrays_of
from tests.properties import examples

CLASSIFIERS = {
    "tree": lambda seed: DecisionTreeClassifier(random_state=seed, min_samples_leaf=3),
    "balanced tree": lambda seed: DecisionTreeClassifier(random_state=seed, class_weight="balanced"),
    "forest": lambda seed: RandomForestClassifier(13, random_state=seed),
    "extra trees": lambda seed: ExtraTreesClassifier(13, random_state=seed),
    "logistic regression": lambda seed: LogisticRegression(C=0.1, max_iter=20, random_state=seed),
    "constant": lambda seed: DummyClassifier(strategy="prior"),
}
REGRESSORS = {
    "tree": lambda seed: DecisionTreeRegressor(random_state=seed, min_samples_leaf=3),
    "forest": lambda seed: RandomForestRegressor(13, random_state=seed),
    "extra trees": lambda seed: ExtraTreesRegressor(13, random_state=seed),
    "ridge regression": lambda seed: Ridge(alpha=2.0, random_state=seed),
}
NEEDS_NUMBERS = ("logistic regression", "ridge regression")


def matrix(name, seed, samples, columns, missing):
    """Return numbers of very different sizes, ties, and missing values where the estimator takes them."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(samples, columns)) * 10.0 ** random.integers(-3, 4, columns)
    x[:, ::3] = np.round(x[:, ::3])
    if name not in NEEDS_NUMBERS:
        x[random.random(x.shape) < missing] = np.nan
    return x, random


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", CLASSIFIERS)
@settings(max_examples=examples(30), deadline=None)
@given(
    st.integers(0, 2**31), st.integers(40, 90), st.integers(1, 7), st.sampled_from([0.0, 0.2, 0.7]), st.integers(2, 11)
)
def test_class_probabilities_equal_those_of_scikit_learn(name, seed, samples, columns, missing, classes):
    x, random = matrix(name, seed, samples, columns, missing)
    y = np.concatenate([np.arange(classes), random.integers(0, classes, samples - classes)])
    estimator = CLASSIFIERS[name](seed % 1000).fit(x, y)
    kept = arrays_of(estimator)
    kept.check(columns)
    assert np.array_equal(kept.classes, estimator.classes_)
    unseen, _ = matrix(name, seed + 1, 20, columns, missing)
    for rows in (x, unseen, unseen[:1]):
        assert np.array_equal(kept(rows), estimator.predict_proba(rows))


@pytest.mark.parametrize("name", REGRESSORS)
@settings(max_examples=examples(30), deadline=None)
@given(st.integers(0, 2**31), st.integers(40, 90), st.integers(1, 7), st.sampled_from([0.0, 0.2, 0.7]))
def test_estimates_equal_those_of_scikit_learn(name, seed, samples, columns, missing):
    x, random = matrix(name, seed, samples, columns, missing)
    estimator = REGRESSORS[name](seed % 1000).fit(x, random.normal(100, 30, samples))
    kept = arrays_of(estimator)
    kept.check(columns)
    assert kept.classes is None
    unseen, _ = matrix(name, seed + 1, 20, columns, missing)
    for rows in (x, unseen, unseen[:1]):
        assert np.array_equal(kept(rows)[:, 0], estimator.predict(rows))


LIGHTGBM = {
    "n_estimators": 9,
    "num_leaves": 7,
    "min_child_samples": 4,
    "extra_trees": True,
    "colsample_bytree": 0.6,
    "subsample": 0.8,
    "subsample_freq": 1,
    "n_jobs": 1,
    "verbose": -1,
}
NO_NAMES = "ignore:X does not have valid feature names"


@pytest.mark.filterwarnings(NO_NAMES)
@settings(max_examples=examples(30), deadline=None)
@given(
    st.integers(0, 2**31), st.integers(40, 90), st.integers(1, 7), st.sampled_from([0.0, 0.2, 0.7]), st.integers(2, 7)
)
def test_log_odds_equal_those_of_lightgbm(seed, samples, columns, missing, classes):
    x, random = matrix("boosting", seed, samples, columns, missing)
    y = 3 + np.concatenate([np.arange(classes), random.integers(0, classes, samples - classes)])
    estimator = LGBMClassifier(**LIGHTGBM, random_state=seed % 1000).fit(x, y)
    kept = arrays_of(estimator)
    kept.check(columns)
    assert np.array_equal(kept.classes, estimator.classes_)
    # A column without unknown values in training has some here.
    unseen, _ = matrix("boosting", seed + 1, 20, columns, 0.3)
    for rows in (x, unseen, unseen[:1]):
        assert np.array_equal(np.squeeze(kept.scores(rows)), np.squeeze(estimator.predict_proba(rows, raw_score=True)))
        np.testing.assert_allclose(kept(rows), estimator.predict_proba(rows), rtol=1e-14, atol=0)


@pytest.mark.filterwarnings(NO_NAMES)
@settings(max_examples=examples(30), deadline=None)
@given(st.integers(0, 2**31), st.integers(5, 90), st.integers(1, 7), st.sampled_from([0.0, 0.2, 0.7]))
def test_estimates_equal_those_of_lightgbm(seed, samples, columns, missing):
    """Also those of trees that could not be split."""
    x, random = matrix("boosting", seed, samples, columns, missing)
    estimator = LGBMRegressor(**LIGHTGBM, random_state=seed % 1000).fit(x, random.normal(100, 30, samples))
    kept = arrays_of(estimator)
    kept.check(columns)
    unseen, _ = matrix("boosting", seed + 1, 20, columns, 0.3)
    for rows in (x, unseen, unseen[:1]):
        assert np.array_equal(kept(rows)[:, 0], estimator.predict(rows))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("columns", [40, 900])
def test_linear_models_equal_scikit_learn_whatever_the_layout_of_their_arrays(classes, columns):
    """Arrays from a file are in another order than fitted ones, in which the sums of products are rounded otherwise."""
    random = np.random.default_rng(classes)
    x, y = random.normal(size=(120, columns)), np.arange(120) % classes
    estimator = LogisticRegression(C=0.1, max_iter=20).fit(x, y)
    kept = arrays_of(estimator)
    read = Linear(np.ascontiguousarray(kept.weights), kept.shift, kept.classes)
    for rows in (x, x[:7], x[:1]):
        assert np.array_equal(kept(rows), estimator.predict_proba(rows))
        assert np.array_equal(read(rows), estimator.predict_proba(rows))


def test_other_estimators_are_refused():
    x = np.arange(400.0)[:, None] % 7
    y = np.isin(x[:, 0], [1, 4])
    of_lightgbm = LGBMClassifier(**LIGHTGBM)
    with pytest.raises(TypeError, match="categorical splits"):
        arrays_of(of_lightgbm.fit(x, y, categorical_feature=[0]))
    with pytest.raises(TypeError, match="take 0 for unknown"):
        arrays_of(LGBMClassifier(**LIGHTGBM, zero_as_missing=True).fit(x, y))
    with pytest.raises(TypeError, match="a GradientBoostingClassifier cannot be kept"):
        arrays_of(GradientBoostingClassifier(n_estimators=2).fit(x, y))

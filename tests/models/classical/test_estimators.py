"""Estimators as they are built and fitted."""

import builtins

import numpy as np
import pytest

from polyclinic.models.classical.config import ClassicalConfig
from polyclinic.models.classical.estimators import FAMILIES, MANY_SAMPLES, MissingLibraryError, fit_estimator
from polyclinic.study import Study
from polyclinic.training.fit import check_study

BOOSTING = ClassicalConfig(name="gradient_boosting", kind="binary")
DEFAULT = FAMILIES["gradient_boosting"].grid[0]


def data(samples, columns=4):
    random = np.random.default_rng(0)
    x = random.normal(size=(samples, columns)).astype(np.float32)
    return x, (x[:, 0] + random.normal(size=samples) > 0).astype(int)


@pytest.fixture
def no_openmp(monkeypatch):
    """LightGBM cannot load the OpenMP library."""
    real = builtins.__import__

    def importing(name, *arguments):
        if name == "lightgbm":
            raise OSError("libgomp.so.1: cannot open shared object file")
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", importing)


@pytest.mark.usefixtures("no_openmp")
def test_a_missing_openmp_library_is_named_with_what_to_install():
    with pytest.raises(MissingLibraryError, match=r"install libgomp1 .* or leave gradient_boosting out of `classical`"):
        fit_estimator(BOOSTING, DEFAULT, *data(60))


@pytest.mark.usefixtures("no_openmp")
def test_it_is_missed_before_a_fit_begins():
    study = Study(tasks=("demo_stay",), classical=("gradient_boosting",))
    with pytest.raises(MissingLibraryError):
        check_study(study, "csv")
    check_study(study.model_copy(update={"classical": ("random_forest",)}), "csv")


def test_boosting_takes_smaller_steps_and_more_of_them_with_many_samples():
    few, many = (fit_estimator(BOOSTING, DEFAULT, *data(samples)) for samples in (200, MANY_SAMPLES))
    assert (few.learning_rate, few.n_estimators) == (0.03, 500)
    assert (many.learning_rate, many.n_estimators) == (0.01, 1500)


def test_boosting_does_not_depend_on_the_number_of_threads():
    x, y = data(400)
    one = fit_estimator(BOOSTING, DEFAULT, x, y)
    two = one.__class__(**(one.get_params() | {"n_jobs": 2})).fit(x, y)
    assert np.array_equal(one.predict_proba(x), two.predict_proba(x))

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from polyclinic.evaluation.sample_size import SampleSize, cox_snell, sample_size, samples_for, shrinkage


@given(st.integers(50, 100_000), st.integers(1, 500), st.floats(0.02, 0.6))
def test_the_expected_shrinkage_satisfies_the_criterion(n, predictors, r2):
    s = shrinkage(n, predictors, r2)
    assert r2 <= s < 1
    if s > r2 * 1.001:
        assert predictors / ((s - 1) * np.log(1 - r2 / s)) == pytest.approx(n, rel=1e-3)


@given(st.integers(1, 100), st.floats(0.02, 0.6))
def test_the_needed_samples_reach_the_advised_shrinkage(predictors, r2):
    n = samples_for(predictors, r2)
    assert shrinkage(n + 1, predictors, r2) >= 0.8999
    assert shrinkage(max(n - 2, 1), predictors, r2) <= 0.9001 or n < 50


def test_r2_is_that_of_the_likelihoods():
    draw = np.random.default_rng(0)
    score = draw.normal(size=4000)
    truth = draw.random(4000) < expit(score)
    model = np.log(np.where(truth, expit(score), 1 - expit(score))).sum()
    null = np.log(np.where(truth, truth.mean(), 1 - truth.mean())).sum()
    assert cox_snell(truth, expit(score)) == pytest.approx(1 - np.exp(2 * (null - model) / 4000))
    assert cox_snell(truth, np.full(4000, truth.mean())) == pytest.approx(0)


def test_answers_without_information_have_no_shrinkage():
    truth = np.repeat([0.0, 1.0], 50)[:, None]
    found = sample_size("binary", truth, np.full((100, 1), 0.5), 10)
    assert (found.shrinkage, found.needed, found.events, found.events_per_predictor) == (None, None, 50, 5)
    assert "no better than the outcome rate" in str(found)
    assert SampleSize.from_dict(found.to_dict()) == found


@pytest.mark.parametrize("kind", ["regression", "multiclass", "multilabel", "time_to_event"])
def test_other_kinds_say_what_is_not_computed(kind):
    found = sample_size(kind, np.ones((40, 2)), np.ones((40, 2)), 8)
    assert found.shrinkage is None
    assert found.events == (40 if kind == "time_to_event" else None)
    assert "binary tasks only" in str(found)

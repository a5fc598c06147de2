import numpy as np
import pytest
import torch
from sklearn import metrics
from torchmetrics.functional.regression import mean_absolute_error, r2_score

from polyclinic.evaluation.metrics.regression import bias, mae, median_absolute_error, r2, rmse


@pytest.fixture
def sample():
    generator = np.random.default_rng(0)
    y = generator.normal(5, 2, 301)
    return y, y + generator.normal(0.3, 1, 301)


def test_agree_with_scikit_learn_and_torchmetrics(sample):
    y, p = sample
    np.testing.assert_allclose(mae(y, p), metrics.mean_absolute_error(y, p))
    np.testing.assert_allclose(rmse(y, p), metrics.root_mean_squared_error(y, p))
    np.testing.assert_allclose(r2(y, p), metrics.r2_score(y, p))
    np.testing.assert_allclose(median_absolute_error(y, p), metrics.median_absolute_error(y, p))
    np.testing.assert_allclose(median_absolute_error(y[1:], p[1:]), metrics.median_absolute_error(y[1:], p[1:]))
    np.testing.assert_allclose(bias(y, p), (p - y).mean())
    np.testing.assert_allclose(mae(y, p), mean_absolute_error(torch.from_numpy(p), torch.from_numpy(y)))
    np.testing.assert_allclose(r2(y, p), r2_score(torch.from_numpy(p), torch.from_numpy(y)))


@pytest.mark.parametrize("figure", [mae, rmse, r2, median_absolute_error, bias])
def test_weights_are_copies(figure, sample):
    y, p = sample
    weights = np.random.default_rng(1).integers(0, 3, (4, 301)).astype(float)
    for row, found in zip(weights, figure(y, p, weights), strict=True):
        copies = np.repeat(np.arange(301), row.astype(int))
        np.testing.assert_allclose(found, figure(y[copies], p[copies]))


@pytest.mark.parametrize("figure", [mae, rmse, r2, median_absolute_error, bias])
def test_no_samples_give_nan_in_silence(figure):
    with np.errstate(all="raise"):
        assert np.isnan(figure(np.zeros(0), np.zeros(0)))


def test_r2_of_a_constant_truth_does_not_exist():
    assert np.isnan(r2(np.full(5, 1e6 + 0.1), np.arange(5.0)))

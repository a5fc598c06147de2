import time

import numpy as np
import pytest

from polyclinic.evaluation.arrays import weighted_mean
from polyclinic.evaluation.bootstrap import Bootstrap, percentiles, two_sided_p
from polyclinic.evaluation.metrics.discrimination import auroc, average_precision
from tests.evaluation.samples import binary


def all_weights(bootstrap, n, subjects=None, strata=None):
    return np.concatenate(list(bootstrap.weights(n, subjects, strata)))


def test_each_resample_draws_as_many_subjects_as_there_are():
    weights = all_weights(Bootstrap(500), 60)
    assert weights.shape == (500, 60)
    assert (weights.sum(axis=1) == 60).all()
    assert (weights == weights.astype(int)).all()
    np.testing.assert_allclose(weights.mean(), 1)
    np.testing.assert_allclose(weights.var(axis=0).mean(), 1 - 1 / 60, atol=0.03)  # multinomial


def test_subjects_are_drawn_whole():
    subjects = np.array(["b", "a", "b", "c", "a", "b"])
    weights = all_weights(Bootstrap(200), 6, subjects)
    for subject in "abc":
        theirs = weights[:, subjects == subject]
        assert (theirs == theirs[:, :1]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_strata_keep_their_numbers():
    y = np.arange(50) < 7
    weights = all_weights(Bootstrap(200, stratify=True), 50, strata=y)
    assert (weights[:, y].sum(axis=1) == 7).all()
    unstratified = all_weights(Bootstrap(200), 50, strata=y)
    assert unstratified[:, y].sum(axis=1).std() > 1


def test_the_same_seed_gives_the_same_bits():
    y, p = binary(300)
    first, again, other = (
        Bootstrap(300, seed).draws(lambda w: auroc(y, p, w), 300) for seed in (3, 3, 4)
    )  # fmt: skip
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_many_at_once_are_what_one_by_one_gives():
    y, p = binary(80, digits=1)
    bootstrap = Bootstrap(100)
    fast = bootstrap.draws(lambda w: auroc(y, p, w), 80)
    slow = []
    for weights in all_weights(bootstrap, 80):
        copies = np.repeat(np.arange(80), weights.astype(int))
        slow.append(auroc(y[copies], p[copies]))
    np.testing.assert_allclose(fast, slow, atol=1e-12)


def test_two_thousand_resamples_of_four_thousand_samples_take_under_two_seconds():
    y, p = binary(4000)
    start = time.process_time()
    draws = Bootstrap(2000).draws(lambda w: auroc(y, p, w), 4000)
    assert time.process_time() - start < 2
    assert len(draws) == 2000


def test_the_standard_error_of_a_mean_is_the_textbooks():
    values = np.random.default_rng(0).normal(size=400)
    draws = Bootstrap(4000).draws(lambda w: weighted_mean(values, w), 400)
    np.testing.assert_allclose(draws.std(), values.std() / 20, rtol=0.05)


def test_ignoring_subjects_would_be_too_sure():
    generator = np.random.default_rng(0)
    values = np.repeat(generator.normal(size=100), 5)
    by_sample = Bootstrap(1000).draws(lambda w: weighted_mean(values, w), 500)
    by_subject = Bootstrap(1000).draws(lambda w: weighted_mean(values, w), 500, np.repeat(np.arange(100), 5))
    np.testing.assert_allclose(by_subject.std() / by_sample.std(), np.sqrt(5), rtol=0.1)


def test_the_interval_of_average_precision_covers():
    """Against the average precision of a hundred thousand subjects drawn alike."""
    truth, covered, trials = float(average_precision(*binary(100_000, seed=99))), 0, 250
    for seed in range(trials):
        y, p = binary(250, seed=seed)
        low, high, _ = percentiles(Bootstrap(200, seed).draws(lambda w, y=y, p=p: average_precision(y, p, w), 250))
        covered += low <= truth <= high
    assert 0.91 <= covered / trials <= 0.98


def test_why_there_is_no_interval():
    with np.errstate(all="raise"):
        assert "too few to resample" in percentiles(np.empty(0))[2]
        assert "50 % of the resamples" in percentiles(np.array([np.nan, 1.0]))[2]
        assert "same value" in percentiles(np.ones(100))[2]
    assert len(Bootstrap().draws(lambda w: w.sum(axis=-1), 9)) == 0


def test_p_is_the_share_beyond_zero_and_never_zero():
    assert two_sided_p(np.ones(999)) == 0.002
    assert two_sided_p(np.array([-1.0, 1.0] * 50)) == 1
    np.testing.assert_allclose(two_sided_p(np.append(np.ones(95), -np.ones(4))), 0.1)
    assert np.isnan(two_sided_p(np.array([np.nan])))


def test_too_few_resamples_are_refused():
    with pytest.raises(ValueError, match="100 or more"):
        Bootstrap(20)

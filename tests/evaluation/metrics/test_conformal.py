"""Conformal sets hold the truth as often as theory says, no more and no less."""

import math

import numpy as np
import pytest
from scipy.stats import beta, kstest

from polyclinic.evaluation.metrics.conformal import (
    binary_probabilities,
    class_scores,
    class_set,
    conformal_quantile,
    coverage_interval,
    left_out,
    residual_scores,
)

SEEDS = 20


@pytest.mark.parametrize(
    ("n", "alpha", "rank"), [(9, 0.1, 9), (10, 0.1, 10), (19, 0.1, 18), (99, 0.05, 95), (1, 0.5, 1)]
)
def test_the_quantile_is_the_score_of_the_rank(n, alpha, rank):
    scores = np.random.default_rng(n).permutation(n) + 1.0
    assert conformal_quantile(scores, alpha) == rank == math.ceil(round((n + 1) * (1 - alpha), 6))


def test_whole_numbers_are_not_lost_to_rounding():
    for n in range(9, 2000, 10):
        assert left_out(n, 0.1) == (n + 1) // 10
        assert left_out(n, 0.3) == (n + 1) * 3 // 10


def test_too_few_scores_make_sets_of_everything():
    assert conformal_quantile(np.arange(8.0), 0.1) == math.inf
    assert conformal_quantile(np.empty(0), 0.1) == math.inf
    assert class_set(np.array([0.9, 0.1]), math.inf).all()
    assert coverage_interval(8, 0.1) == (1.0, 1.0)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 90])
def test_an_alpha_that_is_none_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha lies between 0 and 1"):
        left_out(10, alpha)


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="1 of 2 conformal scores are not finite"):
        conformal_quantile(np.array([0.1, np.nan]), 0.1)


@pytest.mark.parametrize(("n", "alpha"), [(50, 0.1), (200, 0.2)])
def test_coverage_follows_its_beta_distribution(n, alpha):
    """Over 20 seeds, the share of 20 000 new scores at or below the quantile."""
    covered = []
    for seed in range(SEEDS):
        drawn = np.random.default_rng(seed).gamma(2.0, size=n + 20_000)
        covered.append(float((drawn[n:] <= conformal_quantile(drawn[:n], alpha)).mean()))
    above = left_out(n, alpha)
    expected = beta(n + 1 - above, above)
    assert kstest(covered, expected.cdf).pvalue > 0.01
    assert np.mean(covered) == pytest.approx(1 - above / (n + 1), abs=4 * expected.std() / math.sqrt(SEEDS))


def test_sets_of_classes_hold_the_truth_as_promised():
    """The probabilities are wrong on purpose: the promise needs no model that is right."""
    covered = []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, 3, 2100)
        p = rng.dirichlet([1.0, 1.0, 1.0], 2100) * 0.5
        p[np.arange(2100), (truth + (rng.random(2100) < 0.4)) % 3] += 0.5
        quantile = conformal_quantile(class_scores(p[:100], truth[:100]), 0.1)
        covered.append(class_set(p[100:], quantile)[np.arange(2000), truth[100:]].mean())
    low, high = coverage_interval(100, 0.1)
    assert np.mean(covered) == pytest.approx(91 / 101, abs=4 * beta(91, 10).std() / math.sqrt(SEEDS))
    assert sum(low - 0.02 <= share <= high + 0.02 for share in covered) >= SEEDS - 2


def test_a_binary_probabilities_is_a_question_of_two_classes():
    p = np.array([0.2, 0.7])
    assert binary_probabilities(p).tolist() == [[0.8, 0.2], [pytest.approx(0.3), 0.7]]
    assert class_scores(binary_probabilities(p), np.array([1, 1])) == pytest.approx([0.8, 0.3])
    assert class_set(binary_probabilities(p), 0.35).tolist() == [[True, False], [False, True]]
    assert not class_set(binary_probabilities(np.array([0.5])), 0.35).any(), "sure of neither"


def test_numbers_are_judged_by_their_residual():
    assert residual_scores(np.array([1.0, 5.0]), np.array([3.0, 4.0])).tolist() == [2.0, 1.0]


def test_the_interval_of_the_coverage_narrows():
    widths = [high - low for low, high in (coverage_interval(n, 0.1) for n in (50, 500, 5000))]
    assert widths == sorted(widths, reverse=True)
    low, high = coverage_interval(99, 0.1)
    assert beta(90, 10).cdf(high) - beta(90, 10).cdf(low) == pytest.approx(0.95)

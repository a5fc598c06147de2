import numpy as np
import pytest
from hypothesis import given
from scipy.stats import norm

from polyclinic.evaluation.metrics.delong import areas, auroc_figure, delong_test, newcombe
from polyclinic.evaluation.metrics.discrimination import auroc
from tests.evaluation.samples import binary, quick, truths_and_scores


def brute_force_covariance(y, scores):
    """DeLong's structural components from every pair, one by one."""
    kernels = [(p[y][:, None] > p[~y]) + 0.5 * (p[y][:, None] == p[~y]) for p in scores]
    of_positives = np.cov([kernel.mean(axis=1) for kernel in kernels])
    of_negatives = np.cov([kernel.mean(axis=0) for kernel in kernels])
    return of_positives / y.sum() + of_negatives / (~y).sum()


@pytest.mark.parametrize("digits", [None, 1])
def test_covariance_is_delongs(digits):
    y, p = binary(120, seed=1, digits=digits)
    q = np.round(p + np.random.default_rng(2).normal(0, 0.2, 120), digits or 9)
    found = areas(y, np.stack([p, q]))
    np.testing.assert_allclose(found.values, [auroc(y, p), auroc(y, q)])
    np.testing.assert_allclose(found.covariance, brute_force_covariance(y, np.stack([p, q])))


def test_variance_by_subject_is_obuchowskis():
    """Formula (4) of Obuchowski 1997, term by term, with several samples of both classes per subject."""
    y, p = binary(90, seed=4)
    subjects = np.arange(90) // 3
    kernel = (p[y][:, None] > p[~y]) + 0.5 * (p[y][:, None] == p[~y])
    area, m, n = kernel.mean(), y.sum(), (~y).sum()
    of_subject = range(30)
    v10 = np.array([(kernel.mean(axis=1) - area)[subjects[y] == s].sum() for s in of_subject])
    v01 = np.array([(kernel.mean(axis=0) - area)[subjects[~y] == s].sum() for s in of_subject])
    i10, i01 = len(set(subjects[y])), len(set(subjects[~y]))
    s10, s01 = i10 / ((i10 - 1) * m) * (v10**2).sum(), i01 / ((i01 - 1) * n) * (v01**2).sum()
    s11 = 30 / 29 * (v10 * v01).sum()
    expected = s10 / m + s01 / n + 2 * s11 / (m * n)
    np.testing.assert_allclose(areas(y, p[None], subjects).covariance[0, 0], expected)


def test_subjects_of_one_sample_change_nothing():
    y, p = binary(100, seed=5)
    shuffled = np.random.default_rng(0).permutation(100)
    assert auroc_figure(y, p, shuffled) == auroc_figure(y, p)


def test_repeated_samples_do_not_narrow_the_interval():
    y, p = binary(150, seed=6)
    once = auroc_figure(y, p)
    thrice = auroc_figure(np.repeat(y, 3), np.repeat(p, 3), np.repeat(np.arange(150), 3))
    np.testing.assert_allclose([thrice.value, thrice.low, thrice.high], [once.value, once.low, once.high], atol=2e-3)


@pytest.mark.parametrize(("n", "shift"), [(60, 1.0), (200, 0.5), (100, 2.5)])
def test_the_interval_covers_the_true_area_95_times_in_100(n, shift):
    truth, covered, trials = norm.cdf(shift / np.sqrt(2)), 0, 600
    for seed in range(trials):
        y, p = binary(n, seed=seed, shift=shift, prevalence=0.3)
        covered += auroc_figure(y, p).contains(truth)
    assert 0.93 <= covered / trials <= 0.98


def test_under_the_null_p_values_are_uniform():
    generator, p_values = np.random.default_rng(0), []
    for _ in range(600):
        y = generator.random(120) < 0.4
        common = generator.normal(size=120) + y
        first, second = (common + generator.normal(size=120) for _ in range(2))
        p_values.append(delong_test(y, first, second).p)
    shares = [np.mean(np.array(p_values) < level) for level in (0.05, 0.25, 0.5)]
    np.testing.assert_allclose(shares, [0.05, 0.25, 0.5], atol=0.045)


def test_a_paired_test_sees_what_an_unpaired_one_could_not():
    y, p = binary(1000, seed=8)
    q = p + np.random.default_rng(1).normal(0, 0.12, 1000)
    difference = delong_test(y, p, q)
    unpaired = auroc_figure(y, p).width + auroc_figure(y, q).width
    assert difference.figure.width < unpaired / 2
    assert difference.p < 0.05
    swapped = delong_test(y, q, p)
    assert (swapped.figure.value, swapped.p) == (-difference.figure.value, difference.p)


def test_a_perfect_score_still_has_an_honest_interval():
    figure = auroc_figure([0, 0, 0, 0, 1, 1, 1, 1], np.arange(8))
    assert figure.value == figure.high == 1
    assert 0.3 < figure.low < 0.8
    assert "Newcombe" in figure.method
    assert newcombe(1, 400, 400)[0] > 0.99


@quick
@given(truths_and_scores())
def test_the_interval_contains_its_figure_or_has_a_reason(sample):
    figure = auroc_figure(*sample)
    if figure.low is None:
        assert figure.reason
    else:
        assert 0 <= figure.low <= figure.value <= figure.high <= 1


@pytest.mark.parametrize(
    ("y", "p", "reason"),
    [
        ([], [], "no samples"),
        ([1, 1], [0.1, 0.2], "no negatives among 2 samples"),
        ([0, 0], [0.1, 0.2], "no positives among 2 samples"),
    ],
)
def test_one_class_is_not_estimable(y, p, reason):
    assert auroc_figure(y, p).value is None
    assert auroc_figure(y, p).reason == delong_test(y, p, p).figure.reason == reason


def test_a_figure_without_interval_has_a_reason():
    constant = auroc_figure([0, 1, 0, 1], [0.3] * 4)
    assert (constant.value, constant.low) == (0.5, None)
    assert "same score" in constant.reason
    assert auroc_figure([0, 0, 1], [0.1, 0.3, 0.2]).reason == "a single positive subject"
    same = delong_test([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4], [1, 2, 3, 4])
    assert (same.figure.value, same.p) == (0, None)
    assert "alike" in same.figure.reason

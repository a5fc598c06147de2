import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn import metrics
from sklearn.linear_model import LogisticRegression

from polyclinic.evaluation.bootstrap import Bootstrap
from polyclinic.evaluation.metrics import calibration
from polyclinic.evaluation.metrics.calibration import (
    brier,
    calibration_figures,
    ece,
    ece_figure,
    log_loss,
    reliability,
    scaled_brier,
)
from tests.evaluation.samples import binary, quick, truths_and_scores


def test_scores_agree_with_scikit_learn():
    y, p = binary(400, seed=1)
    weights = np.random.default_rng(0).integers(0, 3, 400).astype(float)
    np.testing.assert_allclose(brier(y, p), metrics.brier_score_loss(y, p))
    np.testing.assert_allclose(brier(y, p, weights), metrics.brier_score_loss(y, p, sample_weight=weights))
    np.testing.assert_allclose(log_loss(y, p, weights), metrics.log_loss(y, p, sample_weight=weights))
    certain = np.array([0.0, 1.0, 0.0])
    np.testing.assert_allclose(log_loss(np.array([False, True, True]), certain), metrics.log_loss([0, 1, 1], certain))


def test_scaled_brier_is_zero_for_the_prevalence_and_one_for_the_truth():
    y, p = binary(200)
    np.testing.assert_allclose(scaled_brier(y, np.full(200, y.mean())), 0, atol=1e-12)
    assert scaled_brier(y, y.astype(float)) == 1
    assert np.isnan(scaled_brier(np.ones(3, dtype=bool), p[:3]))


def test_slope_and_intercept_are_those_of_a_logistic_regression():
    y, p = binary(600, seed=2)
    fit = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit(p)[:, None], y)
    figures = calibration_figures(y, p)
    np.testing.assert_allclose(figures["calibration_slope"].value, fit.coef_[0, 0], rtol=1e-5)
    in_the_large = figures["calibration_intercept"].value
    np.testing.assert_allclose(expit(logit(p) + in_the_large).sum(), y.sum())  # the score equation


def test_intervals_agree_with_statsmodels():
    """Binomial GLM of statsmodels 0.15.0 with errors clustered by subject, seen once and written down."""
    generator = np.random.default_rng(8)
    z = generator.normal(size=300)
    p, y = expit(1.5 * z - 1), generator.random(300) < expit(z - 0.7)
    figures = calibration_figures(y, p, np.arange(300) // 3)
    slope, intercept = figures["calibration_slope"], figures["calibration_intercept"]
    error = 0.12940125 / np.sqrt(299 / 298)  # its small-sample factor also counts the two parameters
    np.testing.assert_allclose(slope.value, 0.91384465, rtol=1e-7)
    np.testing.assert_allclose((slope.high - slope.low) / 2, 1.959963985 * error, rtol=1e-6)
    np.testing.assert_allclose([intercept.low, intercept.high], [-0.11398382, 0.45331442], rtol=1e-6)


@pytest.mark.parametrize(("slope", "intercept"), [(1, 0), (0.5, 0), (2, 0), (1, 0.7)])
def test_a_known_miscalibration_is_found(slope, intercept):
    generator = np.random.default_rng(3)
    x = generator.normal(-1, 1.5, 20_000)
    y = generator.random(20_000) < expit(slope * x + intercept)
    figures = calibration_figures(y, expit(x))
    assert figures["calibration_slope"].contains(slope)
    if slope == 1:
        assert figures["calibration_intercept"].contains(intercept)


def test_the_slopes_interval_covers():
    covered = sum(calibration_figures(*binary(250, seed=seed))["calibration_slope"].contains(1) for seed in range(300))
    assert 0.91 <= covered / 300 <= 0.985


@pytest.mark.parametrize(
    ("y", "p", "reason"),
    [
        ([], [], "no samples"),
        ([1, 1], [0.2, 0.3], "no negatives"),
        ([0, 1, 0], [0.2, 0.2, 0.2], "same score"),
        ([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], "separate the outcomes"),
        ([1, 1, 0, 0], [0.1, 0.2, 0.2, 0.4], "separate the outcomes"),
    ],
)
def test_a_slope_that_does_not_exist_is_not_made_up(y, p, reason):
    figure = calibration_figures(np.array(y, dtype=bool), np.array(p))["calibration_slope"]
    assert figure.value is None
    assert reason in figure.reason


def test_certain_predictions_have_a_finite_slope():
    y = np.array([False, True, False, True, True, False])
    figure = calibration_figures(y, np.array([0.0, 1.0, 1.0, 0.4, 0.8, 0.3]))["calibration_slope"]
    assert np.isfinite(figure.value)


@quick
@given(truths_and_scores(), st.integers(1, 12))
def test_ece_is_the_mean_gap_of_the_bins(sample, bins):
    y, p = sample
    shown = reliability(y, p, bins)
    assert sum(part.n for part in shown) == len(y)
    gaps = sum(part.n * abs(part.observed - part.predicted) for part in shown) / len(y)
    np.testing.assert_allclose(ece(y, p, bins=bins), gaps, atol=1e-12)
    assert all(part.low <= part.observed <= part.high for part in shown)
    assert [part.predicted for part in shown] == sorted(part.predicted for part in shown)


@quick
@given(truths_and_scores(), st.randoms(use_true_random=False))
def test_ece_does_not_depend_on_the_order_of_ties(sample, random):
    y, p = sample
    order = list(range(len(y)))
    random.shuffle(order)
    np.testing.assert_allclose(ece(y[order], p[order]), ece(y, p), atol=1e-12)


def test_ece_of_weights_is_that_of_copies():
    y, p = binary(60, digits=1)
    weights = np.random.default_rng(1).integers(0, 3, (5, 60)).astype(float)
    for row, found in zip(weights, ece(y, p, weights), strict=True):
        copies = np.repeat(np.arange(60), row.astype(int))
        np.testing.assert_allclose(found, ece(y[copies], p[copies]))


def test_bins_have_equal_mass():
    y, p = binary(1003)
    sizes = [part.n for part in reliability(y, p)]
    assert len(sizes) == 10
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("slope", [1.0, 0.5])
@pytest.mark.slow
def test_the_interval_of_ece_covers_though_noise_only_raises_it(slope):
    """The truth: the ECE of very many subjects. A plain percentile interval hardly ever reaches it near zero."""

    def cohort(n, seed):
        generator = np.random.default_rng(seed)
        x = generator.normal(-1, 1.2, n)
        return generator.random(n) < expit(slope * x), expit(x)

    truth = float(ece(*cohort(400_000, 1)))
    covered, trials, values = 0, 120, []
    for seed in range(trials):
        y, p = cohort(500, seed)
        draws = Bootstrap(200, seed).draws(lambda w, y=y, p=p: ece(y, p, w), 500)
        figure = ece_figure(y, p, None, draws)
        covered += figure.contains(truth)
        values.append(figure.value)
        assert figure.low < figure.value < figure.high or figure.low == figure.value == 0
    assert covered / trials >= 0.85
    raw = [float(ece(*cohort(500, seed))) for seed in range(trials)]
    assert abs(np.mean(values) - truth) < max(0.005, 0.6 * abs(np.mean(raw) - truth))


def test_no_samples_have_no_reliability():
    empty = np.zeros(0)
    assert reliability(empty.astype(bool), empty) == ()
    assert np.isnan(ece(empty.astype(bool), empty))
    assert np.isnan(brier(empty.astype(bool), empty))


def test_newton_raises_when_it_fails():
    y = np.array([False, False, True, True])
    with pytest.raises(ArithmeticError, match="converge"):
        calibration.recalibration(y, np.column_stack([np.ones(4), np.array([-2.0, -1, 1, 2])]), np.zeros(4))

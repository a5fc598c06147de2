import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from polyclinic.evaluation.metrics.confusion import confusion, f1, proportion, threshold_figures, wilson
from tests.evaluation.samples import binary, quick, truths_and_scores


@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.25, 0.6, 1.0])
def test_figures_agree_with_scikit_learn(threshold):
    y, p = binary(300, seed=1, digits=2)
    called = p >= threshold
    found = confusion(y, p, threshold)
    table = [found.true_negative, found.false_positive, found.false_negative, found.true_positive]
    assert table == metrics.confusion_matrix(y, called, labels=[False, True]).ravel().tolist()
    figures = threshold_figures(y, p, threshold)
    assert figures["sensitivity"].value == metrics.recall_score(y, called)
    assert figures["specificity"].value == metrics.recall_score(~y, ~called)
    assert figures["accuracy"].value == metrics.accuracy_score(y, called)
    if called.any():
        assert figures["ppv"].value == metrics.precision_score(y, called)
    if not called.all():
        assert figures["npv"].value == metrics.precision_score(~y, ~called)
    weights = np.random.default_rng(0).integers(0, 3, 300).astype(float)
    np.testing.assert_allclose(f1(y, p, threshold, weights), metrics.f1_score(y, called, sample_weight=weights))


def test_wilson_agrees_with_statsmodels():
    """`proportion_confint(…, method="wilson")` of statsmodels 0.15.0."""
    np.testing.assert_allclose(wilson(0 / 20, 20), (0, 0.16112516), atol=1e-8)
    np.testing.assert_allclose(wilson(7 / 20, 20), (0.18119182, 0.56714572), atol=1e-8)
    np.testing.assert_allclose(wilson(1, 20), (0.83887484, 1), atol=1e-8)
    assert np.isnan(wilson(0.5, 0)).all()


@quick
@given(st.integers(1, 500), st.floats(0, 1))
def test_wilson_holds_the_share_and_stays_within_bounds(n, share):
    low, high = wilson(share, n)
    assert 0 <= low <= share <= high <= 1


def test_ten_copies_of_everyone_teach_nothing_new():
    y, p = binary(200, seed=3)
    once = threshold_figures(y, p, 0.3)["sensitivity"]
    copied = threshold_figures(np.tile(y, 10), np.tile(p, 10), 0.3, np.tile(np.arange(200), 10))["sensitivity"]
    assert copied.value == once.value
    np.testing.assert_allclose([copied.low, copied.high], [once.low, once.high], atol=0.01)
    naive = threshold_figures(np.tile(y, 10), np.tile(p, 10), 0.3)["sensitivity"]
    assert naive.width < copied.width / 2.5


def test_clustered_intervals_cover():
    generator, covered, trials = np.random.default_rng(0), 0, 400
    for _ in range(trials):
        rate = np.repeat(generator.beta(2, 3, 60), 4)
        figure = proportion("rate", generator.random(240) < rate, np.ones(240, dtype=bool), np.arange(240) // 4)
        covered += figure.contains(0.4)
    assert 0.92 <= covered / trials <= 0.98


@quick
@given(truths_and_scores(), st.floats(0.01, 0.99))
def test_turning_the_question_round_swaps_the_figures(sample, threshold):
    y, p = sample
    figures = threshold_figures(y, p, threshold)
    turned = threshold_figures(~y, -p, np.nextafter(-threshold, 1))  # called: p < threshold
    for name, other in (("sensitivity", "specificity"), ("ppv", "npv")):
        assert figures[name].value == turned[other].value


@pytest.mark.parametrize(
    ("y", "p", "name", "reason"),
    [
        ([], [], "npv", "no samples"),
        ([0, 0], [0.1, 0.9], "sensitivity", "no positives"),
        ([1, 1], [0.1, 0.9], "specificity", "no negatives"),
        ([0, 1], [0.1, 0.2], "ppv", "no positive calls"),
        ([0, 1], [0.8, 0.9], "npv", "everyone is called positive"),
    ],
)
def test_rates_among_no_samples_are_not_estimable(y, p, name, reason):
    figure = threshold_figures(np.array(y, dtype=bool), np.array(p), 0.5)[name]
    assert (figure.value, figure.reason) == (None, reason)


def test_one_subject_alone_has_no_interval():
    figure = proportion("rate", np.array([True, False, True]), np.ones(3, dtype=bool), ["a", "a", "a"])
    assert (figure.low, figure.reason) == (None, "a single subject")

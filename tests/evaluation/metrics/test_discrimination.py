import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from torchmetrics.functional.classification import binary_auroc, binary_average_precision

from polyclinic.evaluation.metrics.discrimination import (
    auroc,
    average_precision,
    min_se_ppv,
    precision_recall_curve,
    roc_curve,
)
from tests.evaluation.samples import binary, quick, truths_and_scores


@pytest.mark.parametrize("digits", [None, 2, 1, 0])
@pytest.mark.parametrize("weighted", [False, True])
def test_agrees_with_scikit_learn(digits, weighted):
    y, p = binary(500, seed=1, digits=digits)
    weights = np.random.default_rng(2).integers(0, 4, 500).astype(float) if weighted else None
    np.testing.assert_allclose(auroc(y, p, weights), metrics.roc_auc_score(y, p, sample_weight=weights), rtol=1e-12)
    expected = metrics.average_precision_score(y, p, sample_weight=weights)
    np.testing.assert_allclose(average_precision(y, p, weights), expected, rtol=1e-12)


def test_agrees_with_torchmetrics():
    y, p = binary(800, seed=3, digits=2)
    scores, truth = torch.from_numpy(p), torch.from_numpy(y).int()
    np.testing.assert_allclose(auroc(y, p), binary_auroc(scores, truth), rtol=1e-6)
    np.testing.assert_allclose(average_precision(y, p), binary_average_precision(scores, truth), rtol=1e-6)


@quick
@given(truths_and_scores())
def test_auroc_is_the_chance_to_rank_a_pair_rightly(sample):
    y, p = sample
    gaps = p[y][:, None] - p[~y]
    np.testing.assert_allclose(auroc(y, p), ((gaps > 0) + 0.5 * (gaps == 0)).mean(), atol=1e-12)


@quick
@given(truths_and_scores())
def test_min_se_ppv_is_the_best_over_all_thresholds(sample):
    y, p = sample
    best = 0.0
    for threshold in np.unique(p):
        called = p >= threshold
        best = max(best, min((y & called).sum() / y.sum(), (y & called).sum() / called.sum()))
    np.testing.assert_allclose(min_se_ppv(y, p), best, atol=1e-12)


@quick
@given(truths_and_scores(), st.sampled_from([np.exp, np.sqrt, lambda p: 3 * p - 7, lambda p: p**3]))
def test_only_the_order_of_scores_matters(sample, transform):
    y, p = sample
    for figure in (auroc, average_precision, min_se_ppv):
        np.testing.assert_allclose(figure(y, transform(p)), figure(y, p), atol=1e-12)


@quick
@given(truths_and_scores())
def test_turning_truths_or_scores_round_gives_the_complement(sample):
    y, p = sample
    np.testing.assert_allclose(auroc(~y, p), 1 - auroc(y, p), atol=1e-12)
    np.testing.assert_allclose(auroc(y, -p), 1 - auroc(y, p), atol=1e-12)


@quick
@given(truths_and_scores(), st.randoms(use_true_random=False))
def test_the_order_of_samples_does_not_matter(sample, random):
    y, p = sample
    order = list(range(len(y)))
    random.shuffle(order)
    for figure in (auroc, average_precision, min_se_ppv):
        np.testing.assert_allclose(figure(y[order], p[order]), figure(y, p), atol=1e-12)


@quick
@given(truths_and_scores(), st.data())
def test_a_weight_is_a_number_of_copies(sample, data):
    y, p = sample
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(y), max_size=len(y))))
    copies = np.repeat(np.arange(len(y)), weights)
    rows = np.stack([weights, np.ones(len(y))]).astype(float)
    for figure in (auroc, average_precision, min_se_ppv):
        expected = [figure(y[copies], p[copies]), figure(y, p)]
        np.testing.assert_allclose(figure(y, p, rows), expected, atol=1e-12)


@quick
@given(truths_and_scores())
def test_figures_stay_within_their_bounds(sample):
    y, p = sample
    for figure in (auroc, average_precision, min_se_ppv):
        assert 0 <= figure(y, p) <= 1 + 1e-12
    assert min_se_ppv(y, p) >= y.mean() - 1e-12  # calling everyone positive has this PPV


@pytest.mark.parametrize("y", [[], [True], [False, False]])
def test_one_class_has_no_discrimination(y):
    y, p = np.array(y, dtype=bool), np.linspace(0, 1, len(y))
    with np.errstate(all="raise"):
        assert np.isnan(auroc(y, p))
        assert np.isnan(average_precision(y, p)) == (not y.any())


def test_a_constant_score_is_chance():
    y, _ = binary(200)
    constant = np.full(len(y), 0.3)
    assert auroc(y, constant) == 0.5
    np.testing.assert_allclose(average_precision(y, constant), y.mean())
    np.testing.assert_allclose(min_se_ppv(y, constant), y.mean())


@pytest.mark.parametrize("digits", [None, 1])
def test_curves_agree_with_scikit_learn(digits):
    y, p = binary(300, seed=5, digits=digits)
    x, sensitivity = roc_curve(y, p)
    expected_x, expected_y, _ = metrics.roc_curve(y, p, drop_intermediate=False)
    np.testing.assert_allclose(x, expected_x)
    np.testing.assert_allclose(sensitivity, expected_y)
    recall, precision = precision_recall_curve(y, p)
    expected_precision, expected_recall, _ = metrics.precision_recall_curve(y, p)
    np.testing.assert_allclose(recall, expected_recall[::-1][1:])
    np.testing.assert_allclose(precision, expected_precision[::-1][1:])

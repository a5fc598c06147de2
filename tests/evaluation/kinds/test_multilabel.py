import numpy as np
import pytest
from sklearn import metrics
from torch import from_numpy
from torchmetrics.functional.classification import multilabel_auroc

from polyclinic.evaluation import evaluate_binary, evaluate_multilabel

NAMES = ("effusion", "nodule", "pneumothorax")


@pytest.fixture(scope="module")
def sample():
    generator = np.random.default_rng(1)
    p = generator.random((300, 3))
    return generator.random((300, 3)) < p, p, generator.random((300, 3)) < 0.7


def test_figures_agree_with_scikit_learn_and_torchmetrics(sample):
    y, p, _ = sample
    found = evaluate_multilabel(y, p, NAMES, resamples=200)
    np.testing.assert_allclose(found["macro_auroc"].value, metrics.roc_auc_score(y, p))
    np.testing.assert_allclose(found["macro_auprc"].value, metrics.average_precision_score(y, p))
    np.testing.assert_allclose(found["macro_brier"].value, ((p - y) ** 2).mean())
    reference = multilabel_auroc(from_numpy(p), from_numpy(y).int(), num_labels=3)
    np.testing.assert_allclose(found["macro_auroc"].value, reference, rtol=1e-6)


def test_unknown_labels_are_masked_one_by_one(sample):
    y, p, observed = sample
    found = evaluate_multilabel(y, p, NAMES, (0.5, 0.4, 0.6), observed=observed, resamples=200)
    expected = [metrics.roc_auc_score(y[observed[:, c], c], p[observed[:, c], c]) for c in range(3)]
    np.testing.assert_allclose(found["macro_auroc"].value, np.mean(expected))
    assert [row.n for row in found.classes] == observed.sum(axis=0).tolist()
    assert found.unobserved == (~observed.any(axis=1)).sum()
    alone = evaluate_binary(y[observed[:, 1], 1], p[observed[:, 1], 1], 0.4, resamples=200)
    assert found.classes[1].figures == alone.figures


def test_each_sample_may_have_thresholds_of_its_own(sample):
    y, p, observed = sample
    own = np.random.default_rng(2).uniform(0.2, 0.8, p.shape)
    shown = (0.5, 0.4, 0.6)
    found = evaluate_multilabel(y, np.stack([p, own], axis=2), NAMES, shown, observed=observed, resamples=200)
    plain = evaluate_multilabel(y, p, NAMES, shown, observed=observed, resamples=200)
    assert found.figures == plain.figures
    for label, row in enumerate(found.classes):
        seen = observed[:, label]
        called = p[seen, label] >= own[seen, label]
        assert row.figures["sensitivity"].value == metrics.recall_score(y[seen, label], called)
        assert row.figures["ppv"].value == metrics.precision_score(y[seen, label], called)
        assert row.figures["auroc"] == plain.classes[label].figures["auroc"]


def test_unknown_is_not_negative(sample):
    y, p, observed = sample
    filled = np.where(observed, y, np.nan)
    masked = evaluate_multilabel(filled, p, NAMES, resamples=200)
    assert masked == evaluate_multilabel(y, p, NAMES, observed=observed, resamples=200)
    negative = evaluate_multilabel(np.where(observed, y, 0), p, NAMES, resamples=200)
    assert masked["macro_auroc"].value > negative["macro_auroc"].value


def test_a_label_that_no_sample_has_is_named_and_left_out(sample):
    y, p, _ = sample
    y = y.copy()
    y[:, 2] = False
    found = evaluate_multilabel(y, p, NAMES, resamples=200)
    assert "2 of 3 classes" in found["macro_auroc"].method
    assert "no positives" in found.classes[2].figures["auroc"].reason
    assert set(found.pictures.roc) == set(NAMES[:2])


@pytest.mark.parametrize(
    ("y", "p", "match"),
    [
        ([[0, 1, 2]], [[0.1, 0.1, 0.1]], "neither 0 nor 1"),
        ([[0, 1, 1]], [[0.1, np.nan, 0.1]], "not finite"),
        ([[0, 1, 1]], [[0.1, 1.5, 0.1]], "logits"),
        ([[0, 1]], [[0.1, 0.1]], "one column per label"),
    ],
)
def test_what_cannot_be_meant_is_refused(y, p, match):
    with pytest.raises(ValueError, match=match):
        evaluate_multilabel(y, p, NAMES)

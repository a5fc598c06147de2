import numpy as np
import pytest
from sklearn import metrics
from torch import from_numpy
from torchmetrics.functional.classification import multiclass_calibration_error

from polyclinic.evaluation import evaluate_multiclass
from polyclinic.evaluation.metrics.calibration import ece

NAMES = ("none", "mild", "severe")


@pytest.fixture(scope="module")
def sample():
    generator = np.random.default_rng(0)
    p = generator.dirichlet([1.5, 1, 0.7], 400)
    return np.array([generator.choice(3, p=row) for row in p]), p


def test_figures_agree_with_scikit_learn(sample):
    y, p = sample
    found = evaluate_multiclass(y, p, NAMES, resamples=200)
    called, one_hot = p.argmax(axis=1), np.eye(3)[y]
    expected = {
        "macro_auroc": metrics.roc_auc_score(y, p, multi_class="ovr"),
        "macro_auprc": metrics.average_precision_score(one_hot, p),
        "accuracy": metrics.accuracy_score(y, called),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, called),
        "macro_f1": metrics.f1_score(y, called, average="macro"),
        "log_loss": metrics.log_loss(y, p),
        "brier": ((p - one_hot) ** 2).sum(axis=1).mean(),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found[name].value, value, err_msg=name)
    np.testing.assert_array_equal(found.pictures.confusion_matrix, metrics.confusion_matrix(y, called))


def test_ece_is_near_that_of_equal_width_bins(sample):
    y, p = sample
    reference = float(multiclass_calibration_error(from_numpy(p), from_numpy(y), 3, n_bins=10))
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == y
    np.testing.assert_allclose(ece(correct, confidence), reference, atol=0.03)
    assert evaluate_multiclass(y, p, NAMES, resamples=200)["ece"].value < reference  # less the bias


def test_each_class_has_its_own_row(sample):
    y, p = sample
    rows = evaluate_multiclass(y, p, NAMES, resamples=200).classes
    assert [(row.level, row.cases) for row in rows] == [(n, int((y == c).sum())) for c, n in enumerate(NAMES)]
    np.testing.assert_allclose(rows[2].figures["auroc"].value, metrics.roc_auc_score(y == 2, p[:, 2]))
    np.testing.assert_allclose(
        rows[1].figures["sensitivity"].value, metrics.recall_score(y == 1, p.argmax(axis=1) == 1)
    )


def test_names_are_as_good_as_numbers(sample):
    y, p = sample
    named = evaluate_multiclass(np.array(NAMES)[y], p, NAMES, resamples=200)
    assert named == evaluate_multiclass(y, p, NAMES, resamples=200)


def test_a_class_that_never_occurs_is_left_out_with_the_reason(sample):
    y, p = sample
    kept = y < 2
    found = evaluate_multiclass(y[kept], p[kept], NAMES, resamples=200)
    assert "2 of 3 classes" in found["macro_auroc"].method
    expected = [metrics.roc_auc_score(y[kept] == c, p[kept, c]) for c in range(2)]
    np.testing.assert_allclose(found["macro_auroc"].value, np.mean(expected))
    assert "no positives" in found.classes[2].figures["auroc"].reason


@pytest.mark.parametrize("y", [[0, 3], [0, -1], [0, 0.5], ["none", "dead"], [0, np.nan]])
def test_unknown_classes_are_refused(y):
    with pytest.raises(ValueError, match="1 of 2 truths are not among the 3 classes"):
        evaluate_multiclass(y, [[1, 0, 0], [0, 1, 0]], NAMES)


def test_probabilities_sum_to_one():
    with pytest.raises(ValueError, match="softmax"):
        evaluate_multiclass([0, 1], [[0.9, 0.9, 0], [0, 1, 0]], NAMES)

import numpy as np
import pytest
from sklearn import metrics

from polyclinic.evaluation import Binary, Bootstrap, compare, evaluate_binary
from polyclinic.evaluation.kinds.binary import thinned
from tests.evaluation.samples import binary


def test_without_a_threshold_no_sample_is_called():
    y, p = binary(200)
    without = evaluate_binary(y, p, resamples=200)
    with_one = evaluate_binary(y, p, 0.3, resamples=200)
    assert {"sensitivity", "ppv", "f1"}.isdisjoint(without.figures)
    assert set(with_one.figures) - set(without.figures) == {
        "sensitivity", "specificity", "ppv", "npv", "f1", "accuracy",
    }  # fmt: skip
    assert with_one.pictures.confusion.true_positive == ((p >= 0.3) & y).sum()
    assert without.pictures.confusion is None


def test_each_sample_may_have_a_threshold_of_its_own():
    y, p = binary(300)
    own = np.where(np.arange(300) % 2, 0.2, 0.6)
    found = evaluate_binary(y, np.column_stack([p, own]), 0.4, groups={"half": np.arange(300) % 2}, resamples=200)
    called = p >= own
    assert found["sensitivity"].value == metrics.recall_score(y, called)
    assert found["specificity"].value == metrics.recall_score(~y, ~called)
    assert found["f1"].value == pytest.approx(metrics.f1_score(y, called))
    assert found.pictures.confusion.true_positive == (called & y).sum()
    assert found.pictures.confusion.threshold == found.threshold == 0.4
    halves = [evaluate_binary(y[k::2], p[k::2], cut, resamples=200) for k, cut in ((0, 0.6), (1, 0.2))]
    for row, half in zip(found.groups, halves, strict=True):
        assert row.figures == half.figures


def test_one_threshold_for_each_is_the_same_as_one_for_all():
    y, p = binary(200)
    models = {"ours": p, "theirs": np.round(p, 1)}
    beside = {name: np.column_stack([p, np.full(200, 0.3)]) for name, p in models.items()}
    assert evaluate_binary(y, beside["ours"], 0.3, resamples=200) == evaluate_binary(y, p, 0.3, resamples=200)
    quick = Bootstrap(200)
    together = compare(Binary(0.3), y, beside, "ours", bootstrap=quick)
    assert together == compare(Binary(0.3), y, models, "ours", bootstrap=quick)


def test_thresholds_of_their_own_need_one_to_show():
    with pytest.raises(ValueError, match="give one to display"):
        evaluate_binary([0, 1], [[0.1, 0.5], [0.9, 0.5]])
    with pytest.raises(ValueError, match="1 of 4 thresholds are not finite"):
        evaluate_binary([0, 1], [[0.1, np.nan], [0.9, 0.5]], 0.5)


def test_figures_do_not_depend_on_the_order_of_samples():
    y, p = binary(150, digits=2)
    order = np.random.default_rng(0).permutation(150)
    first, second = evaluate_binary(y, p, 0.3, resamples=200), evaluate_binary(y[order], p[order], 0.3, resamples=200)
    for name, figure in first.figures.items():
        np.testing.assert_allclose(second[name].value, figure.value, err_msg=name)


def test_logits_are_refused():
    with pytest.raises(ValueError, match="not logits"):
        evaluate_binary([0, 1, 1], [-2.0, 0.3, 4.0])


def test_curves_are_thinned_between_their_ends():
    y, p = binary(5000)
    curve = evaluate_binary(y, p, resamples=100).pictures.roc[""]
    assert len(curve.x) <= 202
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)
    short = thinned(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    assert short.x == (0.0, 1.0)


def test_a_constant_prediction_is_measured_honestly():
    y, _ = binary(200)
    evaluation = evaluate_binary(y, np.full(200, y.mean()), 0.5, resamples=200)
    assert (evaluation["auroc"].value, evaluation["auroc"].low) == (0.5, None)
    assert evaluation["calibration_slope"].reason == "every sample has the same score"
    assert evaluation["ppv"].reason == "no positive calls"
    assert evaluation["calibration_intercept"].contains(0)
    assert evaluation["brier"].low < evaluation["brier"].value


def test_stratified_intervals_are_no_wider():
    y, p = binary(120, prevalence=0.1)
    free = evaluate_binary(y, p, resamples=500)
    fixed = evaluate_binary(y, p, resamples=500, stratify=True)
    assert fixed["brier"].width < free["brier"].width

import numpy as np
import pytest

from polyclinic.evaluation import evaluate_binary
from polyclinic.evaluation.kinds.binary import thinned

from ..samples import binary


def test_without_a_threshold_nobody_is_called():
    y, p = binary(200)
    without = evaluate_binary(y, p, resamples=200)
    with_one = evaluate_binary(y, p, 0.3, resamples=200)
    assert {"sensitivity", "ppv", "f1"}.isdisjoint(without.figures)
    assert set(with_one.figures) - set(without.figures) == {
        "sensitivity", "specificity", "ppv", "npv", "f1", "accuracy",
    }  # fmt: skip
    assert with_one.pictures.confusion.true_positive == ((p >= 0.3) & y).sum()
    assert without.pictures.confusion is None


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
    assert evaluation["ppv"].reason == "nobody is called positive"
    assert evaluation["calibration_intercept"].contains(0)
    assert evaluation["brier"].low < evaluation["brier"].value


def test_stratified_intervals_are_no_wider():
    y, p = binary(120, prevalence=0.1)
    free = evaluate_binary(y, p, resamples=500)
    fixed = evaluate_binary(y, p, resamples=500, stratify=True)
    assert fixed["brier"].width < free["brier"].width

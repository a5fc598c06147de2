import doctest

import numpy as np
import pytest
from scipy.special import expit, logit

from polyclinic.evaluation import (
    Binary,
    Bootstrap,
    Comparison,
    Multiclass,
    Regression,
    by_subset,
    compare,
    delong_test,
    holm,
)
from polyclinic.evaluation import comparison as module
from tests.evaluation.samples import binary

QUICK = Bootstrap(300)


def noisy(p, scale, seed):
    return expit(logit(p) + np.random.default_rng(seed).normal(0, scale, len(p)))


def test_examples_in_docstrings():
    found = doctest.testmod(module)
    assert found.attempted >= 2
    assert found.failed == 0


def test_holm_agrees_with_statsmodels():
    """`multipletests(…, method="holm")` of statsmodels 0.15.0."""
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005, 0.6]), [0.04, 0.09, 0.09, 0.025, 0.6])


def test_auroc_is_tested_after_delong_and_the_rest_by_bootstrap():
    y, p = binary(400)
    worse = noisy(p, 1.5, 1)
    found = compare(Binary(), y, {"good": p, "worse": worse}, "good", bootstrap=QUICK)
    difference = found["worse"].differences["auroc"]
    assert difference.figure == delong_test(y, worse, p).figure
    brier = found["worse"].differences["brier"]
    assert brier.figure.low > 0
    assert brier.p < 0.05
    assert "paired bootstrap" in brier.figure.method
    assert found["good"].differences == {}
    gap = found["worse"].figures["brier"].value - found["good"].figures["brier"].value
    np.testing.assert_allclose(brier.figure.value, gap)


def test_bootstrap_and_delong_agree_on_a_difference_of_aurocs():
    from polyclinic.evaluation.bootstrap import percentiles
    from polyclinic.evaluation.metrics.discrimination import auroc

    y, p = binary(600, seed=2)
    q = noisy(p, 1, 3)
    draws = Bootstrap(2000).draws(lambda w: auroc(y, p, w) - auroc(y, q, w), 600)
    figure = delong_test(y, p, q).figure
    np.testing.assert_allclose(percentiles(draws)[:2], [figure.low, figure.high], atol=0.008)


def test_pairing_by_subject_is_kept():
    y, p = binary(150)
    five = {name: np.repeat(values, 5) for name, values in {"a": p, "b": noisy(p, 1, 1)}.items()}
    subjects = np.repeat(np.arange(150), 5)
    once = compare(Binary(), y, {"a": p, "b": noisy(p, 1, 1)}, "a", bootstrap=QUICK)["b"].differences
    many = compare(Binary(), np.repeat(y, 5), five, "a", subjects=subjects, bootstrap=QUICK)["b"].differences
    for name in ("auroc", "auprc", "brier"):
        np.testing.assert_allclose(many[name].figure.width, once[name].figure.width, rtol=0.2)


@pytest.mark.slow
def test_under_the_null_few_differences_are_found():
    found, trials = 0, 80
    for seed in range(trials):
        y, p = binary(150, seed=seed)
        first, second = noisy(p, 0.7, seed), noisy(p, 0.7, seed + 1000)
        difference = compare(Binary(), y, {"a": first, "b": second}, "a", bootstrap=Bootstrap(200), headline=["brier"])
        found += difference["b"].differences["brier"].p < 0.05
    assert found / trials <= 0.11


def test_p_values_are_adjusted_over_the_models():
    y, p = binary(300)
    models = {"a": p, "b": noisy(p, 0.5, 1), "c": noisy(p, 0.8, 2), "d": np.full(300, 0.25)}
    found = compare(Binary(), y, models, "a", bootstrap=QUICK)
    raw = [found[name].differences["auprc"].p for name in "bcd"]
    assert [found[name].differences["auprc"].p_adjusted for name in "bcd"] == holm(raw)


def test_the_same_predictions_do_not_differ():
    y, p = binary(100)
    difference = compare(Binary(), y, {"a": p, "b": p}, "a", bootstrap=QUICK)["b"].differences["brier"]
    assert (difference.figure.value, difference.figure.low, difference.p) == (0, None, None)
    assert "same value" in difference.figure.reason


@pytest.mark.parametrize("kind", [Regression(), Multiclass(("a", "b"))])
def test_other_kinds_are_compared_too(kind):
    generator = np.random.default_rng(0)
    y = generator.integers(0, 2, 200)
    good = np.clip(y + generator.normal(0, 0.3, 200), 0.01, 0.99)
    models = {"good": good, "blind": np.full(200, 0.5)}
    if kind.name == "multiclass":
        models = {name: np.column_stack([1 - p, p]) for name, p in models.items()}
    found = compare(kind, y, models, "blind", bootstrap=QUICK)
    assert set(found["good"].differences) == set(kind.headline)
    assert all(difference.p < 0.05 for difference in found["good"].differences.values())
    assert Comparison.from_json(found.to_json()) == found


def test_one_class_alone_compares_nothing():
    found = compare(Binary(), [0] * 20, {"a": [0.1] * 20, "b": np.linspace(0, 1, 20)}, "a", bootstrap=QUICK)
    assert "no positives" in found["b"].differences["auroc"].figure.reason
    assert "no positives" in found["b"].differences["auprc"].figure.reason
    assert found["b"].differences["auprc"].p_adjusted is None


def test_subsets_are_compared_with_the_fullest():
    y, p = binary(300)
    predictions = {("note",): noisy(p, 2, 1), ("image", "note"): p, (): np.full(300, 0.25)}
    found = by_subset(Binary(), y, predictions, bootstrap=QUICK)
    assert found.reference == "image + note"
    assert {contender.name: contender.members for contender in found.contenders} == {
        "note": ("note",), "image + note": ("image", "note"), "none": (),
    }  # fmt: skip
    assert found["note"].differences["auroc"].figure.high < 0
    assert found["none"].figures["auroc"].value == 0.5


def test_what_cannot_be_compared_is_refused():
    y, p = binary(30)
    with pytest.raises(ValueError, match="reference 'b' is not among the models: a"):
        compare(Binary(), y, {"a": p}, "b")
    with pytest.raises(ValueError, match="calibration_slope cannot be compared: choose from auprc"):
        compare(Binary(), y, {"a": p, "b": p}, "a", headline=["calibration_slope"], bootstrap=QUICK)
    found = compare(Binary(), y, {"a": p}, "a", bootstrap=QUICK)
    with pytest.raises(KeyError, match="there are a"):
        found["b"]

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.evaluation.bootstrap import Bootstrap
from polyclinic.evaluation.metrics.confusion import confusion
from polyclinic.evaluation.metrics.decision_curve import decision_curve, net_benefit
from tests.evaluation.samples import binary, quick, truths_and_scores


@quick
@given(truths_and_scores(), st.floats(0.01, 0.99))
def test_net_benefit_is_the_formula_and_within_its_bounds(sample, threshold):
    y, p = sample
    cells = confusion(y, p, threshold)
    expected = (cells.true_positive - cells.false_positive * threshold / (1 - threshold)) / len(y)
    found = net_benefit(y, p, [threshold])[0]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert -(1 - y.mean()) * threshold / (1 - threshold) - 1e-9 <= found <= y.mean() + 1e-9


def test_treating_all_breaks_even_at_the_prevalence():
    y, _ = binary(500)
    np.testing.assert_allclose(net_benefit(y, np.ones(500), [y.mean()]), 0, atol=1e-12)
    curve = decision_curve(y, y.astype(float))
    assert all(abs(point.model - y.mean()) < 1e-12 for point in curve)  # a perfect model finds every positive


def test_calibrated_predictions_never_do_harm():
    y, p = binary(100_000, seed=1)
    for point in decision_curve(y, p):
        assert point.model > max(0, point.treat_all) - 0.004


def test_the_band_holds_the_curve():
    y, p = binary(400)
    curve = decision_curve(y, p, (0.1, 0.2, 0.3), bootstrap=Bootstrap(200))
    assert all(point.low < point.model < point.high for point in curve)
    assert decision_curve(y, p, (0.1,))[0].low is None


def test_weights_are_copies():
    y, p = binary(50)
    weights = np.random.default_rng(0).integers(0, 3, 50)
    copies = np.repeat(np.arange(50), weights)
    np.testing.assert_allclose(net_benefit(y, p, [0.2, 0.4], weights), net_benefit(y[copies], p[copies], [0.2, 0.4]))


def test_certainty_is_no_threshold():
    with pytest.raises(ValueError, match="strictly between"):
        net_benefit(np.array([True]), np.array([0.5]), [1.0])
    assert decision_curve(np.zeros(0, dtype=bool), np.zeros(0)) == ()


def test_too_few_subjects_have_a_curve_without_a_band():
    points = decision_curve(np.array([True, True, False]), np.array([0.2, 0.1, 0.3]), bootstrap=Bootstrap(100))
    assert len(points) == 99
    assert all(point.low is None and point.high is None for point in points)

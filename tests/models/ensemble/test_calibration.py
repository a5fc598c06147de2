import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit, softmax
from sklearn.metrics import log_loss

from polyclinic.models.ensemble.calibration import METHODS, Calibrator, calibrate_with_each
from polyclinic.models.ensemble.link_functions import LINKS
from polyclinic.models.ensemble.thresholds import Utility, threshold_for_sensitivity, threshold_for_utility

BINS = (1.0, 2.0, 4.0)
KINDS = {"binary": 1, "multiclass": 3, "multilabel": 2, "regression": 2, "time_to_event": 3}
PAIRS = [(kind, method) for kind in KINDS for method in METHODS if (kind, method) != ("regression", "temperature")]


def simulated(kind: str, n: int = 400, seed: int = 0):
    """Predictions that are twice too extreme and shifted, and targets."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=(n, KINDS[kind]))
    extreme = 2 * scores + 0.5 * np.arange(1, KINDS[kind] + 1)
    if kind == "regression":
        return extreme, scores + 0.1 * random.normal(size=scores.shape)
    if kind == "multiclass":
        chances = softmax(scores, axis=1)
        drawn = (chances.cumsum(axis=1) > random.random((n, 1))).argmax(axis=1)
        return softmax(extreme, axis=1), np.eye(3)[drawn]
    if kind == "time_to_event":
        hazards = expit(scores - 1)
        died = random.random(hazards.shape) < hazards
        event = died.any(axis=1)
        place = np.where(event, died.argmax(axis=1), 2)
        ends = np.array(BINS)
        return LINKS[kind].answers(extreme - 1), np.stack([ends[place], event], axis=1).astype(float)
    return expit(extreme), (random.random(scores.shape) < expit(scores)).astype(float)


def fitted(kind: str, method: str, seed: int = 0) -> Calibrator:
    answers, targets = simulated(kind, seed=seed)
    return Calibrator.fit(kind, answers, targets, np.ones(len(answers), dtype=bool), method, BINS)


@pytest.mark.parametrize(("kind", "method"), PAIRS)
def test_calibration_preserves_shape_and_range(kind, method):
    answers, _ = simulated(kind, seed=1)
    calibrated = fitted(kind, method)(answers)
    assert calibrated.shape == answers.shape
    assert np.isfinite(calibrated).all()
    if kind == "regression":
        return
    assert ((calibrated >= 0) & (calibrated <= 1)).all()
    if kind == "multiclass":
        np.testing.assert_allclose(calibrated.sum(axis=1), 1)
    if kind == "time_to_event":
        assert (np.diff(calibrated, axis=1) >= -1e-12).all()


@pytest.mark.parametrize(("kind", "method"), [pair for pair in PAIRS if pair[0] != "multiclass"])
def test_calibration_is_non_decreasing(kind, method):
    """The order of samples is preserved for each output (of a survival curve, in the first bin)."""
    calibrator, (answers, _) = fitted(kind, method), simulated(kind, seed=1)
    calibrated = calibrator(answers)
    for column in range(1 if kind == "time_to_event" else answers.shape[1]):
        assert (np.diff(calibrated[np.argsort(answers[:, column]), column]) >= -1e-12).all()


@pytest.mark.parametrize(("kind", "method"), PAIRS)
def test_state_round_trips_through_json(kind, method):
    calibrator, (answers, _) = fitted(kind, method), simulated(kind, seed=1)
    again = Calibrator.from_state(json.loads(json.dumps(calibrator.state())))
    assert again == calibrator
    assert np.array_equal(again(answers), calibrator(answers))


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_new_samples_are_better_calibrated(method):
    answers, targets = simulated("binary", n=4000, seed=1)
    assert log_loss(targets, fitted("binary", method)(answers)) < log_loss(targets, answers) - 0.05


def test_platt_recovers_the_line():
    answers, targets = simulated("binary", n=40_000)
    calibrator = Calibrator.fit("binary", answers, targets, np.ones(len(answers), dtype=bool), "platt")
    assert calibrator.slope[0] == pytest.approx(0.5, abs=0.03)
    assert calibrator.shift[0] == pytest.approx(-0.25, abs=0.05)


def test_temperature_preserves_even_odds():
    assert fitted("binary", "temperature")(np.array([[0.5]]))[0, 0] == pytest.approx(0.5)


def test_multiclass_recovers_the_temperature():
    answers, targets = simulated("multiclass", n=20_000)
    calibrator = Calibrator.fit("multiclass", answers, targets, np.ones(len(answers), dtype=bool), "platt")
    assert calibrator.slope[0] == pytest.approx(0.5, abs=0.03)


def test_isotonic_gives_the_observed_rates():
    answers = np.repeat([[0.2], [0.6]], 100, axis=0)
    targets = np.concatenate([np.repeat([[0.0], [1.0]], [90, 10], axis=0), np.repeat([[0.0], [1.0]], [30, 70], axis=0)])
    calibrator = Calibrator.fit("binary", answers, targets, np.ones(200, dtype=bool), "isotonic")
    np.testing.assert_allclose(calibrator(np.array([[0.2], [0.6]]))[:, 0], [0.1, 0.7])


def test_isotonic_is_bounded_away_from_0_and_1():
    answers, targets = np.array([[0.1], [0.2], [0.8], [0.9]]), np.array([[0.0], [0.0], [1.0], [1.0]])
    calibrated = Calibrator.fit("binary", answers, targets, np.ones(4, dtype=bool), "isotonic")(answers)
    assert 0 < calibrated.min() < calibrated.max() < 1


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_separable_classes_give_finite_predictions(method):
    answers, targets = np.array([[0.0], [0.1], [0.9], [1.0]]), np.array([[0.0], [0.0], [1.0], [1.0]])
    calibrated = Calibrator.fit("binary", answers, targets, np.ones(4, dtype=bool), method)(answers)
    assert np.isfinite(logit(calibrated)).all()


@pytest.mark.parametrize("method", ["temperature", "platt"])
def test_single_class_leaves_predictions_unchanged(method):
    answers = np.array([[0.2], [0.4]])
    calibrator = Calibrator.fit("binary", answers, np.zeros((2, 1)), np.ones(2, dtype=bool), method)
    np.testing.assert_allclose(calibrator(answers), answers)


def test_unobserved_targets_have_no_influence():
    answers, targets = simulated("binary")
    observed = np.arange(len(answers)) % 2 == 0
    spoilt = np.where(observed[:, None], targets, np.nan)
    assert Calibrator.fit("binary", answers, targets, observed) == Calibrator.fit("binary", answers, spoilt, observed)


def test_no_observed_targets_leave_predictions_unchanged():
    answers, targets = simulated("binary")
    assert Calibrator.fit("binary", answers, targets, np.zeros(len(answers), dtype=bool))(answers) is answers


def test_inverted_model_is_flattened_not_reversed():
    answers, targets = simulated("binary")
    calibrated = Calibrator.fit("binary", 1 - answers, targets, np.ones(len(answers), dtype=bool))(1 - answers)
    assert (np.diff(calibrated[np.argsort(-answers[:, 0]), 0]) >= 0).all()


def test_invalid_methods_raise():
    answers, targets = simulated("regression")
    with pytest.raises(ValueError, match="platt or isotonic"):
        Calibrator.fit("regression", answers, targets, np.ones(len(answers), dtype=bool), "temperature")
    with pytest.raises(ValueError, match="choose from temperature"):
        Calibrator.fit("regression", answers, targets, np.ones(len(answers), dtype=bool), "beta")


chances = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5, 0.75, 1.0]), min_size=2, max_size=30)


@given(p=chances, sensitivity=st.floats(0.01, 1), seed=st.integers(0, 100))
def test_threshold_is_the_highest_with_the_sensitivity(p, sensitivity, seed):
    p = np.array(p)
    y = np.random.default_rng(seed).random(len(p)) < 0.5
    y[0] = True
    threshold = threshold_for_sensitivity(p, y, sensitivity)
    assert (p[y] >= threshold).mean() >= sensitivity - 1e-9
    assert all((p[y] >= higher).mean() < sensitivity for higher in np.unique(p[p > threshold]))


@given(p=chances, seed=st.integers(0, 100), costs=st.tuples(*[st.integers(-5, 5)] * 4))
def test_threshold_maximises_utility(p, seed, costs):
    p, worth = np.array(p), Utility(*map(float, costs))
    y = np.random.default_rng(seed).random(len(p)) < 0.5

    def mean(threshold: float) -> float:
        called = p >= threshold
        gains = np.where(
            y,
            np.where(called, worth.true_positive, worth.false_negative),
            np.where(called, worth.false_positive, worth.true_negative),
        )
        return float(gains.mean())

    best = mean(threshold_for_utility(p, y, worth))
    assert all(best >= mean(threshold) - 1e-12 for threshold in [*p, 2.0])


def test_optimal_threshold_of_calibrated_probabilities():
    """The threshold's odds are those of harm to benefit (Vickers & Elkin 2006)."""
    draw = np.random.default_rng(0)
    p = draw.random(200_000)
    y = draw.random(200_000) < p
    for harm in (0.25, 1.0, 3.0):
        assert threshold_for_utility(p, y, Utility.of(harm)) == pytest.approx(harm / (1 + harm), abs=0.02)


def test_thresholds_need_a_positive_and_a_valid_sensitivity():
    with pytest.raises(ValueError, match="no validation sample is positive"):
        threshold_for_sensitivity(np.array([0.1, 0.2]), np.array([False, False]), 0.8)
    with pytest.raises(ValueError, match="must be above 0"):
        threshold_for_sensitivity(np.array([0.1, 0.2]), np.array([False, True]), 0.0)


def test_numeric_targets_are_accepted():
    assert threshold_for_sensitivity(np.array([0.1, 0.7, 0.4]), np.array([0.0, 1.0, 1.0]), 1.0) == 0.4


@pytest.mark.parametrize(("kind", "method"), PAIRS)
def test_calibrate_with_each_equals_separate_calibration(kind, method):
    answers, calibrators = simulated(kind, n=7)[0], [fitted(kind, method, seed) for seed in range(3)]
    calibrated = calibrate_with_each(calibrators, answers)
    assert calibrated == pytest.approx(np.stack([own(answers) for own in calibrators]), abs=1e-12)

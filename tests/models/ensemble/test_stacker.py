import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from scipy.special import expit, logit, softmax
from sklearn.metrics import log_loss, roc_auc_score

from polyclinic.models.ensemble.link_functions import ObservedTargets
from polyclinic.models.ensemble.network_noise import noise_of_one
from polyclinic.models.ensemble.stacker import MAX_WEIGHT, NEGLIGIBLE, Scores, Stacker, objective

N = 600


def members(seed: int = 0, n: int = N):
    """Two members that each know half of the signal, and one of noise."""
    random = np.random.default_rng(seed)
    first, second, noise = random.normal(size=(3, n))
    y = (random.random(n) < expit(1.5 * first + 1.5 * second - 1)).astype(float)[:, None]
    predictions = {"first": expit(1.5 * first - 0.7), "second": expit(1.5 * second - 0.7), "noise": expit(noise)}
    return {name: chances[:, None] for name, chances in predictions.items()}, y


def all_able(answers, n: int = N):
    return {name: np.ones(n, dtype=bool) for name in answers}


def fitted(seed: int = 0) -> Stacker:
    answers, y = members(seed)
    return Stacker.fit("binary", answers, all_able(answers), y, np.ones(N, dtype=bool))


def test_stacker_is_better_than_the_best_member():
    answers, y = members(seed=1)
    combined = fitted()(answers, all_able(answers))
    assert roc_auc_score(y, combined) > max(roc_auc_score(y, one) for one in answers.values()) + 0.05
    assert log_loss(y, combined) < log_loss(y, np.mean(list(answers.values()), axis=0))


def test_weights_add_up_to_one_and_noise_has_little():
    weights = fitted().weights
    assert sum(weights.values()) == pytest.approx(1)
    assert all(weight >= 0 for weight in weights.values())
    assert weights["noise"] < 0.1


def test_harmful_member_has_no_weight():
    answers, y = members()
    answers["liar"] = 1 - answers["first"]
    stacker = Stacker.fit("binary", answers, all_able(answers), y, np.ones(N, dtype=bool))
    assert stacker.weights["liar"] == 0
    assert "liar" not in stacker.nonzero_members(answers)
    selected = {name: answers[name] for name in stacker.nonzero_members(answers)}
    np.testing.assert_allclose(stacker(selected, all_able(selected)), stacker(answers, all_able(answers)))


def test_predictions_of_abstaining_members_have_no_influence():
    answers, _ = members()
    able = all_able(answers)
    able["first"] = np.arange(N) % 2 == 0
    spoilt = answers | {"first": np.where(able["first"][:, None], answers["first"], np.nan)}
    assert np.array_equal(fitted()(answers, able), fitted()(spoilt, able))


def test_weights_are_renormalised_if_a_member_abstains():
    stacker = Stacker("binary", {"a": 0.5, "b": 0.5}, 1.0, (0.0,), (0.0,))
    answers = {"a": np.array([[0.9], [0.9]]), "b": np.array([[0.3], [0.3]])}
    combined = stacker(answers, {"a": np.array([True, True]), "b": np.array([True, False])})
    assert combined[0, 0] == pytest.approx(expit((logit(0.9) + logit(0.3)) / 2))
    assert combined[1, 0] == pytest.approx(0.9)


def test_zero_weight_members_are_used_if_no_other_can_predict():
    stacker = Stacker("binary", {"a": 1.0, "b": 0.0}, 1.0, (0.0,), (0.0,))
    answers = {"a": np.array([[0.9]]), "b": np.array([[0.3]])}
    assert stacker(answers, {"a": np.array([False]), "b": np.array([True])})[0, 0] == pytest.approx(0.3)


def test_prior_is_used_if_no_member_can_predict():
    stacker = Stacker("binary", {"a": 1.0}, 1.0, (0.0,), (logit(0.14),))
    assert stacker({"a": np.array([[0.9]])}, {"a": np.array([False])})[0, 0] == pytest.approx(0.14)


def test_few_samples_stay_near_the_mean():
    answers, y = members(n=12)
    stacker = Stacker.fit("binary", answers, all_able(answers, 12), y, np.ones(12, dtype=bool))
    assert stacker.strength == pytest.approx(1, abs=0.5)
    assert max(stacker.weights.values()) < 0.6


def test_unobserved_samples_have_no_influence():
    answers, y = members()
    observed = np.arange(N) % 3 > 0
    spoilt = np.where(observed[:, None], y, np.nan)
    first, second = (Stacker.fit("binary", answers, all_able(answers), given, observed) for given in (y, spoilt))
    assert first == second
    nothing = Stacker.fit("binary", answers, all_able(answers), y, np.zeros(N, dtype=bool))
    assert nothing.weights == pytest.approx({"first": 1 / 3, "second": 1 / 3, "noise": 1 / 3})


def test_state_round_trips_through_json():
    stacker, (answers, _) = fitted(), members(seed=1)
    again = Stacker.from_state(json.loads(json.dumps(stacker.state())))
    assert again == stacker
    assert np.array_equal(again(answers, all_able(answers)), stacker(answers, all_able(answers)))


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "regression", "time_to_event"])
def test_every_kind_can_be_stacked(kind):
    random = np.random.default_rng(0)
    truth, bins = random.normal(size=(N, 3)), (1.0, 2.0, 4.0)
    if kind == "multiclass":
        y = np.eye(3)[(softmax(2 * truth, axis=1).cumsum(axis=1) > random.random((N, 1))).argmax(axis=1)]
        predictions = {
            name: softmax(2 * truth + noise * random.normal(size=truth.shape), axis=1) for name, noise in NOISE
        }
    elif kind == "regression":
        y = 30 + 10 * truth
        predictions = {name: y + 10 * noise * random.normal(size=truth.shape) for name, noise in NOISE}
    elif kind == "multilabel":
        y = (random.random(truth.shape) < expit(truth)).astype(float)
        predictions = {name: expit(truth + noise * random.normal(size=truth.shape)) for name, noise in NOISE}
    else:
        died = random.random(truth.shape) < expit(truth)
        place = np.where(died.any(axis=1), died.argmax(axis=1), 2)
        y = np.stack([np.array(bins)[place], died.any(axis=1)], axis=1).astype(float)
        predictions = {
            name: 1 - np.cumprod(expit(-truth - noise * random.normal(size=truth.shape)), axis=1)
            for name, noise in NOISE
        }
    stacker = Stacker.fit(kind, predictions, all_able(predictions), y, np.ones(N, dtype=bool), bins)
    assert stacker(predictions, all_able(predictions)).shape == (N, 3)
    assert stacker.weights["good"] > stacker.weights["bad"]


NOISE = (("good", 0.3), ("bad", 2.0))


@pytest.mark.parametrize("kind", ["binary", "regression", "multiclass", "multilabel"])
def test_gradient_equals_finite_differences(kind):
    """One member abstains for some samples."""
    random = np.random.default_rng(0)
    scores, able = random.normal(size=(3, 40, 2)), random.random((3, 40)) > 0.3
    happened = np.eye(2)[random.integers(0, 2, 40)] * (5.0 if kind == "regression" else 1.0)
    loss = objective(
        kind,
        Scores(scores * able[..., None], able),
        ObservedTargets(happened, np.ones((40, 2), dtype=bool)),
        noise=np.array([0.0, 0.5, 0.2]),
    )
    point = np.array([0.2, 0.5, 0.4, -0.3, 0.1])
    numeric = approx_fprime(point, lambda x: loss(x)[0], 1e-7)
    np.testing.assert_allclose(loss(point)[1], numeric, rtol=1e-3, atol=1e-3)


def test_no_members_raise():
    with pytest.raises(ValueError, match="no members"):
        Stacker.fit("binary", {}, {}, np.zeros((1, 1)), np.ones(1, dtype=bool))


def test_prior_is_the_rate_of_samples_without_predictions():
    draw = np.random.default_rng(0)
    able = np.arange(400) < 200
    ill = np.where(able, draw.random(400) < 0.2, draw.random(400) < 0.9)
    answers = np.full((400, 1), 0.2)
    stacker = Stacker.fit("binary", {"a": answers}, {"a": able}, ill[:, None].astype(float), np.ones(400, bool))
    predictions = stacker({"a": answers}, {"a": able})[:, 0]
    assert abs(predictions[~able] - ill[~able].mean()).max() < 0.05
    assert abs(predictions[able] - ill[able].mean()).max() < 0.05
    assert Stacker.from_state(stacker.state()) == stacker


def noisy_members(seed: int = 0, n: int = 20_000, noise: float = 0.9):
    """Two members that each know half of the signal; the first as one noisy network, and as the mean of five."""
    random = np.random.default_rng(seed)
    first, second = random.normal(size=(2, n))
    y = (random.random(n) < expit(1.2 * first + 1.2 * second)).astype(float)[:, None]
    scores = 1.2 * first + noise * random.normal(size=(5, n))
    one, mean = expit(scores[0])[:, None], expit(scores.mean(axis=0))[:, None]
    return {"network": one, "other": expit(1.2 * second)[:, None]}, mean, scores, y


def test_weights_of_one_network_become_those_of_the_mean_of_all():
    one, mean, scores, y = noisy_members()
    n = len(y)
    observed, able = np.ones(n, dtype=bool), all_able(one, n)
    noise = noise_of_one("binary", expit(scores)[..., None], np.full(n, 0))
    aimed = Stacker.fit("binary", one | {"network": mean}, able, y, observed)
    plain = Stacker.fit("binary", one, able, y, observed)
    corrected = Stacker.fit("binary", one, able, y, observed, noise={"network": noise})

    def weight(stacker):
        return stacker.strength * stacker.weights["network"]

    assert weight(plain) < 0.75 * weight(aimed)
    assert weight(corrected) == pytest.approx(weight(aimed), rel=0.1)
    used = one | {"network": mean}
    losses = [log_loss(y, stacker(used, able)) for stacker in (aimed, corrected, plain)]
    assert losses == sorted(losses)


@given(st.floats(0, 100), st.integers(2, 40), st.integers(0, 99))
def test_any_noise_gives_finite_weights(noise, n, seed):
    answers, y = members(seed, n)
    stacker = Stacker.fit(
        "binary", answers, all_able(answers, n), y, np.ones(n, dtype=bool), noise=dict.fromkeys(answers, noise)
    )
    assert sum(stacker.weights.values()) == pytest.approx(1)
    assert 0 <= stacker.strength <= 3 * MAX_WEIGHT
    assert np.isfinite(stacker(answers, all_able(answers, n))).all()


@given(st.integers(0, 99), st.integers(1, 3))
def test_a_repeated_member_counts_once(seed, times):
    answers, y = members(seed)
    again = answers | {f"first again {place}": answers["first"] for place in range(times)}
    observed = np.ones(N, dtype=bool)
    once = Stacker.fit("binary", answers, all_able(answers), y, observed)
    several = Stacker.fit("binary", again, all_able(again), y, observed)
    assert several.strength == pytest.approx(once.strength)
    assert {name: several.weights[name] for name in answers} == pytest.approx(once.weights)
    assert all(several.weights[name] == 0 for name in again if name not in answers)


def test_no_member_has_a_negligible_weight():
    for seed in range(5):
        weights = fitted(seed).weights.values()
        assert all(weight == 0 or weight >= NEGLIGIBLE for weight in weights)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.models.ensemble.link_functions import LINKS
from polyclinic.models.ensemble.network_noise import noise_of_one

N = 4000


def networks(kind, noise: float, number: int = 5, seed: int = 0):
    """Answers of networks that know the same truth, each with noise of its own; and a generator."""
    random = np.random.default_rng(seed)
    outputs = 3 if kind in ("multiclass", "multilabel") else 1
    scores = random.normal(size=(N, outputs)) + noise * random.normal(size=(number, N, outputs))
    return LINKS[kind].answers(scores), random


@pytest.mark.parametrize("kind", ["binary", "multilabel", "regression"])
@pytest.mark.parametrize("number", [2, 3, 5])
def test_the_mean_of_k_networks_lacks_all_but_a_kth_of_the_noise(kind, number):
    answers, random = networks(kind, noise=0.4, number=number)
    found = noise_of_one(kind, answers, random.integers(0, number, N))
    assert found == pytest.approx(0.4**2 * (1 - 1 / number), rel=0.1)


@given(
    st.sampled_from(["binary", "multilabel", "multiclass", "regression"]),
    st.floats(0, 2),
    st.integers(2, 6),
    st.integers(0, 99),
)
def test_noise_is_never_negative_and_nothing_for_equal_networks(kind, noise, number, seed):
    answers, random = networks(kind, noise, number, seed)
    own = random.integers(0, number, N)
    assert noise_of_one(kind, answers[:, :50], own[:50]) >= 0
    assert noise_of_one(kind, np.repeat(answers[:1], number, axis=0), own) == pytest.approx(0, abs=1e-12)


def test_a_shift_of_all_classes_is_no_noise():
    scores = np.random.default_rng(0).normal(size=(N, 3)) + np.arange(5.0)[:, None, None]
    assert noise_of_one("multiclass", LINKS["multiclass"].answers(scores), np.zeros(N, dtype=int)) < 1e-12


def test_the_network_that_left_a_sample_out_does_not_count():
    answers, random = networks("binary", 0.5)
    own = random.integers(0, 5, N)
    spoilt = answers.copy()
    spoilt[own, np.arange(N)] = 1 - spoilt[own, np.arange(N)]
    assert noise_of_one("binary", spoilt, own) == pytest.approx(noise_of_one("binary", answers, own), rel=0.1)


def test_one_network_or_no_sample_has_no_noise():
    answers, _ = networks("binary", 0.5)
    assert noise_of_one("binary", answers[:1], np.zeros(N, dtype=int)) == 0
    assert noise_of_one("binary", answers[:, :0], np.zeros(0, dtype=int)) == 0

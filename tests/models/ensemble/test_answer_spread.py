"""The spread of an answer over refits: against known truths, and as a function of the networks' disagreement."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from polyclinic.models.ensemble.answer_spread import AnswerSpread, disagreement, from_scale, to_scale
from polyclinic.models.network.config import TaskKind

KINDS = ("binary", "multiclass", "multilabel", "regression", "time_to_event")


def all_seen(folds, samples):
    return np.zeros((folds, samples), dtype=bool)


@pytest.mark.parametrize("folds", [2, 3, 5, 10])
def test_the_spread_of_a_mean_is_its_standard_error(folds):
    """Each answer is the mean of 120 numbers; the replicates leave out a fold of them. The standard error is known."""
    numbers = 3 * np.random.default_rng(folds).standard_normal((4000, 120))
    parts = np.array_split(np.arange(120), folds)
    replicates = np.stack([np.delete(numbers, part, axis=1).mean(axis=1) for part in parts])[:, :, None]
    spread = AnswerSpread.fit("regression", replicates, None, all_seen(folds, 4000), 1e9)
    assert spread(np.zeros((1, 1)))[0, 0] == pytest.approx(3 / np.sqrt(120), rel=0.05)


def noisy(kind, folds, samples, seed, scale=1.0):
    """Return answers of folds that differ by noise, whose size differs by sample, and that of their networks."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.uniform(-2, 1, (samples, 1)))
    middle = rng.standard_normal((samples, 1))
    both = [middle + size * own * rng.standard_normal((folds, samples, 1)) for own in (1.0, 2.0)]
    made = [scale * one if kind == "regression" else expit(one) for one in both]
    return *made, size


@pytest.mark.parametrize("kind", KINDS)
def test_the_spread_grows_with_the_disagreement_of_the_networks(kind):
    replicates, networks, size = noisy(kind, 5, 3000, 0)
    spread = AnswerSpread.fit(kind, replicates, networks, all_seen(5, 3000), 1e9)
    found = spread(disagreement(kind, networks))
    assert spread.slope[0] > 0.8
    assert np.corrcoef(np.log(found[:, 0]), np.log(size[:, 0]))[0, 1] > 0.8
    truth = 4 / np.sqrt(5) * size[:, 0]
    assert np.sqrt((found[:, 0] ** 2).mean() / (truth**2).mean()) == pytest.approx(1, abs=0.2)


@given(st.sampled_from(KINDS), st.integers(2, 6), st.integers(1, 30), st.integers(0, 10_000), st.booleans())
def test_a_spread_is_positive_finite_and_never_falls_with_disagreement(kind, folds, samples, seed, with_networks):
    replicates, networks, _ = noisy(kind, folds, samples, seed)
    unseen = np.arange(folds)[:, None] == np.arange(samples)[None] % folds
    spread = AnswerSpread.fit(kind, replicates, networks if with_networks else None, unseen, 1e9)
    apart = np.sort(np.abs(np.random.default_rng(seed).standard_cauchy((50, 1))), axis=0)
    found = spread(apart)[:, 0]
    assert np.isfinite(found).all()
    assert (found > 0).all()
    assert (np.diff(found) >= 0).all()
    assert AnswerSpread.from_state(json.loads(json.dumps(spread.state()))) == spread


@given(st.floats(1e-3, 1e4), st.integers(0, 1000))
def test_the_spread_of_a_number_has_its_unit(factor, seed):
    replicates, networks, _ = noisy("regression", 4, 200, seed)
    found = []
    for scale in (1.0, factor):
        own = networks * scale
        spread = AnswerSpread.fit("regression", replicates * scale, own, all_seen(4, 200), 1e9)
        found.append(spread(disagreement("regression", own)))
    np.testing.assert_allclose(found[1], factor * found[0], rtol=1e-2)


def test_a_sample_is_judged_by_the_folds_that_have_seen_it():
    """The replicate without the sample is far off; with two folds there is no other to judge by."""
    rng = np.random.default_rng(0)
    replicates = 0.1 * rng.standard_normal((5, 1000, 1))
    unseen = np.arange(5)[:, None] == np.arange(1000)[None] % 5
    replicates[unseen] += 100
    seen = AnswerSpread.fit("regression", replicates, None, unseen, 1e9)(np.zeros((1, 1)))[0, 0]
    assert seen < 0.3
    assert AnswerSpread.fit("regression", replicates[:2], None, unseen[:2], 1e9)(np.zeros((1, 1)))[0, 0] > 1


def test_replicates_that_do_not_differ_have_a_tiny_spread():
    same = np.full((3, 40, 2), 0.3)
    spread = AnswerSpread.fit("binary", same, same, all_seen(3, 40), 1e9)
    assert (spread(disagreement("binary", same)) < 1e-3).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_scale_can_be_inverted(kind: TaskKind):
    answers = np.array([0.001, 0.2, 0.999])
    np.testing.assert_allclose(from_scale(kind, to_scale(kind, answers)), answers)


def test_one_network_does_not_disagree():
    assert (disagreement("binary", np.full((1, 3, 2), 0.4)) == 0).all()


def test_the_interval_is_wider_where_outcomes_are_few():
    replicates, networks, _ = noisy("multilabel", 4, 200, 0)
    both = np.concatenate([replicates] * 3, axis=2), np.concatenate([networks] * 3, axis=2)
    spread = AnswerSpread.fit("multilabel", *both, all_seen(4, 200), np.array([0, 60, 1e6]))
    assert spread.quantile == pytest.approx((2.776, 2.447, 1.96), abs=1e-3)
    reach = spread.reach(np.ones((1, 3)), np.zeros((1, 3)))
    np.testing.assert_allclose(reach, np.array(spread.quantile) * spread(np.ones((1, 3))))
    more = spread.reach(np.ones((1, 3)), np.full((1, 3), 0.7))
    np.testing.assert_allclose(more, np.sqrt(reach**2 + (0.7 * np.array(spread.quantile)) ** 2))

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.metrics import r2_score

from polyclinic.evaluation import sample_size as module
from polyclinic.evaluation.sample_size import (
    Labelled,
    SampleSize,
    cox_snell,
    cox_snell_of_bins,
    explained,
    sample_size,
    samples_for,
    samples_for_number,
    shrinkage,
    shrinkage_of_number,
)


def labelled(truth, answers, **others):
    return Labelled(np.asarray(truth, float), np.asarray(answers, float), np.arange(len(truth)), **others)


def test_the_published_examples():
    assert doctest.testmod(module) == (0, 2)


@given(st.integers(50, 100_000), st.integers(1, 500), st.floats(0.02, 0.6))
def test_the_expected_shrinkage_satisfies_the_criterion(n, predictors, r2):
    s = shrinkage(n, predictors, r2)
    assert r2 <= s < 1
    if s > r2 * 1.001:
        assert predictors / ((s - 1) * np.log(1 - r2 / s)) == pytest.approx(n, rel=1e-3)


@given(st.integers(1, 100), st.floats(0.02, 0.6))
def test_the_needed_samples_reach_the_advised_shrinkage(predictors, r2):
    n = samples_for(predictors, r2)
    assert shrinkage(n + 1, predictors, r2) >= 0.8999
    assert shrinkage(max(n - 2, 1), predictors, r2) <= 0.9001 or n < 50


@given(st.integers(3, 300), st.floats(0.01, 0.95))
def test_the_needed_samples_of_a_number_are_the_fewest(predictors, r2):
    n = samples_for_number(predictors, r2)
    assert shrinkage_of_number(n, predictors, r2) >= 0.9
    assert shrinkage_of_number(n - 1, predictors, r2) < 0.9 or n == predictors + 3


def test_r2_is_that_of_the_likelihoods():
    draw = np.random.default_rng(0)
    score = draw.normal(size=4000)
    truth = draw.random(4000) < expit(score)
    model = np.log(np.where(truth, expit(score), 1 - expit(score))).sum()
    null = np.log(np.where(truth, truth.mean(), 1 - truth.mean())).sum()
    assert cox_snell(truth, expit(score)) == pytest.approx(1 - np.exp(2 * (null - model) / 4000))
    assert cox_snell(truth, np.full(4000, truth.mean())) == pytest.approx(0)


def test_r2_of_a_number_is_that_of_scikit_learn():
    draw = np.random.default_rng(0)
    truth = draw.normal(size=500)
    predicted = truth + draw.normal(size=500)
    assert explained(truth, predicted) == pytest.approx(r2_score(truth, predicted))
    assert explained(np.ones(9), np.zeros(9)) == 0


def lifetimes(n=600, seed=0):
    """Return durations and events of samples with hazards of their own, and their risks by the ends of three bins."""
    draw = np.random.default_rng(seed)
    rate = np.exp(draw.normal(size=n))
    until, lost = draw.exponential(1 / rate), draw.exponential(1.5, n)
    ends = (0.3, 0.8, 2.0)
    return np.column_stack([np.minimum(until, lost), until <= lost]), 1 - np.exp(-np.outer(rate, ends)), ends


def test_r2_of_bins_is_that_of_the_periods_of_each_person():
    truth, risks, ends = lifetimes()
    rows = []  # of each bin that a person survives, or in which the event occurs: bin, event, hazard
    for (duration, event), risk in zip(truth, risks, strict=True):
        start, before = 0.0, 0.0
        for place, (end, own) in enumerate(zip(ends, risk, strict=True)):
            hazard = (own - before) / (1 - before)
            if event and start < duration <= end:
                rows.append((place, 1, hazard))
            elif duration >= end:
                rows.append((place, 0, hazard))
            start, before = end, own
    places, events, hazards = map(np.array, zip(*rows, strict=True))
    common = np.array([events[places == place].mean() for place in range(3)])[places]
    gain = sum(np.log(np.where(events == 1, h, 1 - h)).sum() * sign for h, sign in ((hazards, 1), (common, -1)))
    assert cox_snell_of_bins(truth, risks, ends) == pytest.approx(1 - np.exp(-2 * gain / len(truth)))
    assert cox_snell_of_bins(truth, risks, ends) > 0.1
    by_bin = 1 - np.cumprod([1 - events[places == place].mean() for place in range(3)])
    assert cox_snell_of_bins(truth, np.tile(by_bin, (600, 1)), ends) == pytest.approx(0)


def test_a_single_bin_without_censoring_is_yes_or_no():
    draw = np.random.default_rng(0)
    p = draw.random(300)
    event = draw.random(300) < p
    truth = np.column_stack([np.where(event, 0.5, 1.0), event])
    assert cox_snell_of_bins(truth, p[:, None], (1.0,)) == pytest.approx(cox_snell(event, p))


def test_answers_without_information_have_no_shrinkage():
    truth = np.repeat([0.0, 1.0], 50)[:, None]
    found = sample_size("binary", labelled(truth, np.full((100, 1), 0.5)), 10)
    assert (found.shrinkage, found.needed, found.events, found.events_per_predictor) == (None, None, 50, 5)
    assert "no better than a constant" in str(found)
    assert SampleSize.from_dict(found.to_dict()) == found


def test_events_of_few_subjects_are_not_told():
    truth = np.repeat([1.0, 0.0], [30, 70])[:, None]
    few = np.r_[np.repeat([1, 2, 3], 10), np.arange(10, 80)]
    found = sample_size("binary", Labelled(truth, np.full((100, 1), 0.5), few), 10)
    assert (found.events, found.events_per_predictor, found.hidden) == (None, None, True)
    assert "fewer than 5 subjects of the rarer outcome" in str(found)
    assert sample_size("binary", labelled(truth, np.full((100, 1), 0.5)), 10).events == 30


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_of_several_classes_that_with_the_least_shrinkage_is_told(kind):
    draw = np.random.default_rng(0)
    y = draw.choice(3, 900, p=[0.6, 0.3, 0.1])
    answers = np.full((900, 3), 0.1) + 0.7 * np.eye(3)[np.where(draw.random(900) < 0.8, y, 0)]
    found = sample_size(kind, labelled(np.eye(3)[y], answers, names=("a", "b", "c")), 40)
    each = {
        name: sample_size("binary", labelled(np.eye(3)[y][:, [n]], answers[:, [n]]), 40) for n, name in enumerate("abc")
    }
    assert found.outcome == min(each, key=lambda name: each[name].shrinkage)
    own = each[found.outcome]
    assert (found.events, found.r2, found.shrinkage, found.needed) == (own.events, own.r2, own.shrinkage, own.needed)
    assert f"of {found.outcome}" in str(found)
    blind = np.c_[answers[:, :2], np.full(900, 0.1)]
    worst = sample_size(kind, labelled(np.eye(3)[y], blind, names=("a", "b", "c")), 40)
    assert worst.outcome == "c"
    assert worst.shrinkage is None or worst.shrinkage < own.shrinkage


def test_numbers_and_times_have_criteria_of_their_own():
    draw = np.random.default_rng(0)
    y = draw.normal(size=(400, 1))
    found = sample_size("regression", labelled(y, y + draw.normal(size=(400, 1)) / 2), 20)
    assert (found.events, found.needed) == (None, samples_for_number(20, found.r2))
    assert found.shrinkage == shrinkage_of_number(400, 20, found.r2)
    assert "part I:" in found.method
    truth, risks, ends = lifetimes()
    found = sample_size("time_to_event", labelled(truth, risks, ends=ends), 20)
    assert found.events == truth[:, 1].sum()
    assert f"{found.events} with the event" in str(found)
    assert found.needed == samples_for(20, cox_snell_of_bins(truth, risks, ends))

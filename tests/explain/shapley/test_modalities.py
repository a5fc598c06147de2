"""Shapley values of modalities are efficient, symmetric, and 0 for dummy players."""

from itertools import permutations

import numpy as np
import pytest

from polyclinic.explain.sample import ExplanationError, output_of, outputs_of
from polyclinic.explain.shapley.modalities import (
    coalition_values,
    cohort_shapley,
    modality_shapley,
    modality_shapley_of_each,
    shapley_values,
)
from polyclinic.models.ensemble.link_functions import log_odds
from polyclinic.models.network.modality_dropout import subsets
from polyclinic.tasks import number_samples
from tests.explain.conftest import empty, without
from tests.hospital import times_of

TASK = "demo_deterioration"


def game(players, worth):
    return {frozenset(s): np.asarray(worth(frozenset(s)), dtype=float) for s in [(), *subsets(players)]}


def by_orders(v, players):
    """The definition: the mean marginal contribution of a player over all orders."""
    orders = list(permutations(players))
    added = dict.fromkeys(players, 0.0)
    for order in orders:
        for place, player in enumerate(order):
            added[player] += float(v[frozenset(order[: place + 1])] - v[frozenset(order[:place])]) / len(orders)
    return [added[player] for player in players]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_shapley_values_are_the_mean_over_all_orders(count):
    players, draw = "abcd"[:count], np.random.default_rng(count)
    v = game(players, lambda subset: draw.normal())
    values = shapley_values(v, players)
    np.testing.assert_allclose(values, by_orders(v, players), atol=1e-12)
    assert values.sum() == pytest.approx(float(v[frozenset(players)] - v[frozenset()]), abs=1e-12)


def test_symmetric_players_are_equal_and_a_dummy_gets_its_own_value():
    values = shapley_values(game("abcd", lambda s: len(s & {"a", "b"}) ** 2 + 3 * ("c" in s)), "abcd")
    assert values[0] == values[1] == pytest.approx(2)
    assert values[2] == pytest.approx(3)
    assert values[3] == pytest.approx(0)


def test_several_games_are_independent():
    draw = np.random.default_rng(0)
    v = game("abc", lambda s: draw.normal(size=5))
    alone = [shapley_values({s: worth[k] for s, worth in v.items()}, "abc") for k in range(5)]
    np.testing.assert_allclose(shapley_values(v, "abc"), alone)


@pytest.mark.parametrize("number", range(6))
def test_values_sum_to_the_answer_minus_that_without_input(bundle, sample_of, number):
    sample = sample_of(bundle, number)
    found = modality_shapley(bundle, sample, TASK)
    answer = bundle.ensemble.answer(sample.arrays)[TASK].answers[0, 0]
    nothing = bundle.ensemble.answer(empty(sample).arrays)[TASK].answers[0, 0]
    assert found.modalities == sample.present
    assert found.answer.whole == pytest.approx(answer, abs=1e-6)
    assert found.answer.nothing == pytest.approx(nothing, abs=1e-6)
    for shares in (found.answer, found.log_odds):
        assert abs(shares.residual) < 1e-5
        assert shares.values.sum() == pytest.approx(shares.whole - shares.nothing, abs=1e-5)
    assert found.log_odds.whole == pytest.approx(float(log_odds(np.array(answer))), abs=1e-5)
    assert list(found.by_modality) == list(sample.present)


def test_values_match_predictions_subset_by_subset(bundle, with_inputs):
    sample = with_inputs()
    values = {
        frozenset(s): bundle.ensemble.answer(without(sample, *(set(sample.present) - set(s))).arrays)[TASK].answers[
            0, 0
        ]
        for s in [(), *subsets(sample.present)]
    }
    expected = by_orders(values, sample.present)
    np.testing.assert_allclose(modality_shapley(bundle, sample, TASK).answer.values, expected, atol=1e-6)


def test_an_absent_modality_gets_zero(bundle, with_inputs):
    sample = without(with_inputs(), "note", "image")
    output = output_of(bundle, TASK)
    v = coalition_values(bundle.ensemble, sample.arrays, np.zeros(1, dtype=int), output, bundle.inputs)
    values = dict(zip(bundle.inputs, shapley_values(v, bundle.inputs)[0], strict=True))
    assert values["note"] == values["image"] == 0
    found = modality_shapley(bundle, sample, TASK)
    assert found.modalities == ("structured", "series")
    np.testing.assert_allclose(found.answer.values, [values["structured"], values["series"]], atol=1e-6)
    only = modality_shapley(bundle, without(with_inputs(), "structured", "series", "image"), TASK)
    assert only.answer.values[0] == pytest.approx(only.answer.whole - only.answer.nothing)


def test_regressions_have_no_log_odds(every_kind, sample_of):
    bundle = every_kind.bundle()
    sample = sample_of(bundle, 0)
    assert modality_shapley(bundle, sample, "demo_stay").log_odds is None
    for task, name in (("demo_diagnosis", bundle.task("demo_diagnosis").outputs[1]), ("demo_survival", None)):
        if name is None:
            ends = bundle.ensemble.bins(task)
            name = f"by {ends[1]:g} {bundle.task(task).target.unit}"
        found = modality_shapley(bundle, sample, task, name)
        assert found.output.name == name
        assert abs(found.answer.residual) < 1e-5
        assert abs(found.log_odds.residual) < 1e-5


def test_a_sample_without_input_is_rejected(bundle, with_inputs):
    with pytest.raises(ExplanationError, match="nothing is known"):
        modality_shapley(bundle, empty(with_inputs()), TASK)


def test_cohort_values_are_averaged_over_samples_with_the_modality(bundle, hospital, sample_of):
    samples = number_samples(times_of(hospital))[:24]
    weights = cohort_shapley(bundle, hospital, samples, TASK, resamples=200)
    alone = [modality_shapley(bundle, sample_of(bundle, number), TASK).by_modality for number in range(24)]
    assert {one.modality for one in weights} == set(bundle.inputs)
    assert [one.size.value for one in weights] == sorted((one.size.value for one in weights), reverse=True)
    for one in weights:
        values = [shares[one.modality] for shares in alone if one.modality in shares]
        assert one.mean.n == one.size.n == len(values)
        assert one.mean.value == pytest.approx(np.mean(values), abs=1e-5)
        assert one.size.value == pytest.approx(np.mean(np.abs(values)), abs=1e-5)
        assert one.size.low <= one.size.value <= one.size.high


def test_each_subset_is_predicted_once_for_several_outputs(every_kind, sample_of, monkeypatch):
    several = every_kind.bundle()
    sample = next(one for one in (sample_of(several, n) for n in range(24)) if one.present == several.inputs)
    outputs = tuple(outputs_of(several, task.name)[-1] for task in several.tasks)
    alone = [modality_shapley(several, sample, output.task, output.name) for output in outputs]
    calls = []
    answer = type(several.ensemble).answer
    monkeypatch.setattr(type(several.ensemble), "answer", lambda self, arrays: calls.append(1) or answer(self, arrays))
    together = modality_shapley_of_each(several.ensemble, sample, outputs)
    assert len(calls) == 1
    for one, other in zip(together, alone, strict=True):
        assert one.output == other.output
        np.testing.assert_allclose(one.answer.values, other.answer.values, atol=1e-9)
        assert (one.log_odds is None) == (other.log_odds is None)

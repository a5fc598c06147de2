"""Ensembles."""

import numpy as np
import pytest

from polyclinic.models.ensemble.calibration import Calibrator
from polyclinic.models.ensemble.ensemble import NETWORK, TaskEnsemble
from polyclinic.models.ensemble.members import MemberPrediction, presence_of
from polyclinic.models.ensemble.network_outputs import (
    average_network_predictions,
    predict_each_network,
    predict_from_subsets,
)
from polyclinic.models.network.modality_dropout import keeping, subsets
from polyclinic.tasks import number_samples
from tests.hospital import times_of

TASK = "demo_deterioration"


@pytest.fixture(scope="module")
def ensemble(trained):
    return trained.bundle().ensemble


@pytest.fixture(scope="module")
def arrays(trained, hospital):
    return trained.bundle().arrays(hospital, number_samples(times_of(hospital)))


def test_networks_are_averaged(ensemble, arrays):
    averaged = average_network_predictions(ensemble.networks, arrays)[TASK].answers
    each = [average_network_predictions([network], arrays)[TASK].answers for network in ensemble.networks]
    assert len(each) == 2
    assert np.abs(each[0] - each[1]).max() > 1e-3
    assert averaged == pytest.approx(np.mean(each, axis=0), abs=1e-6)


def test_predictions_do_not_depend_on_batching(ensemble, arrays):
    few = average_network_predictions(ensemble.networks, arrays)[TASK].answers
    rows = np.tile(np.arange(len(few)), 5)
    many = {
        modality: {name: array[rows] for name, array in one.items() if name != "tfidf"}
        for modality, one in arrays.items()
    }
    assert average_network_predictions(ensemble.networks, many)[TASK].answers == pytest.approx(few[rows], abs=1e-6)


@pytest.mark.parametrize("samples", [3, 40])
def test_predictions_from_subsets_equal_those_of_restricted_samples(ensemble, arrays, samples):
    """For few samples, which stacked networks predict, and for many."""
    few = {m: {name: array[:samples] for name, array in own.items() if name != "tfidf"} for m, own in arrays.items()}
    few["note"]["tfidf"] = arrays["note"]["tfidf"][:samples]
    chosen = list(subsets(tuple(arrays)))
    together = ensemble.answer_from_subsets(few, chosen)
    assert list(together) == chosen
    for given in chosen:
        alone = ensemble.answer(keeping(few, given))[TASK]
        np.testing.assert_array_equal(together[given][TASK].answers, alone.answers)
        assert together[given][TASK].members.keys() == alone.members.keys()


def test_networks_predict_rows_from_subsets_as_from_restricted_samples(ensemble, arrays):
    rows, chosen = np.arange(1, len(arrays["note"]["present"]), 3), list(subsets(tuple(arrays)))
    together = predict_from_subsets(ensemble.networks, arrays, chosen, rows=rows)
    for given in chosen:
        alone = predict_each_network(ensemble.networks, keeping(arrays, given), rows=rows)
        np.testing.assert_array_equal(together[given].answers[TASK], alone.answers[TASK])
        np.testing.assert_array_equal(together[given].latents, alone.latents)
        np.testing.assert_array_equal(together[given].able, alone.able)


def test_zero_weight_members_predict_only_if_requested(ensemble, arrays):
    all_of_them, needed = (ensemble.answer(arrays, every_member=every)[TASK] for every in (True, False))
    assert {NETWORK, "gradient_boosting", "logistic_regression", "logistic_regression:image"} <= set(
        all_of_them.members
    )
    combination, present = ensemble.tasks[TASK].combination, presence_of(arrays)
    found = {tuple(name for name, has in present.items() if has[row]) for row in range(len(present["note"]))}
    stackers = [combination.stackers[subset] for subset in found if subset]
    nonzero_members = {name for stacker in stackers for name, weight in stacker.weights.items() if weight > 0}
    assert set(needed.members) - {NETWORK} == nonzero_members - {NETWORK}
    assert needed.answers == pytest.approx(all_of_them.answers, abs=1e-12)


def test_members_are_able_where_their_inputs_are_present(ensemble, arrays):
    members = ensemble.answer(arrays, every_member=True)[TASK].members
    for modality in ("structured", "note", "image"):
        assert (members[f"logistic_regression:{modality}"].able == arrays[modality]["present"]).all()
    anything = np.any([one["present"] for one in arrays.values()], axis=0)
    assert (members["gradient_boosting"].able == anything).all()
    assert (members[NETWORK].able == anything).all()


def test_without_a_combination_the_network_is_calibrated():
    predicted = np.array([[0.2], [0.8]])
    network = {
        NETWORK: MemberPrediction(predicted, np.array([True, True])),
        "other": MemberPrediction(1 - predicted, np.array([True, True])),
    }
    present = {"note": np.array([True, True])}
    assert TaskEnsemble("binary").combine(network, present).tolist() == predicted.tolist()
    target = (np.random.default_rng(0).random((400, 1)) < 0.9).astype(float)
    calibrator = Calibrator.fit(
        "binary", answers=np.full((400, 1), 0.5), targets=target, observed=np.ones(400, bool), method="platt"
    )
    calibrated = TaskEnsemble("binary", calibrator=calibrator).combine(
        {NETWORK: MemberPrediction(np.array([[0.5]]), np.array([True]))}, {"note": np.array([True])}
    )
    assert calibrated[0, 0] == pytest.approx(target.mean(), abs=0.02)


def test_bins_are_those_of_the_network(every_kind, ensemble):
    assert len(every_kind.bundle().ensemble.bins("demo_survival")) >= 1
    assert type(ensemble)([], {}).bins("demo_survival") == ()

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.study import Network
from polyclinic.training.network import epochs
from polyclinic.training.network.epochs import best_epoch, network_of_other_folds, validation_losses
from polyclinic.training.network.trainer import EPOCHS, Rows, fit_network

OPTIONS = Network(epochs=5, patience=5, batch_size=32, learning_rate=0.01)
FOLDS = [Rows(np.arange(40, 120), np.arange(40)), Rows(np.arange(80), np.arange(80, 120))]


@pytest.fixture(scope="module")
def folder(config, examples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fits")
    for number, rows in enumerate(FOLDS):
        fit_network(config, examples, rows, OPTIONS, seed=number, folder=folder / str(number))
    return folder


def folders(folder):
    return [folder / str(number) / EPOCHS for number in range(len(FOLDS))]


def refitted(config, examples, folder, number):
    """Load the finished network of a fold."""
    return fit_network(config, examples, FOLDS[number], OPTIONS, seed=number, folder=folder / str(number))


def test_every_epoch_has_its_loss(folder):
    assert [len(validation_losses(one)) for one in folders(folder)] == [OPTIONS.epochs] * 2
    assert validation_losses(folder / "none") == []


def test_a_fold_is_predicted_at_the_epoch_that_the_others_chose(config, examples, folder):
    losses = [validation_losses(one) for one in folders(folder)]
    for number in (0, 1):
        network = refitted(config, examples, folder, number)
        other = network_of_other_folds(network, config, number, folders(folder))
        chosen = best_epoch([losses[1 - number]])
        assert (other is network) == (chosen == np.argmin(losses[number]))
        assert other.training is False


def test_the_own_fold_has_no_influence(config, examples, folder, monkeypatch):
    """Whatever the losses on the own fold, the same epoch is taken."""
    network, real, taken = refitted(config, examples, folder, 0), validation_losses, []
    monkeypatch.setattr(epochs, "load_model", lambda model, file: taken.append(file.name))
    others = [1.0, 0.9, 0.2, 0.8, 0.9]
    for best in range(OPTIONS.epochs):
        own = [float(epoch != best) for epoch in range(OPTIONS.epochs)]
        monkeypatch.setattr(
            epochs, "validation_losses", lambda one, own=own: own if one == folders(folder)[0] else others
        )
        network_of_other_folds(network, config, 0, folders(folder))
    assert real(folders(folder)[0])
    assert taken == ["epoch2.safetensors"] * (OPTIONS.epochs - 1)  # once it is the own best, and already loaded


def test_networks_too_large_to_keep_are_used_as_they_are(config, examples, tmp_path, monkeypatch):
    monkeypatch.setattr(epochs, "MOST_BYTES", 1)
    network = fit_network(config, examples, FOLDS[0], OPTIONS, seed=0, folder=tmp_path / "0")
    assert not (tmp_path / "0" / EPOCHS).exists()
    assert network_of_other_folds(network, config, 0, [tmp_path / "0" / EPOCHS, tmp_path / "1" / EPOCHS]) is network


def test_keeping_epochs_does_not_change_the_fit(config, examples, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(epochs, "MOST_BYTES", 1)
    alone = fit_network(config, examples, FOLDS[0], OPTIONS, seed=0, folder=tmp_path / "0")
    kept = refitted(config, examples, folder, 0)
    for name, tensor in alone.state_dict().items():
        assert torch.equal(tensor, kept.state_dict()[name]), name


@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=9), min_size=1, max_size=4))
def test_the_best_epoch_was_reached_by_all(losses):
    epoch = best_epoch(losses)
    reached = min(map(len, losses))
    means = [np.mean([one[place] for one in losses]) for place in range(reached)]
    assert epoch < reached
    assert means[epoch] == min(means)

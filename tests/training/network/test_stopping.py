"""A resumed fit gives the same result as an uninterrupted one, however it was stopped."""

import shutil

import numpy as np
import pytest
import torch

from polyclinic.study import Network
from polyclinic.training.network import trainer as network
from polyclinic.training.network.trainer import FINISHED, Rows, fit_network

ROWS = Rows(np.arange(90), np.arange(90, 120))
OPTIONS = Network(epochs=30, patience=2, batch_size=32, learning_rate=0.002)


class StoppedError(Exception):
    pass


class StopAfter:
    """A progress that raises `StoppedError` after some epochs."""

    def __init__(self, epochs):
        self.left = epochs

    def task(self, description, total=None):
        return self

    def __enter__(self):
        return self.advance

    def __exit__(self, *error):
        return None

    def advance(self, steps):
        self.left -= 1
        if not self.left:
            raise StoppedError


def logged(folder):
    """Return the epochs in the logs."""
    logs = sorted(folder.glob("log/version_*/metrics.csv"))
    return [line.split(",")[0] for log in logs for line in log.read_text().splitlines()[1:]]


def assert_same(these, those):
    for name, tensor in these.state_dict().items():
        assert torch.equal(tensor, those.state_dict()[name]), name


@pytest.fixture
def eager(monkeypatch):
    """Write a checkpoint at every epoch."""
    monkeypatch.setattr(network, "CHECKPOINT_INTERVAL_S", 0)


@pytest.fixture(scope="module")
def whole(config, examples, tmp_path_factory):
    """A fit that stopped early, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "CHECKPOINT_INTERVAL_S", 0)
        model = fit_network(config, examples, ROWS, OPTIONS, seed=0, folder=folder)
    assert 8 < len(logged(folder)) < OPTIONS.epochs
    return model, folder


def test_a_fit_resumed_after_an_epoch_gives_the_same_result(whole, eager, config, examples, tmp_path):
    model, folder = whole
    for epochs in (1, 4, 7, len(logged(folder))):
        part = tmp_path / str(epochs)
        with pytest.raises(StoppedError):
            fit_network(config, examples, ROWS, OPTIONS, seed=0, folder=part, progress=StopAfter(epochs))
        assert_same(model, fit_network(config, examples, ROWS, OPTIONS, seed=0, folder=part))
        assert logged(part) == logged(folder), "each epoch ran once"


def test_a_fit_resumed_after_early_stopping_does_not_train_further(whole, eager, config, examples, tmp_path):
    model, folder = whole[0], shutil.copytree(whole[1], tmp_path / "whole")
    before = logged(folder)
    (folder / FINISHED).unlink()
    assert_same(model, fit_network(config, examples, ROWS, OPTIONS, seed=0, folder=folder))
    assert logged(folder) == before


def test_a_fit_resumed_from_an_older_checkpoint_gives_the_same_result(whole, monkeypatch, config, examples, tmp_path):
    model, _ = whole
    monkeypatch.setattr(network, "CHECKPOINT_INTERVAL_S", 3600)
    with pytest.raises(StoppedError):
        fit_network(config, examples, ROWS, OPTIONS, seed=0, folder=tmp_path / "part", progress=StopAfter(4))
    assert_same(model, fit_network(config, examples, ROWS, OPTIONS, seed=0, folder=tmp_path / "part"))
    assert logged(tmp_path / "part")[:5] == ["0", "1", "2", "3", "1"], "resumed after the first epoch"


def test_a_fit_resumed_in_another_folder_gives_the_same_result(whole, eager, config, examples, tmp_path):
    model, folder = whole
    stop = StopAfter(len(logged(folder)) - 1)
    with pytest.raises(StoppedError):
        fit_network(config, examples, ROWS, OPTIONS, seed=0, folder=tmp_path / "part", progress=stop)
    shutil.move(tmp_path / "part", tmp_path / "moved")
    assert_same(model, fit_network(config, examples, ROWS, OPTIONS, seed=0, folder=tmp_path / "moved"))


def test_nonfinite_weights_stop_the_fit(eager, config, examples, tmp_path):
    options = OPTIONS.model_copy(update={"learning_rate": 1e30, "gradient_clip": 1e30})
    fit_network(config, examples, ROWS, options, seed=0, folder=tmp_path)
    assert len(logged(tmp_path)) < 5

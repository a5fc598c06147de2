import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from polyclinic.study import Network
from polyclinic.training.data.dataset import Batches
from polyclinic.training.network.trainer import LOG, Rows, fit_network

OPTIONS = Network(epochs=3, batch_size=32)
ROWS = Rows(np.arange(90), np.arange(90, 120))


def weights(model):
    return torch.cat([tensor.flatten().float() for tensor in model.state_dict().values()])


def test_the_seed_determines_the_weights(config, examples, tmp_path):
    fits = [
        fit_network(config, examples, ROWS, OPTIONS, seed=seed, folder=tmp_path / name)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    first, again, other = map(weights, fits)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_learns_a_separable_outcome(config, examples, tmp_path):
    rows = Rows(np.arange(120), np.arange(120))
    model = fit_network(
        config,
        examples,
        rows,
        Network(epochs=60, patience=60, batch_size=32, learning_rate=3e-3),
        seed=0,
        folder=tmp_path,
    )
    with torch.no_grad():
        outputs = model(examples.labelled(rows.training).batch)
    died = examples.targets["died"].values[:, 0].astype(bool)
    complete = examples.arrays["structured"]["present"] & examples.arrays["note"]["present"]
    score = outputs.logits["died"][:, 0].numpy()
    better = score[complete & died][:, None] > score[complete & ~died][None, :]
    assert better.mean() > 0.85


def test_a_finished_fit_is_loaded(config, examples, tmp_path):
    first = fit_network(config, examples, ROWS, OPTIONS, seed=1, folder=tmp_path)
    (tmp_path / "last.ckpt").unlink()
    started = time.perf_counter()
    again = fit_network(config, examples, ROWS, OPTIONS, seed=1, folder=tmp_path)
    assert torch.equal(weights(first), weights(again))
    assert not (tmp_path / "last.ckpt").exists(), f"it was fitted again, in {time.perf_counter() - started:.1f} s"


SCRIPT = """
    import sys
    from pathlib import Path
    import numpy as np
    sys.path.insert(0, {root!r})
    from tests.training.conftest import config, examples
    from polyclinic.training.network.trainer import Rows, fit_network
    from polyclinic.study import Network
    fit_network(
        config.__wrapped__(), examples.__wrapped__(), Rows(np.arange(90), np.arange(90, 120)),
        Network(epochs=300, patience=300, batch_size=8), seed=1, folder=Path({folder!r}),
    )
"""


@pytest.mark.slow
def test_a_killed_fit_is_resumed_with_the_same_result(config, examples, tmp_path):
    options = Network(epochs=12, patience=12, batch_size=8)
    whole = fit_network(config, examples, ROWS, options, seed=1, folder=tmp_path / "whole")
    script = SCRIPT.format(root=str(Path(__file__).parents[3]), folder=str(tmp_path / "killed"))
    script = textwrap.dedent(script).replace("epochs=300, patience=300", "epochs=12, patience=12")
    process = subprocess.Popen([sys.executable, "-c", script])
    last = tmp_path / "killed" / "last.ckpt"
    deadline = time.monotonic() + 300
    while not last.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert last.exists()
    assert not (tmp_path / "killed" / "network.safetensors").exists()
    resumed = fit_network(config, examples, ROWS, options, seed=1, folder=tmp_path / "killed")
    assert torch.equal(weights(whole), weights(resumed))


@pytest.mark.parametrize("logger", ["csv", "mlflow", "tensorboard"])
def test_logs_are_written_only_to_the_folder_of_the_fit(logger, config, examples, tmp_path, monkeypatch):
    if logger != "csv":
        pytest.importorskip(logger)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    fit_network(config, examples, ROWS, OPTIONS, seed=1, folder=tmp_path / "study" / "fold0", logger=logger)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    files = [path for path in (tmp_path / "study" / "fold0" / LOG).rglob("*") if path.is_file()]
    assert any("validation_loss" in path.name or b"validation_loss" in path.read_bytes() for path in files)


def test_batches_cover_each_row_once_and_differ_by_epoch(examples):
    batches = Batches(examples, np.arange(100, 120), 6, shuffle_seed=3)
    seen = [labelled.values["stay"] for labelled in batches]
    assert sum(map(len, seen)) == 20
    again = torch.cat([labelled.values["stay"] for labelled in batches])
    assert torch.equal(torch.cat(seen), again)
    batches.epoch = 1
    other = torch.cat([labelled.values["stay"] for labelled in batches])
    assert not torch.equal(again, other)
    assert torch.equal(again.sort(dim=0).values, other.sort(dim=0).values)


def test_a_last_batch_of_one_sample_is_left_out_of_training_only(examples):
    shuffled = Batches(examples, np.arange(13), 6, shuffle_seed=0)
    assert [len(labelled.batch) for labelled in shuffled] == [6, 6]
    assert [len(labelled.batch) for labelled in Batches(examples, np.arange(13), 6)] == [6, 6, 1]

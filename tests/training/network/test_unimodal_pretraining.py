"""Encoders that learn alone first: what they learn, what they leave alone, and that chance decides nothing."""

import numpy as np
import pytest
import torch

from polyclinic.models import UnifiedModel
from polyclinic.study import Network
from polyclinic.tasks import Targets
from polyclinic.training.data.dataset import Examples
from polyclinic.training.network import unimodal_pretraining as alone
from polyclinic.training.network.trainer import start_heads
from polyclinic.training.network.unimodal_pretraining import pretrain_unimodal
from tests.models.inputs import encoder_config, inputs, model_config

SAMPLES, LEARNT = 240, 180
OPTIONS = Network(batch_size=16)


@pytest.fixture(scope="module")
def examples():
    """Samples whose pictures, and nothing else, show in one of their cells whether they died."""
    arrays = {
        modality: {name: tensor.numpy() for name, tensor in tensors.items()} | {"present": np.ones(SAMPLES, dtype=bool)}
        for modality, tensors in inputs(SAMPLES).items()
    }
    generator = np.random.default_rng(0)
    died = generator.random(SAMPLES) < 0.5
    image = arrays["image"]
    image["tokens"] = 0.3 * image["tokens"]
    image["tokens"][np.flatnonzero(died), 0, generator.integers(0, 4, died.sum()), 2] = 8
    image["present"][::7] = False
    everyone = np.ones(SAMPLES, dtype=bool)
    return Examples(arrays, {"died": Targets(died[:, None].astype(float), everyone)}, np.arange(SAMPLES))


def model(examples, note="minilm", **changes):
    """Give a model whose pictures, and also whose notes where they are words, learn alone."""
    torch.manual_seed(0)
    every = model_config()
    encoders = every.encoders | {"note": encoder_config("note", note)}
    made = UnifiedModel(model_config(heads={"died": every.heads["died"]}, encoders=encoders, **changes))
    start_heads(made, examples, np.arange(SAMPLES))
    return made


def taught(examples, **changes):
    made = model(examples, **changes)
    pretrain_unimodal(made, examples, np.arange(LEARNT), np.arange(LEARNT, SAMPLES), OPTIONS, seed=3)
    return made


def loss_of(made, examples):
    made.eval()
    rows = np.flatnonzero(examples.arrays["image"]["present"])[LEARNT:]
    with torch.no_grad():
        labelled = examples.labelled(rows)
        said = made.alone("image", labelled.batch)["died"]
    return float(torch.nn.functional.binary_cross_entropy_with_logits(said, labelled.values["died"]))


def test_it_learns_what_its_modality_shows(examples):
    before, after = loss_of(model(examples), examples), loss_of(taught(examples), examples)
    assert after < 0.7 * before


def test_other_encoders_the_fusion_and_other_voices_stay(examples):
    before, after = model(examples).state_dict(), taught(examples).state_dict()
    place = model_config().modalities.index("image")
    others = [
        name
        for name in before
        if not name.startswith(("encoders.image.", "unimodal_heads.weights", "unimodal_heads.biases"))
        and name != f"unimodal_heads.pools.{place}.score"
    ]
    assert all(torch.equal(before[name], after[name]) for name in others)
    weights = "unimodal_heads.weights.died"
    kept = [number for number in range(4) if number != place]
    assert torch.equal(before[weights][kept], after[weights][kept])
    assert not torch.equal(before[weights][place], after[weights][place])


def test_each_that_learns_alone_learns(examples):
    before, after = model(examples, "bag_of_words").state_dict(), taught(examples, note="bag_of_words").state_dict()
    learnt = {name.split(".")[1] for name in before if name.startswith("encoders.")
              and not torch.equal(before[name], after[name])}  # fmt: skip
    assert learnt == {"note", "image"}


def test_the_seed_alone_decides(examples):
    one = taught(examples)
    torch.rand(7)
    other = taught(examples)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_nothing_is_learnt_without_voices_or_without_anyone_to_learn_from(examples):
    for rows, changes in ((np.arange(LEARNT), {"shortcut": False}), (np.arange(0, 7, 7), {})):
        made = model(examples, **changes)
        before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
        pretrain_unimodal(made, examples, rows, np.arange(LEARNT, SAMPLES), OPTIONS, seed=3)
        assert all(torch.equal(before[name], tensor) for name, tensor in made.state_dict().items())


def test_it_stops_when_it_gets_no_better_and_keeps_the_best(examples, monkeypatch):
    losses = iter([1.0, 0.5, *[0.6] * 40])
    seen = []

    def held(made, *_):
        seen.append({name: tensor.clone() for name, tensor in made.encoder("image").state_dict().items()})
        return next(losses)

    monkeypatch.setattr(alone, "_held", held)
    made = taught(examples)
    assert len(seen) == 2 + OPTIONS.patience
    assert all(torch.equal(seen[1][name], tensor) for name, tensor in made.encoder("image").state_dict().items())

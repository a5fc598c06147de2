import numpy as np
import pytest
import torch

from polyclinic.models import UnifiedModel
from polyclinic.study import Network
from polyclinic.tasks import Targets
from polyclinic.training.data.dataset import Examples
from polyclinic.training.network import unimodal_pretraining
from polyclinic.training.network.trainer import initialise_heads
from polyclinic.training.network.unimodal_pretraining import pretrain_unimodal
from tests.models.inputs import encoder_config, inputs, model_config

SAMPLES, TRAINING = 240, 180
OPTIONS = Network(batch_size=16)


@pytest.fixture(scope="module")
def examples():
    """Samples whose death shows in one cell of their image, and nowhere else."""
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
    """Return a model that pretrains its image encoder, and its note encoder if that is a bag of words."""
    torch.manual_seed(0)
    every = model_config()
    encoders = every.encoders | {"note": encoder_config("note", note)}
    encoders.pop("waveform")  # pretrained, too
    made = UnifiedModel(model_config(heads={"died": every.heads["died"]}, encoders=encoders, **changes))
    initialise_heads(made, examples, np.arange(SAMPLES))
    return made


def pretrained(examples, **changes):
    made = model(examples, **changes)
    pretrain_unimodal(made, examples, np.arange(TRAINING), np.arange(TRAINING, SAMPLES), OPTIONS, seed=3)
    return made


def loss_of(made, examples):
    made.eval()
    rows = np.flatnonzero(examples.arrays["image"]["present"])[TRAINING:]
    with torch.no_grad():
        labelled = examples.labelled(rows)
        logits = made.predict_unimodal("image", labelled.batch)["died"]
    return float(torch.nn.functional.binary_cross_entropy_with_logits(logits, labelled.values["died"]))


def test_pretraining_learns_from_the_modality(examples):
    before, after = loss_of(model(examples), examples), loss_of(pretrained(examples), examples)
    assert after < 0.7 * before


def test_other_encoders_fusion_and_heads_are_unchanged(examples):
    before, after = model(examples).state_dict(), pretrained(examples).state_dict()
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


def test_every_encoder_with_pretraining_is_pretrained(examples):
    before, after = model(examples, "bag_of_words").state_dict(), pretrained(examples, note="bag_of_words").state_dict()
    changed = {name.split(".")[1] for name in before if name.startswith("encoders.")
              and not torch.equal(before[name], after[name])}  # fmt: skip
    assert changed == {"note", "image"}


def test_only_the_seed_determines_the_result(examples):
    one = pretrained(examples)
    torch.rand(7)
    other = pretrained(examples)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_nothing_changes_without_unimodal_heads_or_samples(examples):
    for rows, changes in ((np.arange(TRAINING), {"shortcut": False}), (np.arange(0, 7, 7), {})):
        made = model(examples, **changes)
        before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
        pretrain_unimodal(made, examples, rows, np.arange(TRAINING, SAMPLES), OPTIONS, seed=3)
        assert all(torch.equal(before[name], tensor) for name, tensor in made.state_dict().items())


def test_pretraining_stops_early_and_keeps_the_best_weights(examples, monkeypatch):
    losses = iter([1.0, 0.5, *[0.6] * 40])
    states = []

    def validation_loss(made, *_):
        states.append({name: tensor.clone() for name, tensor in made.encoder("image").state_dict().items()})
        return next(losses)

    monkeypatch.setattr(unimodal_pretraining, "_validation_loss", validation_loss)
    made = pretrained(examples)
    assert len(states) == 2 + OPTIONS.patience
    assert all(torch.equal(states[1][name], tensor) for name, tensor in made.encoder("image").state_dict().items())

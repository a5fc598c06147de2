"""Properties of every registered encoder; the slow DenseNet has a smaller batch."""

import pytest
import torch

from polyclinic.models import ENCODERS, EncoderConfig, build_encoder
from polyclinic.models.network.encoders import encode_present
from tests.models.inputs import (
    EVERY,
    SIZES,
    SMALL,
    WIDTH,
    encode,
    encoder,
    encoder_config,
    inputs,
    invalid,
    pooled,
    trained_weights,
)


@pytest.mark.parametrize(("modality", "name"), EVERY)
def test_gives_tokens_of_the_models_width(modality, name):
    with torch.no_grad():
        tokens = encode(encoder(modality, name).eval(), inputs(3)[modality])
    assert tokens.values.shape == (3, tokens.mask.shape[1], WIDTH)
    assert tokens.mask.dtype == torch.bool
    assert tokens.mask.any(dim=1).all()
    assert pooled(tokens).isfinite().all()


@pytest.mark.parametrize(("modality", "name"), EVERY)
def test_samples_are_independent(modality, name):
    network, tensors = encoder(modality, name).eval(), inputs(3)[modality]
    with torch.no_grad():
        batched = pooled(encode(network, tensors))
        for row in range(3):
            single = pooled(encode(network, {key: tensor[row : row + 1] for key, tensor in tensors.items()}))
            missing = batched.shape[1] - single.shape[1]
            torch.testing.assert_close(
                torch.nn.functional.pad(single, (0, 0, 0, missing)), batched[row : row + 1], rtol=1e-4, atol=1e-5
            )


@pytest.mark.parametrize(("modality", "name"), SMALL)
def test_every_weight_has_a_gradient(modality, name):
    network, tensors = encoder(modality, name), inputs(32)[modality]
    torch.manual_seed(1)
    tokens = encode(network, tensors)
    (pooled(tokens) * torch.randn(tokens.values.shape)).sum().backward()
    unused = [name for name, weight in network.named_parameters() if weight.requires_grad and weight.grad is None]
    assert not unused
    assert all(weight.grad.isfinite().all() for weight in network.parameters() if weight.grad is not None)


HIDDEN = {
    "structured": [("known", "values")],
    "note": [("sentence_mask", "sentences"), ("sentence_mask", "sentence_section"), ("words", "word_section")],
    "waveform": [("valid", "signal"), ("age_known", "age_hours")],
    "image": [("view_mask", "tokens"), ("view_mask", "pixels"), ("view_mask", "view_code")],
    "series": [("grid_mask", "grid_value"), ("triplet_code", "triplet_time"), ("triplet_code", "triplet_value")],
}


@pytest.mark.parametrize(("modality", "name"), SMALL)
def test_masked_values_have_no_influence(modality, name):
    network, tensors = encoder(modality, name).eval(), inputs(4)[modality]
    corrupted = dict(tensors)
    for mask, hidden in HIDDEN[modality]:
        unmasked = tensors[mask].bool()
        unmasked = unmasked.reshape(*unmasked.shape, *[1] * (tensors[hidden].ndim - unmasked.ndim))
        corrupted[hidden] = torch.where(unmasked, tensors[hidden], invalid(tensors[hidden]))
    clean, dirty = encode(network, tensors), encode(network, corrupted)
    assert torch.equal(pooled(clean), pooled(dirty))
    (pooled(dirty) * torch.randn(dirty.values.shape)).sum().backward()
    assert all(weight.grad.isfinite().all() for weight in network.parameters() if weight.grad is not None)


@pytest.mark.parametrize(("modality", "name"), SMALL)
def test_absent_rows_have_no_influence(modality, name):
    network, tensors = encoder(modality, name), inputs(4)[modality]
    present = torch.tensor([True, False, True, False])
    corrupted = {key: tensor.clone() for key, tensor in tensors.items()}
    for tensor in corrupted.values():
        tensor[~present] = invalid(tensor[~present])
    gradients = []
    for given in (tensors, corrupted):
        network.zero_grad()
        tokens = encode_present(network, given, present, WIDTH)
        pooled(tokens).square().sum().backward()
        gradients.append([weight.grad.clone() for weight in network.parameters() if weight.grad is not None])
        assert not tokens.mask[~present].any()
        assert tokens.mask[present].any(dim=1).all()
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


@pytest.mark.parametrize(("modality", "name"), SMALL)
def test_no_present_samples_give_no_tokens(modality, name):
    tokens = encode_present(encoder(modality, name), {}, torch.zeros(2, dtype=torch.bool), WIDTH)
    assert tokens.values.shape == (2, 1, WIDTH)
    assert not tokens.mask.any()


@pytest.mark.parametrize(("modality", "name"), SMALL)
def test_training_is_reproducible(modality, name):
    one, other = (encoder(modality, name, seed=3, dropout=0.3) for _ in range(2))
    tensors = inputs(4)[modality]
    assert torch.equal(trained_weights(one, tensors), trained_weights(other, tensors))


def test_missing_array_raises():
    tensors = inputs(2)["series"]
    with pytest.raises(ValueError, match="reads grid_since, which the series input lacks"):
        encode_present(
            encoder("series", "gru_d"),
            {name: tensors[name] for name in ("grid_value", "grid_mask")},
            torch.ones(2, dtype=torch.bool),
            WIDTH,
        )


def test_unknown_names_and_options_raise_with_the_choices():
    config = EncoderConfig(name="mpl", sizes=SIZES["structured"])
    with pytest.raises(ValueError, match="unknown structured encoder 'mpl': choose from mlp, feature_tokens"):
        build_encoder("structured", config, WIDTH, 0.0)
    with pytest.raises(ValueError, match="no encoder reads the modality 'smell'"):
        build_encoder("smell", config, WIDTH, 0.0)
    config = EncoderConfig(name="mlp", sizes=SIZES["structured"], options={"depth": 3})
    with pytest.raises(ValueError, match="mlp has no option depth: its options are layers"):
        build_encoder("structured", config, WIDTH, 0.0)


def test_only_image_encoders_have_pretrained_weights(tmp_path):
    with pytest.raises(ValueError, match="GRUD has no pretrained weights"):
        encoder("series", "gru_d").start_from(tmp_path / "weights.safetensors")


LEARNING_RATE = {"vit": 1e-3}


@pytest.mark.parametrize(("modality", "name"), SMALL)
@pytest.mark.slow
def test_learns_a_simple_signal(modality, name):
    """Sixty steps suffice to separate samples that differ in one simple feature."""
    network, tensors = encoder(modality, name), inputs(32)[modality]
    target = (torch.arange(32) % 2).float()
    _plant(tensors, target.bool())
    head = torch.nn.Linear(WIDTH, 1)
    rate = LEARNING_RATE.get(name, 1e-2)
    optimizer = torch.optim.AdamW([*network.parameters(), *head.parameters()], lr=rate, weight_decay=0)
    for _ in range(60):
        optimizer.zero_grad()
        tokens = encode(network, tensors)
        logit = head(pooled(tokens).sum(dim=1) / tokens.mask.sum(dim=1, keepdim=True))[:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, target)
        loss.backward()
        optimizer.step()
    assert loss < 0.1


def _plant(tensors: dict[str, torch.Tensor], positive: torch.Tensor) -> None:
    """Add a signal to every kind of tensor."""
    for name in ("values", "triplet_value", "grid_value", "sentences"):
        if name in tensors:
            tensors[name][positive] += 1.5
    if "known" in tensors:
        tensors["known"][:, 0] = True
    if "words" in tensors:
        tensors["words"][:, 0] = torch.where(positive, 5, 7)
    if "tokens" in tensors:
        tensors["tokens"][positive, ..., :5] += 1.5
        tensors["pixels"][positive] = tensors["pixels"][positive] * 0.3


def test_every_encoder_is_registered_under_its_modality():
    for modality, names in ENCODERS.items():
        for name in names:
            if (modality, name) in SMALL:
                assert build_encoder(modality, encoder_config(modality, name), WIDTH, 0.0).modality == modality

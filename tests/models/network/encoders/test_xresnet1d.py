"""The contract of every encoder, and what holds for the encoder of electrocardiograms."""

import pytest
import torch
from torch.func import functional_call, stack_module_state, vmap

from polyclinic.models.network.config import WaveformSizes
from polyclinic.models.network.encoders import encode_present
from polyclinic.models.network.encoders.xresnet1d import XResNet1d
from tests.models.inputs import WIDTH, encode, invalid, pooled, trained_weights

LEADS, TIME = 4, 200
OPTIONS = {"stem": 8, "channels": (8, 12, 16)}


def encoder(seed=0, dropout=0.0, **options):
    torch.manual_seed(seed)
    return XResNet1d(WaveformSizes(leads=LEADS), WIDTH, dropout, **(OPTIONS | options))


def inputs(batch=4, seed=0):
    """Two recordings of each sample at most: a lead is missing, another has a gap, some recordings are shorter."""
    random = torch.Generator().manual_seed(seed)
    signal = torch.randn((batch, 2, LEADS, TIME), generator=random)
    valid = torch.ones(batch, 2, LEADS, TIME, dtype=torch.bool)
    valid[::2, 0, 1] = False
    valid[1::2, 0, 2, 50:80] = False
    valid[::3, 0, :, 130:] = False
    valid[::2, 1] = False
    return {
        "signal": signal.half(),
        "valid": valid,
        "log_scale": torch.randn((batch, 2, LEADS), generator=random),
        "age_hours": 48 * torch.rand((batch, 2), generator=random),
        "age_known": torch.rand((batch, 2), generator=random) > 0.3,
    }


def test_gives_two_tokens_of_each_recording():
    with torch.no_grad():
        tokens = encode(encoder().eval(), inputs(3))
    assert tokens.values.shape == (3, 4, WIDTH)
    assert tokens.mask.tolist() == [[True, True, False, False], [True] * 4, [True, True, False, False]]
    assert pooled(tokens).isfinite().all()


def test_a_sample_does_not_depend_on_the_others():
    network, tensors = encoder().eval(), inputs(3)
    with torch.no_grad():
        together = pooled(encode(network, tensors))
        for row in range(3):
            alone = pooled(encode(network, {name: tensor[row : row + 1] for name, tensor in tensors.items()}))
            torch.testing.assert_close(alone, together[row : row + 1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_what_a_mask_hides_changes_nothing(training):
    network, tensors = encoder().train(training), inputs()
    leads = tensors["valid"].any(dim=3)
    hidden = {"signal": ~tensors["valid"], "log_scale": ~leads, "age_hours": ~tensors["age_known"]}
    corrupted = tensors | {
        name: torch.where(mask, invalid(tensors[name]), tensors[name]) for name, mask in hidden.items()
    }
    clean, dirty = encode(network, tensors), encode(network, corrupted)
    assert torch.equal(pooled(clean), pooled(dirty))
    (pooled(dirty) * torch.randn(dirty.values.shape)).sum().backward()
    assert all(weight.grad.isfinite().all() for weight in network.parameters() if weight.grad is not None)


def test_absent_rows_are_never_seen():
    network, tensors = encoder(), inputs()
    present = torch.tensor([True, False, True, False])
    corrupted = {name: tensor.clone() for name, tensor in tensors.items()}
    for tensor in corrupted.values():
        tensor[~present] = invalid(tensor[~present])
    gradients = []
    for given in (tensors, corrupted):
        network.zero_grad()
        tokens = encode_present(network, given, present, WIDTH)
        pooled(tokens).square().sum().backward()
        gradients.append([weight.grad.clone() for weight in network.parameters()])
        assert tokens.mask.any(dim=1).tolist() == present.tolist()
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_every_weight_learns():
    network = encoder()
    tokens = encode(network, inputs(32))
    (pooled(tokens) * torch.randn(tokens.values.shape)).sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())


def test_same_seed_same_bits():
    one, other = (encoder(seed=3, dropout=0.3) for _ in range(2))
    assert torch.equal(trained_weights(one, inputs()), trained_weights(other, inputs()))


def test_several_networks_run_over_stacked_weights():
    networks, tensors = [encoder(seed).eval() for seed in range(3)], inputs()
    stacked = stack_module_state(networks)
    form = encoder().to("meta").eval()

    def values(parameters, buffers):
        return functional_call(form, (parameters, buffers), (), {name: tensors[name] for name in form.reads}).values

    with torch.no_grad():
        together = vmap(values)(*stacked)
        for network, found in zip(networks, together, strict=True):
            torch.testing.assert_close(found, encode(network, tensors).values, rtol=1e-4, atol=1e-5)


def test_recordings_of_one_sample_have_their_own_tokens():
    network, tensors = encoder().eval(), inputs(2)
    tensors["valid"][:] = True
    tensors["age_known"][:] = True
    swapped = {name: tensor.flip(1) for name, tensor in tensors.items()}
    here, there = (encode(network, each).values.view(2, 2, 2, WIDTH) for each in (tensors, swapped))
    torch.testing.assert_close(here, there.flip(1))


@pytest.mark.parametrize("length", [10, 37, 200, 1000, 1001])
def test_any_length_of_trace(length):
    tensors = inputs()
    tensors = tensors | {name: tensors[name].repeat(1, 1, 1, 6)[..., :length] for name in ("signal", "valid")}
    tokens = encode(encoder().eval(), tensors)
    assert pooled(tokens).isfinite().all()


@pytest.mark.parametrize("what", ["rate", "scale", "lead"])
@pytest.mark.slow
def test_learns_a_simple_signal(what):
    network, tensors, head = encoder(), inputs(32), torch.nn.Linear(WIDTH, 1)
    target = torch.arange(32) % 4 < 2
    tensors["signal"] *= 0.3
    if what == "rate":
        times = torch.arange(TIME)
        tensors["signal"] += torch.where(target[:, None], torch.sin(times / 3), torch.sin(times / 5))[
            :, None, None
        ].half()
    elif what == "scale":
        tensors["log_scale"][target] += 1.5
    else:
        tensors["valid"][target, :, 3] = False
    optimizer = torch.optim.AdamW([*network.parameters(), *head.parameters()], lr=1e-2, weight_decay=0)
    for _ in range(60):
        optimizer.zero_grad()
        tokens = encode(network, tensors)
        logit = head(pooled(tokens).sum(dim=1) / tokens.mask.sum(dim=1, keepdim=True))[:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, target.float())
        loss.backward()
        optimizer.step()
    assert loss < 0.1


def test_the_default_is_small():
    network = XResNet1d(WaveformSizes(leads=12), 64, 0.3)
    assert 300_000 < sum(weight.numel() for weight in network.parameters()) < 1_000_000

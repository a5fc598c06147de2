"""EfficientNet-lite0: golden outputs, TensorFlow's padding, folding, gradients."""

import pytest
import torch
from torch.nn import functional

from polyclinic.features.backbones import BACKBONES, WeightsError
from polyclinic.features.backbones.efficientnet_lite0 import EfficientNetLite0, SameConv, canonical_to_input, load
from polyclinic.verification.encoders import expected

GOLDEN = expected("efficientnet_lite0")


@pytest.fixture(scope="module")
def network() -> EfficientNetLite0:
    return load()


@pytest.fixture(scope="module")
def wave() -> torch.Tensor:
    """The input whose outputs are golden."""
    return torch.sin(torch.arange(3 * 224 * 224, dtype=torch.float64) * 0.01).float().reshape(1, 3, 224, 224)


@torch.inference_mode()
def test_golden_outputs(network, wave):
    maps = network.features(wave)
    assert list(maps.shape) == GOLDEN["feature_map_shape"]
    pooled = maps.mean(dim=(2, 3))[0]
    tolerance = {"atol": GOLDEN["tolerance"], "rtol": 0}
    torch.testing.assert_close(pooled[:16], torch.tensor(GOLDEN["pooled_first_16"]), **tolerance)
    assert pooled.mean().item() == pytest.approx(GOLDEN["pooled_mean"], abs=GOLDEN["tolerance"])
    assert pooled.norm().item() == pytest.approx(GOLDEN["pooled_norm"], abs=GOLDEN["tolerance"])
    classes, logits = zip(*GOLDEN["logits_top5"], strict=True)
    top = network(wave)[0].topk(5)
    assert top.indices.tolist() == list(classes)
    torch.testing.assert_close(top.values, torch.tensor(logits), **tolerance)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [7, 8, 14, 15])
def test_padding_equals_tensorflows(kernel, size):
    """SAME padding with stride 2 gives ceil(size / 2) outputs."""
    convolution = SameConv(1, 1, kernel, stride=2)
    image = torch.randn(1, 1, size, size)
    total = max((-(-size // 2) - 1) * 2 + kernel - size, 0)
    before = total // 2
    canvas = torch.zeros(1, 1, size + total, size + total)
    canvas[..., before : before + size, before : before + size] = image
    expected = functional.conv2d(canvas, convolution.weight, stride=2)
    assert expected.shape[-1] == -(-size // 2)
    torch.testing.assert_close(convolution(image), expected)


@torch.inference_mode()
def test_folding_preserves_outputs(network, wave):
    folded = load().fold()
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    torch.testing.assert_close(folded.features(wave), network.features(wave), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(folded(wave), network(wave), atol=1e-4, rtol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize(("side", "cells"), [(160, 5), (250, 8)])
def test_map_has_one_cell_per_32_pixels(network, side, cells):
    assert network.features(torch.zeros(1, 3, side, side)).shape == (1, 1280, cells, cells)


@torch.inference_mode()
@pytest.mark.parametrize(("side", "cells"), [(160, 10), (250, 16)])
def test_fine_map_has_one_cell_per_16_pixels(network, side, cells):
    assert network.fine(torch.zeros(1, 3, side, side)).shape == (1, 112, cells, cells)


@torch.inference_mode()
def test_fine_map_is_the_input_of_later_stages(network, wave):
    later = network.head(network.blocks[11:](network.fine(wave)))
    torch.testing.assert_close(later, network.features(wave))
    torch.testing.assert_close(load().cut().fine(wave), network.fine(wave))


def test_gradient_reaches_the_image_and_every_weight(network):
    image = torch.rand(1, 1, 64, 64, requires_grad=True)
    tuned = load().train()
    tuned(canonical_to_input(image).expand(2, -1, -1, -1)).square().sum().backward()
    assert image.grad.abs().sum() > 0
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in tuned.parameters())


def test_canonical_grey_is_converted_to_network_input():
    grey = torch.tensor([0.0, 127 / 255, 1.0]).view(1, 1, 1, 3)
    converted = canonical_to_input(grey)
    assert converted.shape == (1, 3, 1, 3)
    torch.testing.assert_close(converted[0, 2, 0], torch.tensor([-127 / 128, 0.0, 1.0]))


def test_weights_of_another_network_raise(tmp_path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="not those of EfficientNet-lite0"):
        load(tmp_path / "other.pth")


def test_loading_draws_no_random_numbers():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    BACKBONES["efficientnet_lite0"].load()
    assert torch.rand(1) == expected

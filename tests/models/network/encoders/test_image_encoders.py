import json

import pytest
import torch
from safetensors.torch import save_file

from polyclinic.features.backbones import efficientnet_lite0
from polyclinic.models import EncoderConfig, ImageSizes, build_encoder
from polyclinic.models.network.encoders.images import MIN_SHARPNESS
from polyclinic.models.network.encoders.vit import ViTEncoder, vit_options
from tests.models.inputs import WIDTH, encode, encoder, inputs, pooled

LIVE = ImageSizes(views=2, channels=112, cells=16, pixels=64)


def live(fine_tune: bool):
    torch.manual_seed(0)
    options = {"live": True, "fine_tune": fine_tune}
    return build_encoder("image", EncoderConfig(name="efficientnet_lite0", sizes=LIVE, options=options), WIDTH, 0.0)


def test_live_encoder_equals_cached_encoder():
    network, tensors = live(fine_tune=False).eval(), inputs(2)["image"]
    torch.manual_seed(0)
    cached = build_encoder("image", EncoderConfig(name="efficientnet_lite0", sizes=LIVE), WIDTH, 0.0).eval()
    cached.tokens.load_state_dict(network.tokens.state_dict())
    frozen = efficientnet_lite0.load()
    with torch.no_grad():
        pixels = efficientnet_lite0.canonical_to_input(tensors["pixels"].flatten(0, 1))
        maps = frozen.fine(pixels).flatten(2).transpose(1, 2).unflatten(0, (2, 3))
        torch.testing.assert_close(
            pooled(encode(network, tensors)), pooled(encode(cached, tensors | {"tokens": maps})), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("fine_tune", [False, True])
def test_fine_tuning_is_optional(fine_tune):
    network, tensors = live(fine_tune).train(), inputs(2)["image"]
    before = network.backbone.stem.norm.running_mean.clone()
    tokens = encode(network, tensors)
    (pooled(tokens) * torch.randn(tokens.values.shape)).sum().backward()
    assert (network.backbone.stem.conv.weight.grad is not None) == fine_tune
    assert torch.equal(before, network.backbone.stem.norm.running_mean)


def test_images_out_of_range_raise():
    network, tensors = encoder("image", "vit"), inputs(2)["image"]
    with pytest.raises(ValueError, match="canonical"):
        encode(network, tensors | {"pixels": tensors["pixels"] * 255})


def test_images_of_another_size_are_resampled():
    network, tensors = encoder("image", "vit").eval(), inputs(2)["image"]
    smaller = torch.nn.functional.interpolate(tensors["pixels"].flatten(0, 1), (48, 40)).unflatten(0, (2, 3))
    assert encode(network, tensors | {"pixels": smaller}).values.isfinite().all()


def test_view_has_an_influence():
    network, tensors = encoder("image", "efficientnet_lite0").eval(), inputs(2)["image"]
    turned = tensors | {"view_code": 1 - tensors["view_code"]}
    assert not torch.allclose(pooled(encode(network, tensors)), pooled(encode(network, turned)))


def test_unknown_view_counts_as_the_first():
    network, tensors = encoder("image", "efficientnet_lite0").eval(), inputs(2)["image"]
    first, unknown = torch.zeros_like(tensors["view_code"]), torch.full_like(tensors["view_code"], 7)
    assert torch.equal(
        pooled(encode(network, tensors | {"view_code": first})),
        pooled(encode(network, tensors | {"view_code": unknown})),
    )


def test_lesion_in_one_cell_is_not_diluted():
    tokens = encoder("image", "efficientnet_lite0").eval().tokens
    cells, present = torch.zeros(1, 400, WIDTH), torch.ones(1, 1, dtype=torch.bool)
    cells[0, 7, 3] = 20.0
    with torch.no_grad():
        tokens.tokens = torch.nn.Identity()
        clearest = tokens.pool(cells, present)[0, 0]
        sharpest = tokens.pool(cells[:, :8], present)[0, 0]
    assert clearest[3] > 10  # the mean is 0.05
    assert clearest.argmax() == 3
    assert sharpest[3] > clearest[3]
    with torch.no_grad():
        assert tokens.pool(cells[:, 8:], present)[0].abs().max() < 1e-6


def test_images_are_pooled_as_all_cells_of_their_sample_are():
    """Several images, one and none; the soft maximum and the mean over the cells, and finite gradients."""
    tokens, random = encoder("image", "efficientnet_lite0").eval().tokens, torch.Generator().manual_seed(0)
    tokens.tokens = torch.nn.Identity()
    cells = (4 * torch.randn(3, 49, WIDTH, generator=random)).requires_grad_()
    view_mask = torch.tensor([[True, False], [False, False], [True, True]])
    found = tokens.pool(cells, view_mask)
    sharpness = torch.nn.functional.softplus(tokens.sharpness) + MIN_SHARPNESS
    for sample, own in ((0, cells[0]), (2, cells[1:].flatten(0, 1))):
        torch.testing.assert_close(found[sample, 0], (own * sharpness).exp().mean(dim=0).log() / sharpness)
        torch.testing.assert_close(found[sample, 1], own.mean(dim=0))
    found.sum().backward()
    assert cells.grad.isfinite().all()
    assert tokens.sharpness.grad.isfinite().all()


def test_vit_loads_pretrained_weights(tmp_path):
    torch.manual_seed(1)
    source = ViTEncoder(LIVE, WIDTH, 0.0, hidden=64, layers=1, patch=16, colours=3)
    source.backbone.save_pretrained(tmp_path)
    torch.manual_seed(2)
    network = ViTEncoder(LIVE, WIDTH, 0.0, **vit_options(tmp_path))
    network.start_from(tmp_path)
    assert all(
        torch.equal(ours, theirs)
        for ours, theirs in zip(network.backbone.parameters(), source.backbone.parameters(), strict=True)
    )
    with pytest.raises(ValueError, match="a ViT of another shape"):
        ViTEncoder(LIVE, WIDTH, 0.0, hidden=64, layers=2).start_from(tmp_path)


def test_vit_options_need_a_config(tmp_path):
    with pytest.raises(ValueError, match=r"no config\.json"):
        vit_options(tmp_path)
    (tmp_path / "config.json").write_text(
        json.dumps({"hidden_size": 64, "num_hidden_layers": 2, "patch_size": 16, "num_channels": 1})
    )
    assert vit_options(tmp_path) == {"hidden": 64, "layers": 2, "patch": 16, "colours": 1}


def test_densenet_loads_safetensors_only(tmp_path):
    network = encoder("image", "densenet121", seed=1)
    save_file(
        {name: tensor.clone() for name, tensor in network.backbone.state_dict().items()}, tmp_path / "w.safetensors"
    )
    other = encoder("image", "densenet121", seed=2)
    other.start_from(tmp_path / "w.safetensors")
    assert all(
        torch.equal(a, b) for a, b in zip(network.backbone.parameters(), other.backbone.parameters(), strict=True)
    )
    with pytest.raises(ValueError, match=r"read from \.safetensors files only"):
        other.start_from(tmp_path / "w.pt")
    save_file({"stem": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="not the weights of"):
        other.start_from(tmp_path / "other.safetensors")

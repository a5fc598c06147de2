"""Grad-CAM and rollout agree with their definitions, and reject networks without feature maps or attention."""

import numpy as np
import pytest
import torch

from polyclinic.explain.inputs.logit_function import LogitFunction
from polyclinic.explain.methods.attention_rollout import attention_rollout, attention_weights, rollout
from polyclinic.explain.methods.grad_cam import grad_cam
from polyclinic.explain.sample import ExplanationError, output_of
from polyclinic.models.network.layers import Attention
from tests.explain.conftest import without

TASK = "demo_deterioration"


def complete(bundle, sample_of):
    return next(one for one in (sample_of(bundle, n) for n in range(24)) if one.present == bundle.inputs)


def test_grad_cam_weights_the_last_map_by_its_mean_gradient(bundle, with_inputs):
    sample = with_inputs()
    found = grad_cam(bundle, sample, TASK)
    function = LogitFunction(bundle.ensemble.networks, sample, output_of(bundle, TASK))
    points = function.between(torch.ones(1))
    expected = []
    for network in function.networks:
        maps = function.batch(points).inputs["image"]["tokens"][0].detach().requires_grad_()
        batch = function.batch(points)
        batch.inputs["image"]["tokens"] = maps[None]
        (gradient,) = torch.autograd.grad(function.logit_of(network, points, batch).sum(), maps)
        expected.append((gradient.mean(dim=1, keepdim=True) * maps.detach()).sum(dim=2).relu().view(-1, 14, 14))
    heat = torch.stack(expected).mean(dim=0)
    heat = (heat / heat.sum()).numpy()
    for picture, cells in zip(found.pictures, heat, strict=True):
        assert picture.scores.min() >= 0
        coarse = picture.scores.reshape(14, 16, 14, 16).sum(axis=(1, 3))
        assert np.corrcoef(coarse.ravel(), cells.ravel())[0, 1] > 0.95
        assert picture.total == pytest.approx(float(cells.sum()), abs=1e-5)
    assert found.total == pytest.approx(1, abs=1e-5)
    assert (found.method, found.baseline, found.completeness) == ("grad_cam", None, None)


def test_grad_cam_of_a_network_on_pixels(other_bundle, sample_of):
    other = other_bundle("live")
    found = grad_cam(other, complete(other, sample_of), TASK)
    assert found.total == pytest.approx(1, abs=1e-5)
    assert found.pictures[0].scores.shape == (224, 224)


def test_rollout_of_layers_is_a_distribution_for_each_token():
    torch.manual_seed(0)
    layers = [torch.randn(2, 5, 5).softmax(dim=2) for _ in range(3)]
    rolled = rollout(layers)
    torch.testing.assert_close(rolled.sum(dim=2), torch.ones(2, 5))
    by_hand = [(layer + torch.eye(5)) / 2 for layer in layers]
    torch.testing.assert_close(rolled, by_hand[2] @ by_hand[1] @ by_hand[0])


def test_weights_reproduce_the_attention():
    torch.manual_seed(0)
    attention = Attention(32).eval()
    tokens, allowed = torch.randn(2, 4, 32), torch.tensor([[[True, True, True, False]]]).expand(2, 1, 4)
    weights = attention_weights(attention, tokens, tokens, allowed)
    assert not weights[..., 3].any()
    _, value = attention.split(attention.key_value(tokens), 2)
    expected = attention.out((weights @ value).transpose(1, 2).flatten(2))
    torch.testing.assert_close(expected, attention(tokens, tokens, allowed))


def test_rollout_of_patches(other_bundle, sample_of):
    other = other_bundle("words")
    sample = complete(other, sample_of)
    function = LogitFunction(other.ensemble.networks, sample, output_of(other, TASK))
    with torch.no_grad():
        before = function(function.between(torch.ones(1)))
    found = attention_rollout(other, sample, TASK)
    assert found.total == pytest.approx(1, abs=1e-5)
    assert all(picture.scores.min() >= 0 for picture in found.pictures)
    assert np.ptp(found.pictures[0].scores) > 0
    with torch.no_grad():
        torch.testing.assert_close(function(function.between(torch.ones(1))), before, rtol=0, atol=0)


def test_rollout_of_sentences(other_bundle, sample_of):
    bundle = other_bundle("sentences")
    sample = complete(bundle, sample_of)
    note = attention_rollout(bundle, sample, TASK, modality="note")["note"]
    (layout,) = bundle.features.featurizers["note"].layouts(sample.known, sample.frame)
    assert [(one.note, one.start, one.end) for one in note.sentences] == [one[1:] for one in layout.sentences]
    assert all(one.score > 0 for one in note.sentences)
    assert note.total == pytest.approx(1, abs=1e-5)
    assert sum(score for _, score in note.by_section) == pytest.approx(1, abs=1e-5)


def test_errors_name_the_alternative(bundle, other_bundle, sample_of, with_inputs):
    sample = with_inputs()
    with pytest.raises(ExplanationError, match="image encoder CachedEfficientNet has no attention"):
        attention_rollout(bundle, sample, TASK)
    with pytest.raises(ExplanationError, match="series encoder CodeAttention has no attention"):
        attention_rollout(bundle, sample, TASK, modality="series")
    with pytest.raises(ExplanationError, match="there is no image to explain"):
        grad_cam(bundle, without(sample, "image"), TASK)
    other = other_bundle("words")
    with pytest.raises(ExplanationError, match="use attention_rollout for a ViT"):
        grad_cam(other, complete(other, sample_of), TASK)

import pytest
import torch

from polyclinic.models import StructuredSizes
from polyclinic.models.network.encoders.feature_tokens import FeatureTokens
from tests.models.inputs import WIDTH, encode, encoder, inputs, pooled


def test_unknown_code_has_no_token():
    network, tensors = encoder("structured", "feature_tokens").eval(), inputs(3)["structured"]
    tensors["known"][:, 2:5] = False
    assert encode(network, tensors).mask[:, [0, 2]].tolist() == [[True, False]] * 3


def test_features_of_a_code_are_summed_to_its_token():
    torch.manual_seed(0)
    network = FeatureTokens(StructuredSizes(features=3, groups=(0, 1, 0)), WIDTH, 0.0, layers=0).eval()
    values, known = torch.tensor([[0.5, -0.2, 0.1]]), torch.tensor([[True, True, True]])
    clipped = values / (1 + (values / 3) ** 2).sqrt()
    slope, level = network.slope, network.level
    first = clipped[0, 0] * slope[0, 0] + level[0, 0] + clipped[0, 2] * slope[0, 1] + level[0, 1]
    second = clipped[0, 1] * slope[1, 0] + level[1, 0]
    expected = network.norm(torch.stack([network.summary, first, second]))
    torch.testing.assert_close(network(values=values, known=known).values[0], expected)


def test_without_groups_each_feature_has_a_token():
    network = FeatureTokens(StructuredSizes(features=6), WIDTH, 0.0)
    assert encode(network, inputs(3)["structured"]).mask.shape == (3, 7)


@pytest.mark.parametrize("name", ["mlp", "feature_tokens"])
def test_unknown_is_not_zero(name):
    network, tensors = encoder("structured", name).eval(), inputs(3)["structured"]
    values, known = torch.zeros(1, 6), torch.ones(1, 6, dtype=torch.bool)
    unknown = known.clone()
    unknown[0, 5] = False
    assert not torch.allclose(
        pooled(encode(network, {"values": values, "known": known})),
        pooled(encode(network, {"values": values, "known": unknown})),
    )
    assert tensors["values"].isfinite().all()


@pytest.mark.parametrize("name", ["mlp", "feature_tokens"])
def test_outliers_are_bounded(name):
    network = encoder("structured", name).eval()
    known = torch.ones(1, 6, dtype=torch.bool)
    far = [pooled(encode(network, {"values": torch.full((1, 6), size), "known": known})) for size in (1e4, 1e6)]
    torch.testing.assert_close(*far, rtol=1e-3, atol=1e-3)


def test_groups_must_cover_the_features():
    with pytest.raises(ValueError, match="each of the 3 features"):
        StructuredSizes(features=3, groups=(0, 2, 2))

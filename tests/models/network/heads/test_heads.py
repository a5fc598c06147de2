import pytest
import torch

from polyclinic.models import HEADS, HeadConfig, build_head

CONFIGS = {
    "binary": HeadConfig(kind="binary"),
    "multiclass": HeadConfig(kind="multiclass", outputs=3),
    "multilabel": HeadConfig(kind="multilabel", outputs=2),
    "regression": HeadConfig(kind="regression", outputs=2),
    "time_to_event": HeadConfig(kind="time_to_event", outputs=3, bins=(1.0, 7.0, 30.0)),
}


def head(kind: str):
    torch.manual_seed(0)
    return build_head(CONFIGS[kind], 8)


@pytest.mark.parametrize("kind", HEADS)
def test_shapes_and_gradients(kind):
    network, latent = head(kind), torch.randn(5, 8, requires_grad=True)
    logits = network(latent)
    assert logits.shape == (5, CONFIGS[kind].outputs)
    answer = network.activate(logits)
    assert answer.shape == logits.shape
    (answer * torch.randn(answer.shape)).sum().backward()
    assert latent.grad.isfinite().all()
    assert latent.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "time_to_event"])
def test_activations_are_probabilities(kind):
    answer = head(kind).activate(torch.randn(50, CONFIGS[kind].outputs) * 20)
    assert (answer >= 0).all()
    assert (answer <= 1).all()


def test_class_probabilities_add_up_to_one():
    torch.testing.assert_close(head("multiclass").activate(torch.randn(50, 3) * 20).sum(dim=1), torch.ones(50))


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_start_at_sets_the_rates(kind):
    network = head(kind)
    rates = torch.tensor([0.2, 0.5, 0.3])[: CONFIGS[kind].outputs]
    network.start_at(rates)
    torch.testing.assert_close(network.activate(network(torch.zeros(1, 8)))[0], rates)


def test_rates_of_0_and_1_are_finite():
    network = head("multilabel")
    network.start_at(torch.tensor([0.0, 1.0]))
    assert network.linear.bias.isfinite().all()


def test_regression_uses_the_targets_unit():
    network, targets = head("regression"), torch.tensor([[10.0, 5.0], [30.0, 5.0]])
    network.fit_scale(targets)
    assert network.location.tolist() == [20.0, 5.0]
    assert network.scale.tolist() == [10.0, 1.0]
    torch.testing.assert_close(network.activate(network.standardise(targets)), targets)
    network.start_at(torch.tensor([25.0, 5.0]))
    assert network.activate(network(torch.zeros(1, 8)))[0].tolist() == [25.0, 5.0]


def test_survival_is_the_product_of_1_minus_hazard():
    network, logits = head("time_to_event"), torch.tensor([[0.0, -2.0, 1.0]])
    hazards = logits.sigmoid()
    expected = torch.tensor([[1.0, 1.0, 1.0]])
    for place in range(3):
        expected[0, place] = torch.prod(1 - hazards[0, : place + 1])
    torch.testing.assert_close(network.survival(logits), expected)
    torch.testing.assert_close(network.activate(logits), 1 - expected)


def test_extreme_hazards_stay_finite():
    network = head("time_to_event")
    logits = torch.tensor([[-200.0, 0.0, 200.0]], requires_grad=True)
    network.survival(logits).sum().backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "binary", "outputs": 2}, "one output"),
        ({"kind": "multiclass"}, "at least two outputs"),
        ({"kind": "time_to_event", "outputs": 2, "bins": (1.0,)}, "one per output"),
        ({"kind": "time_to_event", "outputs": 2, "bins": (3.0, 1.0)}, "ascend"),
        ({"kind": "regression", "bins": (1.0,)}, "no other"),
        ({"kind": "ordinal"}, "multiclass"),
    ],
)
def test_invalid_heads_raise(wrong, message):
    with pytest.raises(ValueError, match=message):
        HeadConfig(**wrong)

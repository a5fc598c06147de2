import pytest
import torch

from polyclinic.models.network.encoders.code_attention import HEADS, CodeAttention
from polyclinic.models.network.encoders.gru_d import GRUD, carry_forward
from polyclinic.models.network.encoders.triplets import TripletTransformer
from polyclinic.models.network.layers import smooth_clip
from tests.models.inputs import SIZES, WIDTH, encode, encoder, inputs, pooled


@pytest.mark.parametrize("name", ["triplet", "code_attention"])
def test_triplets_are_permutation_invariant(name):
    network, tensors = encoder("series", name).eval(), inputs(4)["series"]
    order = torch.randperm(9, generator=torch.Generator().manual_seed(2))
    shuffled = {name: tensors[name][:, order] for name in network.reads}
    torch.testing.assert_close(pooled(encode(network, tensors)), pooled(encode(network, shuffled)))


def test_triplets_with_context_layers_are_permutation_invariant():
    torch.manual_seed(0)
    network, tensors = TripletTransformer(SIZES["series"], WIDTH, 0.0, context_layers=2).eval(), inputs(4)["series"]
    order = torch.randperm(9, generator=torch.Generator().manual_seed(2))
    shuffled = {name: tensors[name][:, order] for name in network.reads}
    torch.testing.assert_close(pooled(encode(network, tensors)), pooled(encode(network, shuffled)))


@pytest.mark.parametrize("name", ["triplet", "code_attention"])
def test_code_of_a_triplet_has_an_influence(name):
    network, tensors = encoder("series", name).eval(), inputs(4)["series"]
    other = tensors | {"triplet_code": torch.where(tensors["triplet_code"] == 1, 2, tensors["triplet_code"])}
    assert not torch.allclose(pooled(encode(network, tensors)), pooled(encode(network, other)))


def test_last_value_is_carried_forward():
    values = torch.tensor([[[5.0], [torch.nan], [7.0], [9.0]]])
    mask = torch.tensor([[[False], [True], [False], [True]]])
    values[0, 1] = 3.0
    assert carry_forward(values, mask)[0, :, 0].tolist() == [0.0, 3.0, 3.0, 9.0]


def test_gru_d_equals_the_papers_equations():
    """Compare with an independent loop over steps and channels (Che 2018, section 2.3)."""
    network, tensors = encoder("series", "gru_d").eval(), inputs(2)["series"]
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    got = encode(network, tensors).values
    x, m, since = tensors["grid_value"], tensors["grid_mask"], tensors["grid_since"] / 24
    states = [_paper_states(network, x[row], m[row], since[row]) for row in range(2)]
    expected = network.norm(torch.stack([torch.stack([s[-1], torch.stack(s).mean(0)]) for s in states]))
    torch.testing.assert_close(got, expected)


def _paper_states(network: GRUD, x: torch.Tensor, m: torch.Tensor, since: torch.Tensor) -> list[torch.Tensor]:
    state, states, last = torch.zeros(network.recurrent.in_features), [], torch.zeros(x.shape[1])
    for step in range(len(x)):
        gamma_x = torch.exp(-torch.clamp(network.input_decay_weight * since[step] + network.input_decay_bias, min=0))
        gamma_h = torch.exp(-torch.clamp(network.state_decay(since[step]), min=0))
        last = torch.where(m[step], x[step], last)
        mean = 0.0
        imputed = torch.where(m[step], x[step], gamma_x * last + (1 - gamma_x) * mean)
        state = gamma_h * state
        z, r, c = network.inputs(torch.cat([imputed, m[step].float()])).chunk(3)
        uz, ur, uc = network.recurrent(state).chunk(3)
        update, reset = torch.sigmoid(z + uz), torch.sigmoid(r + ur)
        state = (1 - update) * state + update * torch.tanh(c + reset * uc)
        states.append(state)
    return states


def test_summaries_are_softmax_means_of_each_code():
    """Compare with an independent loop over samples and codes."""
    network, tensors = encoder("series", "code_attention"), inputs(3)["series"]
    assert isinstance(network, CodeAttention)
    numbers, known = network.summarise(*(tensors[name] for name in network.reads))
    for sample in range(3):
        for code in range(1, 5):
            mine = tensors["triplet_code"][sample] == code
            hours, values = tensors["triplet_time"][sample][mine], tensors["triplet_value"][sample][mine]
            assert known[sample, code] == mine.any()
            if not mine.any():
                continue
            slopes = torch.tensor(HEADS)
            weights = (slopes[:, :1] * hours / 24 + slopes[:, 1:] * smooth_clip(values)).softmax(dim=1)
            torch.testing.assert_close(numbers[sample, code, : len(HEADS)], smooth_clip(weights @ values))
            habits = [mine.sum().float().log() / 2 - 1, torch.log1p(hours.min()) / 2 - 1]
            torch.testing.assert_close(numbers[sample, code, len(HEADS) :], torch.stack(habits))
    assert not known[:, 0].any()


def test_long_records_stay_finite():
    network, tensors = encoder("series", "code_attention"), inputs(3)["series"]
    long = tensors | {
        "triplet_time": tensors["triplet_time"] * 10_000,
        "triplet_value": tensors["triplet_value"] * 1000,
    }
    tokens = encode(network, long)
    (pooled(tokens) * torch.randn(tokens.values.shape)).sum().backward()
    assert all(weight.grad.isfinite().all() for weight in network.parameters())


def test_series_without_measurements_is_finite():
    for name in ("triplet", "code_attention"):
        network, tensors = encoder("series", name).eval(), inputs(3)["series"]
        empty = tensors | {"triplet_code": torch.zeros_like(tensors["triplet_code"])}
        assert pooled(encode(network, empty)).isfinite().all()

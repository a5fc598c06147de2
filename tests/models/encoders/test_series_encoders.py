import torch

from polyclinic.models.encoders.gru_d import GRUD, last_seen

from ..inputs import encode, encoder, inputs, pooled


def test_triplets_are_a_set():
    network, tensors = encoder("series", "triplet").eval(), inputs(4)["series"]
    order = torch.randperm(9, generator=torch.Generator().manual_seed(2))
    shuffled = {name: tensors[name][:, order] for name in network.reads}
    torch.testing.assert_close(pooled(encode(network, tensors)), pooled(encode(network, shuffled)))


def test_triplets_mixed_by_attention_are_a_set_too():
    from polyclinic.models.encoders.triplets import TripletTransformer

    from ..inputs import SIZES, WIDTH

    torch.manual_seed(0)
    network, tensors = TripletTransformer(SIZES["series"], WIDTH, 0.0, context_layers=2).eval(), inputs(4)["series"]
    order = torch.randperm(9, generator=torch.Generator().manual_seed(2))
    shuffled = {name: tensors[name][:, order] for name in network.reads}
    torch.testing.assert_close(pooled(encode(network, tensors)), pooled(encode(network, shuffled)))


def test_the_code_of_a_triplet_matters():
    network, tensors = encoder("series", "triplet").eval(), inputs(4)["series"]
    other = tensors | {"triplet_code": torch.where(tensors["triplet_code"] == 1, 2, tensors["triplet_code"])}
    assert not torch.allclose(pooled(encode(network, tensors)), pooled(encode(network, other)))


def test_the_last_value_is_carried_forward():
    values = torch.tensor([[[5.0], [torch.nan], [7.0], [9.0]]])
    mask = torch.tensor([[[False], [True], [False], [True]]])
    values[0, 1] = 3.0
    assert last_seen(values, mask)[0, :, 0].tolist() == [0.0, 3.0, 3.0, 9.0]


def test_gru_d_equals_the_papers_equations_step_by_step():
    """An independent loop over steps and channels, from the equations of Che 2018, section 2.3."""
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

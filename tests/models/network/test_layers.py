import torch

from polyclinic.models.network.layers import Attention, AttentionPool, Dropout, masked_mean, smooth_clip, used_length


def test_attention_equals_torch():
    """Equals `torch.nn.MultiheadAttention` with the same weights."""
    torch.manual_seed(0)
    ours, reference = Attention(32), torch.nn.MultiheadAttention(32, 2, batch_first=True)
    reference.in_proj_weight.data = torch.cat([ours.query.weight, ours.key_value.weight])
    reference.in_proj_bias.data = torch.cat([ours.query.bias, ours.key_value.bias])
    reference.out_proj.load_state_dict(ours.out.state_dict())
    queries, context, mask = torch.randn(3, 4, 32), torch.randn(3, 5, 32), torch.rand(3, 5) > 0.4
    mask[:, 0] = True
    expected, _ = reference(queries, context, context, key_padding_mask=~mask)
    torch.testing.assert_close(ours(queries, context, mask[:, None]), expected)


def test_attention_pool_starts_as_the_masked_mean():
    tokens, mask = torch.randn(2, 3, 8), torch.tensor([[True, True, False], [False, False, False]])
    pool = AttentionPool(8)
    torch.testing.assert_close(pool(tokens, mask), masked_mean(tokens, mask))
    pool.score.data.normal_()
    assert not pool(tokens, mask)[1].any()


def test_dropout_drops_a_feature_in_all_tokens_of_a_sample():
    torch.manual_seed(0)
    dropped = Dropout(0.4)(torch.ones(50, 6, 20))
    assert ((dropped == 0).all(dim=1) | (dropped != 0).all(dim=1)).all()
    assert abs(dropped.mean().item() - 1) < 0.05
    assert torch.equal(Dropout(0.4).eval()(dropped), dropped)


def test_clipping_is_smooth_monotone_and_bounded():
    values = torch.linspace(-50, 50, 1001)
    clipped = smooth_clip(values)
    assert (clipped.diff() > 0).all()
    assert clipped.abs().max() < 3
    torch.testing.assert_close(smooth_clip(torch.tensor(0.1)), torch.tensor(0.1), rtol=1e-3, atol=0)


def test_used_length_trims_common_padding_only():
    assert used_length(torch.tensor([[True, False, False], [False, True, False]])) == 2
    assert used_length(torch.zeros(2, 3, dtype=torch.bool)) == 1

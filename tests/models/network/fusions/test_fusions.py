"""Properties of individual fusions."""

import torch

from polyclinic.models import HeadConfig, build_head
from polyclinic.models.network.fusions import Bottleneck, Late
from polyclinic.models.network.layers import CrossBlock, PresentNorm
from tests.models.network.fusions.test_every_fusion import WIDTH, fusion, tokens

ALL = torch.ones(4, 3, dtype=torch.bool)


def only(place: int) -> torch.Tensor:
    return torch.eye(3, dtype=torch.bool)[place].expand(4, 3)


def test_late_fusion_averages_the_logits_of_the_modalities():
    network, head = fusion("late").eval(), build_head(HeadConfig(kind="binary"), WIDTH)
    assert isinstance(network, Late)
    unimodal = torch.stack([head(network(tokens(4), only(place))) for place in range(3)])
    torch.testing.assert_close(head(network(tokens(4), ALL)), unimodal.mean(dim=0))


def test_single_modality_has_gate_one():
    network, given = fusion("gated").eval(), tokens(4)
    pooled = network.pools[1](*given["series"].masked(torch.ones(4, dtype=torch.bool)))
    torch.testing.assert_close(network(given, only(1)), network.content[1](pooled).tanh())


def test_query_without_keys_keeps_its_residual():
    torch.manual_seed(0)
    block = CrossBlock(WIDTH, 0.0)
    queries = torch.randn(2, 3, WIDTH)
    nothing = torch.zeros(2, 1, 3, dtype=torch.bool)
    torch.testing.assert_close(block(queries, queries, nothing), queries + block.feed_forward(queries))


def test_bottleneck_exchanges_only_through_shared_tokens():
    """Information of another modality is available one layer after it was written to the shared tokens."""
    given, other = tokens(4), tokens(4, seed=1)
    for layers, meets in ((1, False), (2, True)):
        torch.manual_seed(0)
        network = Bottleneck(("structured", "series", "note"), WIDTH, 0.0, layers=layers).eval()
        streams = []
        network.pools[0].register_forward_hook(lambda pool, given, pooled, into=streams: into.append(pooled))
        network(given, ALL)
        network(given | {"note": other["note"]}, ALL)
        assert torch.allclose(*streams) is not meets


def test_present_norm_uses_present_samples_only():
    norm = PresentNorm(2, 3)
    torch.manual_seed(0)
    latents = torch.randn(6, 2, 3) * 4 + 2
    present = torch.tensor([[True, True], [True, False]] * 3)
    absent = latents.masked_fill(~present[..., None], 0)
    normed = norm(absent, present)
    torch.testing.assert_close(normed[:, 0], torch.nn.functional.batch_norm(latents[:, 0], None, None, training=True))
    selected = latents[present[:, 1], 1]
    torch.testing.assert_close(
        normed[present[:, 1], 1], torch.nn.functional.batch_norm(selected, None, None, training=True)
    )
    assert not normed[~present[:, 1], 1].any()


def test_present_norm_has_running_statistics_as_batch_norm():
    norm, reference = PresentNorm(1, 3), torch.nn.BatchNorm1d(3)
    random = torch.Generator().manual_seed(0)
    for _ in range(3):
        latents = torch.randn((8, 3), generator=random) + 1
        norm(latents[:, None], torch.ones(8, 1, dtype=torch.bool))
        reference(latents)
    torch.testing.assert_close(norm.running_mean[0], reference.running_mean)
    torch.testing.assert_close(norm.running_var[0], reference.running_var)

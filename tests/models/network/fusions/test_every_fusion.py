"""Properties of every registered fusion."""

import itertools

import pytest
import torch

from polyclinic.models import FUSIONS, Tokens, build_fusion

MODALITIES = ("structured", "series", "note")
WIDTH = 16
SUBSETS = [subset for subset in itertools.product([False, True], repeat=3) if any(subset)]


def tokens(batch: int, seed: int = 0) -> dict[str, Tokens]:
    random = torch.Generator().manual_seed(seed)
    masks = {
        name: torch.rand((batch, length), generator=random) > 0.3
        for name, length in zip(MODALITIES, (1, 3, 5), strict=True)
    }
    for mask in masks.values():
        mask[:, 0] = True
    return {name: Tokens(torch.randn((*mask.shape, WIDTH), generator=random), mask) for name, mask in masks.items()}


def fusion(name: str, dropout: float = 0.0, seed: int = 0):
    torch.manual_seed(seed)
    return build_fusion(name, MODALITIES, WIDTH, dropout)


def corrupted(given: dict[str, Tokens], present: torch.Tensor) -> dict[str, Tokens]:
    """NaN in absent and masked slots; the masks of absent modalities are inverted."""
    dirty = {}
    for place, name in enumerate(MODALITIES):
        values, mask = given[name]
        is_present = present[:, place, None]
        dirty[name] = Tokens(values.masked_fill(~(mask & is_present)[..., None], torch.nan), mask | ~is_present)
    return dirty


@pytest.mark.parametrize("name", FUSIONS)
@pytest.mark.parametrize("subset", SUBSETS)
def test_absent_modalities_have_no_influence(name, subset):
    network, given = fusion(name).eval(), tokens(4)
    present = torch.tensor([subset] * 4)
    clean = network(given, present)
    assert clean.shape == (4, WIDTH)
    assert clean.isfinite().all()
    assert torch.equal(clean, network(corrupted(given, present), present))


@pytest.mark.parametrize("name", FUSIONS)
def test_absent_modalities_have_no_influence_on_gradients(name):
    present = torch.tensor([[True, False, True], [False, True, True], [True, False, False], [True, True, True]])
    gradients = []
    for make in (lambda given: given, lambda given: corrupted(given, present)):
        network, given = fusion(name), make(tokens(4))
        leaves = {name: Tokens(own.values.clone().requires_grad_(), own.mask) for name, own in given.items()}
        network(leaves, present).square().sum().backward()
        weights = [weight for weight in network.parameters() if weight.grad is not None]
        gradients.append([leaf.grad for leaf in [*weights, *(own.values for own in leaves.values())]])
    for clean, dirty in zip(*gradients, strict=True):
        assert torch.equal(clean, dirty)
        assert clean.isfinite().all()


@pytest.mark.parametrize("name", FUSIONS)
def test_present_modalities_have_an_influence(name):
    network, given = fusion(name).eval(), tokens(4)
    everything = torch.ones(4, 3, dtype=torch.bool)
    full = network(given, everything)
    for place in range(3):
        fewer = everything.clone()
        fewer[:, place] = False
        assert not torch.allclose(full, network(given, fewer), atol=1e-4)


@pytest.mark.parametrize("name", FUSIONS)
def test_no_present_modality_gives_a_finite_constant(name):
    network = fusion(name).eval()
    none_present = torch.zeros(4, 3, dtype=torch.bool)
    latent = network(tokens(4), none_present)
    assert latent.isfinite().all()
    assert torch.equal(latent, network(tokens(4, seed=1), none_present))
    torch.testing.assert_close(latent, latent[:1].expand_as(latent))


@pytest.mark.parametrize("name", FUSIONS)
def test_modality_without_tokens_counts_as_absent(name):
    network, given = fusion(name).eval(), tokens(4)
    given["note"] = Tokens(given["note"].values, torch.zeros_like(given["note"].mask))
    everything, without = torch.ones(4, 3, dtype=torch.bool), torch.tensor([[True, True, False]] * 4)
    assert torch.equal(network(given, everything), network(given, without))


@pytest.mark.parametrize("name", FUSIONS)
def test_samples_are_independent(name):
    network, given = fusion(name).eval(), tokens(4)
    present = torch.tensor([[True, False, True], [False, True, True], [True, False, False], [True, True, True]])
    batched = network(given, present)
    for row in range(4):
        single = {name: Tokens(own.values[row : row + 1], own.mask[row : row + 1]) for name, own in given.items()}
        torch.testing.assert_close(network(single, present[row : row + 1])[0], batched[row])


@pytest.mark.parametrize("name", FUSIONS)
def test_order_of_tokens_has_no_influence(name):
    """Encoders add position and time to the tokens."""
    network, given = fusion(name).eval(), tokens(4)
    everything, order = torch.ones(4, 3, dtype=torch.bool), torch.tensor([4, 2, 0, 1, 3])
    shuffled = given | {"note": Tokens(given["note"].values[:, order], given["note"].mask[:, order])}
    torch.testing.assert_close(network(given, everything), network(shuffled, everything))


@pytest.mark.parametrize("name", FUSIONS)
def test_training_batch_of_one_is_finite(name):
    assert fusion(name, dropout=0.3).train()(tokens(1), torch.ones(1, 3, dtype=torch.bool)).isfinite().all()


@pytest.mark.parametrize("name", FUSIONS)
@pytest.mark.slow
def test_learns_an_interaction_of_two_modalities(name):
    """Exclusive or of a sign in each of two modalities: neither is informative by itself."""
    torch.manual_seed(0)
    signs = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]).repeat(8, 1)
    target = (signs[:, 0] != signs[:, 1]).float()
    given = tokens(32)
    given["structured"].values[..., 0] = signs[:, :1]
    given["note"].values[..., 0] = signs[:, 1:]
    network, head = (
        fusion(name),
        torch.nn.Sequential(torch.nn.Linear(WIDTH, WIDTH), torch.nn.GELU(), torch.nn.Linear(WIDTH, 1)),
    )
    optimizer = torch.optim.AdamW([*network.parameters(), *head.parameters()], lr=1e-2, weight_decay=0)
    for _ in range(80):
        optimizer.zero_grad()
        logit = head(network(given, torch.ones(32, 3, dtype=torch.bool)))[:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, target)
        loss.backward()
        optimizer.step()
    assert loss < 0.1


def test_unknown_fusion_raises_with_the_choices():
    with pytest.raises(ValueError, match="unknown fusion 'sum': choose from bottleneck, concat"):
        build_fusion("sum", MODALITIES, WIDTH, 0.0)

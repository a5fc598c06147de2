import pytest
import torch

from tests.models.inputs import encode, encoder, inputs, pooled


@pytest.mark.parametrize("name", ["cnn", "bilstm_attention"])
def test_padding_has_no_influence(name):
    network, tensors = encoder("note", name).eval(), inputs(4)["note"]
    longer = {key: torch.nn.functional.pad(tensors[key], (0, 5)) for key in network.reads}
    torch.testing.assert_close(pooled(encode(network, tensors)), pooled(encode(network, longer)))


@pytest.mark.parametrize("name", ["cnn", "bilstm_attention"])
def test_word_order_has_an_influence(name):
    network, tensors = encoder("note", name).eval(), inputs(4)["note"]
    words = torch.arange(2, 13).repeat(4, 1)
    forward = pooled(encode(network, tensors | {"words": words}))
    assert not torch.allclose(forward, pooled(encode(network, tensors | {"words": words.flip(1)})))


@pytest.mark.parametrize("name", ["cnn", "bilstm_attention"])
def test_section_of_a_word_has_an_influence(name):
    network, tensors = encoder("note", name).eval(), inputs(4)["note"]
    moved = tensors | {"word_section": (tensors["word_section"] + 1) % 3}
    assert not torch.allclose(pooled(encode(network, tensors)), pooled(encode(network, moved)))


@pytest.mark.parametrize("name", ["cnn", "bilstm_attention"])
def test_words_outside_the_vocabulary_are_unknown(name):
    network, tensors = encoder("note", name).eval(), inputs(4)["note"]
    words = tensors["words"]
    unknown, beyond = words.clone(), words.clone()
    unknown[:, 0], beyond[:, 0] = 1, 999
    assert torch.equal(
        pooled(encode(network, tensors | {"words": unknown})), pooled(encode(network, tensors | {"words": beyond}))
    )


def test_note_without_words_is_finite():
    for name in ("cnn", "bilstm_attention"):
        network, tensors = encoder("note", name).eval(), inputs(3)["note"]
        empty = tensors | {"words": torch.zeros_like(tensors["words"])}
        assert pooled(encode(network, empty)).isfinite().all()


def test_section_of_a_sentence_has_an_influence():
    network, tensors = encoder("note", "minilm").eval(), inputs(4)["note"]
    moved = tensors | {"sentence_section": (tensors["sentence_section"] + 1) % 3}
    assert not torch.allclose(pooled(encode(network, tensors)), pooled(encode(network, moved)))


@pytest.fixture
def bag():
    """A bag of words with random embeddings."""
    network = encoder("note", "bag_of_words").eval()
    torch.nn.init.normal_(network.word.weight, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        network.word.weight[0] = 0
    return network


def encoded(network, words, denied=()):
    """Encode one note."""
    places = torch.tensor([[place in denied for place in range(len(words))]])
    return pooled(encode(network, {"words": torch.tensor([words]), "word_denied": places}))


def test_bag_of_words_is_additive_and_order_invariant(bag):
    both = encoded(bag, [5, 9])
    torch.testing.assert_close(both, encoded(bag, [5]) + encoded(bag, [9]))
    torch.testing.assert_close(both, encoded(bag, [9, 5]))
    torch.testing.assert_close(both, encoded(bag, [0, 9, 0, 5, 0]))


def test_negated_word_is_a_different_word(bag):
    assert not torch.allclose(encoded(bag, [5]), encoded(bag, [5], denied=[0]))
    torch.testing.assert_close(encoded(bag, [5, 9], denied=[1]), encoded(bag, [5]) + encoded(bag, [9], denied=[0]))


def test_repeated_word_counts_once(bag):
    torch.testing.assert_close(encoded(bag, [5, 9, 5, 5]), encoded(bag, [5, 9]))
    torch.testing.assert_close(encoded(bag, [5, 5], denied=[1]), encoded(bag, [5]) + encoded(bag, [5], denied=[0]))


def test_bag_maps_words_outside_the_vocabulary_to_unknown(bag):
    torch.testing.assert_close(encoded(bag, [999, 5]), encoded(bag, [1, 5]))


def test_bag_without_words_is_zero(bag):
    assert not encoded(bag, [0, 0], denied=[1]).any()


def test_bag_starts_at_zero_and_only_words_in_training_change(bag):
    network = encoder("note", "bag_of_words").train()
    assert not network.word.weight.any()
    torch.manual_seed(0)
    encode(
        network, {"words": torch.tensor([[5, 9]] * 20), "word_denied": torch.zeros(20, 2, dtype=torch.bool)}
    ).values.sum().backward()
    assert network.word.weight.grad.any(dim=1).nonzero().ravel().tolist() == [5, 9]

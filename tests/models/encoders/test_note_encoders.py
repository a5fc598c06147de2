import pytest
import torch

from ..inputs import encode, encoder, inputs, pooled


@pytest.mark.parametrize("name", ["cnn", "bilstm_attention"])
def test_more_padding_changes_nothing(name):
    network, tensors = encoder("note", name).eval(), inputs(4)["note"]
    longer = {key: torch.nn.functional.pad(tensors[key], (0, 5)) for key in network.reads}
    torch.testing.assert_close(pooled(encode(network, tensors)), pooled(encode(network, longer)))


@pytest.mark.parametrize("name", ["cnn", "bilstm_attention"])
def test_the_order_of_words_matters(name):
    network, tensors = encoder("note", name).eval(), inputs(4)["note"]
    words = torch.arange(2, 13).repeat(4, 1)
    forward = pooled(encode(network, tensors | {"words": words}))
    assert not torch.allclose(forward, pooled(encode(network, tensors | {"words": words.flip(1)})))


@pytest.mark.parametrize("name", ["cnn", "bilstm_attention"])
def test_the_section_of_a_word_matters(name):
    network, tensors = encoder("note", name).eval(), inputs(4)["note"]
    moved = tensors | {"word_section": (tensors["word_section"] + 1) % 3}
    assert not torch.allclose(pooled(encode(network, tensors)), pooled(encode(network, moved)))


@pytest.mark.parametrize("name", ["cnn", "bilstm_attention"])
def test_words_beyond_the_vocabulary_are_unknown_words(name):
    network, tensors = encoder("note", name).eval(), inputs(4)["note"]
    words = tensors["words"]
    unknown, beyond = words.clone(), words.clone()
    unknown[:, 0], beyond[:, 0] = 1, 999
    assert torch.equal(
        pooled(encode(network, tensors | {"words": unknown})), pooled(encode(network, tensors | {"words": beyond}))
    )


def test_a_note_without_words_is_finite():
    for name in ("cnn", "bilstm_attention"):
        network, tensors = encoder("note", name).eval(), inputs(3)["note"]
        empty = tensors | {"words": torch.zeros_like(tensors["words"])}
        assert pooled(encode(network, empty)).isfinite().all()


def test_the_section_of_a_sentence_matters():
    network, tensors = encoder("note", "minilm").eval(), inputs(4)["note"]
    moved = tensors | {"sentence_section": (tensors["sentence_section"] + 1) % 3}
    assert not torch.allclose(pooled(encode(network, tensors)), pooled(encode(network, moved)))

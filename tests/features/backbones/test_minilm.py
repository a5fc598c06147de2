"""all-MiniLM-L6-v2: equal to transformers' BERT, independent of the batch, fine-tunable."""

import platform

import numpy as np
import pytest
import torch
from torch.nn import functional

from polyclinic.features.backbones import BACKBONES, WeightsError
from polyclinic.features.backbones.minilm import MAX_PIECES, PADDING, MiniLM, SentenceTokenizer, embed, load

SENTENCES = [
    "No acute cardiopulmonary abnormality.",
    "Small left pleural effusion.",
    "There is a small effusion on the left side, with adjacent atelectasis of the lower lobe.",
    "Heart size is normal.",
    "yes",
    "The patient denies chest pain; troponin 0.04 ng/mL, CRP 12 mg/L.",
    "Lungs are clear.",
]


@pytest.fixture(scope="module")
def network() -> MiniLM:
    return load()


@pytest.fixture(scope="module")
def tokenizer() -> SentenceTokenizer:
    return SentenceTokenizer()


@pytest.fixture(scope="module")
def bert():
    """The same weights in transformers' network."""
    from transformers.models.bert import BertModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    folder = BACKBONES["minilm"].weights_path().parent
    return BertModel.from_pretrained(folder, add_pooling_layer=False, local_files_only=True).eval()


@torch.inference_mode()
def test_equals_transformers(network, tokenizer, bert):
    pieces = tokenizer(SENTENCES)
    mask = pieces != PADDING
    theirs = bert(input_ids=pieces, attention_mask=mask.long()).last_hidden_state
    torch.testing.assert_close(network(pieces)[mask], theirs[mask], atol=2e-5, rtol=1e-4)
    assert not network(pieces)[~mask].any()
    mean = (theirs * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
    torch.testing.assert_close(network.sentence_vectors(pieces), functional.normalize(mean), atol=1e-5, rtol=1e-4)


def test_tokenizer_equals_transformers(tokenizer):
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(BACKBONES["minilm"].weights_path().parent, local_files_only=True)
    expected = theirs(SENTENCES, padding="longest", truncation=False)["input_ids"]
    assert tokenizer(SENTENCES).tolist() == expected


def test_similar_meanings_have_similar_embeddings(network, tokenizer):
    effusion, also_effusion, heart = embed(network, tokenizer, [SENTENCES[1], SENTENCES[2], SENTENCES[3]])
    assert effusion @ also_effusion > 0.6 > effusion @ heart
    np.testing.assert_allclose(np.linalg.norm(effusion), 1, rtol=1e-5)


def test_embedding_does_not_depend_on_the_batch(network, tokenizer):
    batched = embed(network, tokenizer, SENTENCES)
    single = np.concatenate([embed(network, tokenizer, [sentence]) for sentence in SENTENCES])
    backwards = embed(network, tokenizer, SENTENCES[::-1])[::-1]
    np.testing.assert_allclose(single, batched, atol=1e-6)
    if platform.machine() == "x86_64":  # bitwise equality was observed there
        np.testing.assert_array_equal(single, batched)
        np.testing.assert_array_equal(backwards, batched)


def test_long_sentences_are_truncated_and_batches_split(network, tokenizer):
    assert tokenizer(["effusion " * 1000]).shape == (1, MAX_PIECES)
    texts = [f"nodule of {size} mm {'in the right upper lobe ' * (size % 5)}" for size in range(150)]
    vectors = embed(network, tokenizer, texts)
    assert vectors.shape == (150, 384)
    np.testing.assert_allclose(vectors[[149, 3]], embed(network, tokenizer, [texts[149], texts[3]]), atol=1e-6)


def test_no_texts(network, tokenizer):
    assert embed(network, tokenizer, []).shape == (0, 384)


def test_is_fine_tunable(tokenizer):
    tuned = load().train()
    tuned.sentence_vectors(tokenizer(SENTENCES[:3])).sum(dim=0).square().sum().backward()
    trained = [parameter for name, parameter in tuned.named_parameters() if "key.bias" not in name]  # has no influence
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in trained)


def test_weights_of_another_network_raise(tmp_path):
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="not those of all-MiniLM"):
        load(tmp_path / "other.safetensors")

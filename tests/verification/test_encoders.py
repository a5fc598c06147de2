"""What is expected of the shipped encoders is what others' networks give, too."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from polyclinic.features.backbones import BACKBONES
from polyclinic.features.backbones.efficientnet_lite0 import load
from polyclinic.features.backbones.minilm import SentenceTokenizer
from polyclinic.verification.encoders import SIDE, encoded, expected, fingerprints, rings
from polyclinic.verification.verify import compared


def test_encoders_reproduce_the_reference_outputs():
    assert [compared(*pair).same for pair in encoded()] == [True] * 3


def test_fingerprints_are_those_of_the_shipped_weights():
    assert {one.encoder for one in fingerprints()} == set(BACKBONES)
    assert all(one.expected == one.here for one in fingerprints())
    assert fingerprints()[0].here.startswith("57934424")  # as its file is named


@torch.inference_mode()
def test_features_of_the_image_are_recomputed_independently():
    """Letterboxed by Pillow, (255 g − 127) / 128, and the network as it was published, its batch norms not folded."""
    with Image.open(BytesIO(rings())) as picture:
        height = round(picture.height * SIDE / picture.width)
        small = np.asarray(picture.resize((SIDE, height), Image.Resampling.BILINEAR), dtype=np.float32)
    canvas = np.zeros((SIDE, SIDE), dtype=np.float32)
    canvas[(SIDE - height) // 2 :][:height] = small
    pooled = load().features(torch.from_numpy((canvas - 127) / 128).expand(1, 3, -1, -1)).mean(dim=(2, 3))[0]
    kept = expected("picture")
    assert [kept[f"feature {place}"] for place in range(1, 17)] == pytest.approx(pooled[:16].tolist(), abs=1e-4)
    assert kept["length of features"] == pytest.approx(pooled.norm().item(), abs=1e-3)


@torch.inference_mode()
def test_sentence_vectors_equal_those_of_transformers():
    from transformers import AutoTokenizer
    from transformers.models.bert import BertModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    folder, kept = BACKBONES["minilm"].weights_path().parent, expected("minilm")
    bert = BertModel.from_pretrained(folder, add_pooling_layer=False, local_files_only=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    given = [tokenizer(sentence, return_tensors="pt") for sentence in kept["sentences"]]
    assert [one["input_ids"][0].tolist() for one in given] == [SentenceTokenizer().ids(s) for s in kept["sentences"]]
    vectors = [functional.normalize(bert(**one).last_hidden_state.mean(dim=1))[0] for one in given]
    for number, vector in enumerate(vectors, 1):
        begun = [kept["values"][f"sentence {number}, {place}"] for place in range(1, 17)]
        assert begun == pytest.approx(vector[:16].tolist(), abs=2e-5)
    assert kept["values"]["likeness"] == pytest.approx(float(vectors[0] @ vectors[1]), abs=2e-5)

import numpy as np
import pytest
import torch

from polyclinic.modalities import MODALITIES
from polyclinic.models import Batch, concatenate, subsets
from tests.models.inputs import batch

ARRAYS = {
    "note": {
        "present": np.array([True, False, True]),
        "words": np.array([[3, 1], [0, 0], [4, 0]]),
        "texts": np.array(["fever", "", "cough"], dtype=object),
    },
    "structured": {"present": np.array([True, True, False]), "values": np.arange(6, dtype=np.float32).reshape(3, 2)},
}


def test_from_arrays_orders_modalities():
    made = Batch.from_arrays(ARRAYS)
    assert made.modalities == ("structured", "note")
    assert list(made.inputs["note"]) == ["words"]
    assert made.present.tolist() == [[True, True], [True, False], [False, True]]


def test_from_arrays_selects_rows_and_arrays():
    made = Batch.from_arrays(ARRAYS, np.array([2, 0]), reads={"structured": (), "note": ("words",)})
    assert made.inputs == {"structured": {}, "note": made.inputs["note"]}
    assert made.inputs["note"]["words"].tolist() == [[4, 0], [3, 1]]
    assert made.present.tolist() == [[False, True], [True, True]]


def test_batch_does_not_share_memory_with_arrays():
    Batch.from_arrays(ARRAYS).inputs["structured"]["values"].zero_()
    assert ARRAYS["structured"]["values"].sum() == 15


def test_memory_mapped_arrays_are_read(tmp_path):
    np.save(tmp_path / "tokens.npy", np.ones((3, 2), dtype=np.float16))
    mapped = {"image": {"present": np.ones(3, dtype=bool), "tokens": np.load(tmp_path / "tokens.npy", mmap_mode="r")}}
    for rows in (None, np.array([1])):
        tokens = Batch.from_arrays(mapped, rows).inputs["image"]["tokens"]
        assert tokens.add_(1).unique().tolist() == [2.0]


def test_select_and_concatenate_round_trip():
    whole = batch(5)
    parts = concatenate([whole.select([0, 1]), whole.select(slice(2, 3)), whole.select(torch.arange(5) > 2)])
    assert torch.equal(parts.present, whole.present)
    for modality, tensors in whole.inputs.items():
        for name, tensor in tensors.items():
            assert torch.equal(parts.inputs[modality][name], tensor)


def test_shorter_tensors_are_padded_with_zeros():
    short, long = Batch.from_arrays(ARRAYS), Batch.from_arrays(ARRAYS)
    long.inputs["note"]["words"] = torch.ones(3, 4, dtype=torch.int64)
    assert concatenate([short, long]).inputs["note"]["words"][0].tolist() == [3, 1, 0, 0]


def test_other_modalities_cannot_be_concatenated():
    note_only = Batch.from_arrays({"note": ARRAYS["note"]})
    with pytest.raises(ValueError, match="different modalities"):
        concatenate([note_only, Batch.from_arrays(ARRAYS)])


def test_restricted_to_masks_other_modalities():
    kept = batch(2).restricted_to(["note"])
    assert kept.present.tolist() == [[name == "note" for name in MODALITIES]] * 2
    assert not batch(2).presence("genome").any()


def test_presence_must_match_the_inputs():
    with pytest.raises(ValueError, match="one column for each of structured"):
        Batch({"structured": {}}, torch.ones(2, 3, dtype=torch.bool))


def test_to_keeps_all_tensors():
    moved = batch(2).to("cpu")
    assert moved.modalities == tuple(MODALITIES)
    assert len(moved) == 2


def test_there_are_all_subsets_but_the_empty_one():
    assert len(list(subsets(MODALITIES))) == 2 ** len(MODALITIES) - 1
    assert list(subsets(("a", "b"))) == [("a",), ("b",), ("a", "b")]

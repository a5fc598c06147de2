"""What other machines are given of the data, and what they give back."""

import pickle

import numpy as np
import pytest

from polyclinic.features.cache.encoder_cache import EncoderCache, Encoding, Gathered
from polyclinic.study import Study
from polyclinic.training.data.dataset import Examples
from polyclinic.training.members import MemberData, write_network

KEYS = ["ab" * 32, "cd" * 32]


@pytest.fixture
def data(examples, config, tmp_path):
    """Data with images that lie in a cache on this machine."""
    cache = EncoderCache(tmp_path / "cache")
    shelf = cache.shelf(Encoding("network", "", "whole", (3,)))
    shelf.write({key: np.full(3, number) for number, key in enumerate(KEYS)})
    positions = shelf.existing_positions(KEYS)[np.arange(len(examples)) % 2]
    image = {"tokens": Gathered(shelf, positions), "present": np.ones(len(examples), bool)}
    with_images = Examples({**examples.arrays, "image": image}, examples.targets, examples.subjects)
    study = Study(tasks=("demo_deterioration",))
    data = MemberData(study, config, with_images, examples.targets, examples.subjects, {}, {}, {}, [], [], tmp_path)
    return data, cache


def test_data_in_memory_need_no_files_of_this_machine(data):
    data, cache = data
    sent = pickle.dumps(data.in_memory())
    cache.clear()
    found, expected = pickle.loads(sent).network_examples.arrays, np.arange(120) % 2
    np.testing.assert_array_equal(found["image"]["tokens"], np.repeat(expected[:, None], 3, axis=1))
    note = data.network_examples.arrays["note"]["sentences"]
    np.testing.assert_array_equal(found["note"]["sentences"], note)


def test_a_network_is_finished_once_all_its_files_are_written(tmp_path, monkeypatch):
    files = {"epochs/losses.json": b"[]", "network.safetensors": b"weights", "z": b"last"}
    write_network(files, tmp_path)
    assert {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*.*")} == {
        name: content for name, content in files.items() if "." in name
    }
    times = {path.name: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert max(times, key=times.__getitem__) == "network.safetensors"

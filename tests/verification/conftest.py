"""Bundles that the tests of golden outputs share, and changes that must be found."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from polyclinic.features.backbones import BACKBONES, Backbone
from polyclinic.features.image import embeddings as image_encodings
from polyclinic.features.image import preprocessing as image_pixels
from polyclinic.files import sha256
from polyclinic.training.fit import fit_study
from tests.hospital import SIMPLE


@pytest.fixture(scope="package")
def simple(hospital, cache, tmp_path_factory):
    """A bundle of structured data and notes, without a network."""
    bundle = fit_study(SIMPLE, hospital, cache=cache).bundle
    bundle.save(tmp_path_factory.mktemp("simple") / "bundle")
    return bundle


@pytest.fixture
def copy(trained, tmp_path):
    """A copy of a bundle that reads everything, to be tampered with."""
    return shutil.copytree(trained.folder, tmp_path / "copy")


@pytest.fixture
def tampered(copy):
    """The copy, with one weight of one network changed, and its file's hash as if it had been saved so."""
    weights = load_file(copy / "model.safetensors")
    name = next(name for name in weights if "heads" in name and name.endswith("weight"))
    weights[name].view(-1)[0] += 0.5
    save_file(weights, copy / "model.safetensors")
    index = json.loads((copy / "bundle.json").read_text())
    index["files"]["model.safetensors"] = sha256((copy / "model.safetensors").read_bytes())
    (copy / "bundle.json").write_text(json.dumps(index))
    return copy


@pytest.fixture
def other_backbone(tmp_path, monkeypatch):
    """EfficientNet-lite0 with the weights of one layer a little larger."""
    weights = torch.load(BACKBONES["efficientnet_lite0"].weights_path(), map_location="cpu", weights_only=True)
    first = next(iter(weights))
    torch.save(weights | {first: weights[first] * 1.02}, tmp_path / "other.pth")
    usual = Backbone.weights_path
    monkeypatch.setattr(
        Backbone, "weights_path", lambda self: tmp_path / "other.pth" if self.modality == "image" else usual(self)
    )
    image_encodings.frozen_network.cache_clear()
    yield
    image_encodings.frozen_network.cache_clear()


@pytest.fixture
def darker_images(monkeypatch):
    """Pictures in another range of intensities: white is at a half."""
    usual = image_pixels._grey
    monkeypatch.setattr(image_pixels, "_grey", lambda picture: (usual(picture)[0], 2 * usual(picture)[1]))

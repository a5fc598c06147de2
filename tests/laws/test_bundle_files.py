"""Bundles contain no pickle, load without unpickling, and raise if modified."""

import json
import pickle
import shutil
import sys

import pytest
import torch

from polyclinic.modalities import MODALITIES
from polyclinic.models.bundle.bundle import FORMAT, Bundle, BundleError

PICKLED = (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".bin", ".joblib", ".npz")
events: list[str] = []


@pytest.fixture
def no_pickle(monkeypatch):
    """Make unpickling fail, and record audit events of unpickling by other means."""

    load_weights = torch.load

    def refuse(*args, **options):
        if options.get("weights_only"):  # tensors only: the frozen encoder of the installed package
            return load_weights(*args, **options)
        raise AssertionError("something was unpickled")

    for module, names in ((pickle, ("load", "loads", "Unpickler", "_Unpickler")), (torch, ("load",))):
        for name in names:
            monkeypatch.setattr(module, name, refuse)
    sys.addaudithook(_record_event)  # cannot be removed; does nothing while `events` is empty
    events.append("watched")
    yield events
    events.clear()


def _record_event(event, arguments):
    if events and event == "pickle.find_class":
        events.append(str(arguments))


def test_bundle_contains_no_pickle(trained):
    files = [path for path in trained.folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [path.name for path in files if path.suffix in PICKLED] == []
    assert [path.name for path in files if path.read_bytes()[:1] == b"\x80"] == []


@pytest.mark.parametrize("which", ["trained", "every_kind"])
def test_bundle_is_loaded_and_used_without_pickle(which, request, hospital, no_pickle):
    bundle = request.getfixturevalue(which).bundle()
    assert bundle.predict(hospital, subjects=hospital.subjects_in("tuning")).frame.height > 0
    assert no_pickle == ["watched"]


@pytest.fixture
def copy(every_kind, tmp_path):
    """A copy of a bundle to modify."""
    return shutil.copytree(every_kind.folder, tmp_path / "copy")


def test_another_format_raises(copy):
    index = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps(index | {"format": FORMAT + 1, "polyclinic": "9.1"}))
    with pytest.raises(BundleError, match=f"format {FORMAT + 1}, written by Polyclinic 9.1; this version reads"):
        Bundle.load(copy)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": null}', "\x00\xff"])
def test_damaged_index_raises(copy, content):
    (copy / "bundle.json").write_text(content)
    with pytest.raises(BundleError):
        Bundle.load(copy)


def checksummed(folder):
    return sorted(json.loads((folder / "bundle.json").read_text())["files"])


def test_every_file_has_a_checksum(copy):
    read = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()} - {"bundle.json"}
    assert set(checksummed(copy)) == read


@pytest.mark.parametrize("name", ["study.yaml", "features.json", "model.safetensors", "calibration.json", "classical"])
def test_missing_or_modified_file_raises(copy, name):
    for file in [file for file in checksummed(copy) if file.startswith(name)]:
        content = (copy / file).read_bytes()
        (copy / file).unlink()
        with pytest.raises(BundleError, match="is missing"):
            Bundle.load(copy)
        (copy / file).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(BundleError, match="was modified after it was saved"):
            Bundle.load(copy)
        (copy / file).write_bytes(content)
    assert Bundle.load(copy).inputs == tuple(MODALITIES)


def test_exchanged_models_raise(copy):
    one, other = (
        copy / "classical" / task / "logistic_regression.safetensors" for task in ("demo_stay", "demo_findings")
    )
    content = one.read_bytes()
    shutil.copy(other, one)
    other.write_bytes(content)
    with pytest.raises(BundleError, match="was modified after it was saved"):
        Bundle.load(copy)


def test_missing_bundle_raises(tmp_path):
    with pytest.raises(BundleError, match="polyclinic train"):
        Bundle.load(tmp_path)

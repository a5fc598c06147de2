"""A bundle holds no pickle, is loaded without one, and is refused when it is not what was saved."""

import json
import pickle
import shutil
import sys

import pytest
import torch

from polyclinic.models.bundle.bundle import FORMAT, Bundle, BundleError

PICKLED = (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".bin", ".joblib", ".npz")
watching: list[str] = []


@pytest.fixture
def no_pickle(monkeypatch):
    """Make every way to unpickle fail, and note what gets through by another name."""

    load_weights = torch.load

    def refuse(*args, **options):
        if options.get("weights_only"):  # tensors alone: the frozen encoder of the installed package
            return load_weights(*args, **options)
        raise AssertionError("something was unpickled")

    for module, names in ((pickle, ("load", "loads", "Unpickler", "_Unpickler")), (torch, ("load",))):
        for name in names:
            monkeypatch.setattr(module, name, refuse)
    sys.addaudithook(_note)  # cannot be removed; it does nothing when nobody watches
    watching.append("watched")
    yield watching
    watching.clear()


def _note(event, arguments):
    if watching and event == "pickle.find_class":
        watching.append(str(arguments))


def test_it_holds_no_pickle(trained):
    files = [path for path in trained.folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [path.name for path in files if path.suffix in PICKLED] == []
    assert [path.name for path in files if path.read_bytes()[:1] == b"\x80"] == []


@pytest.mark.parametrize("which", ["trained", "every_kind"])
def test_it_is_loaded_and_used_without_pickle(which, request, hospital, no_pickle):
    bundle = request.getfixturevalue(which).bundle()
    assert bundle.predict(hospital, subjects=hospital.subjects_in("tuning")).frame.height > 0
    assert no_pickle == ["watched"]


@pytest.fixture
def copy(every_kind, tmp_path):
    """A copy of a bundle, to be tampered with."""
    return shutil.copytree(every_kind.folder, tmp_path / "copy")


def test_another_format_is_refused_and_says_which(copy):
    index = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps(index | {"format": FORMAT + 1, "polyclinic": "9.1"}))
    with pytest.raises(BundleError, match=f"format {FORMAT + 1}, written by Polyclinic 9.1; this version reads"):
        Bundle.load(copy)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": null}', "\x00\xff"])
def test_a_damaged_index_is_refused(copy, content):
    (copy / "bundle.json").write_text(content)
    with pytest.raises(BundleError):
        Bundle.load(copy)


def sealed(folder):
    return sorted(json.loads((folder / "bundle.json").read_text())["files"])


def test_everything_that_is_read_is_sealed(copy):
    read = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()} - {"bundle.json"}
    assert set(sealed(copy)) == read


@pytest.mark.parametrize("name", ["study.yaml", "features.json", "model.safetensors", "calibration.json", "classical"])
def test_a_missing_or_exchanged_file_is_refused(copy, name):
    for file in [one for one in sealed(copy) if one.startswith(name)]:
        content = (copy / file).read_bytes()
        (copy / file).unlink()
        with pytest.raises(BundleError, match="is missing"):
            Bundle.load(copy)
        (copy / file).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(BundleError, match="is not what was saved"):
            Bundle.load(copy)
        (copy / file).write_bytes(content)
    assert Bundle.load(copy).inputs == ("structured", "series", "note", "image")


def test_models_of_two_tasks_cannot_be_exchanged(copy):
    one, other = (copy / "classical" / task / "logistic_regression.skops" for task in ("demo_stay", "demo_findings"))
    content = one.read_bytes()
    shutil.copy(other, one)
    other.write_bytes(content)
    with pytest.raises(BundleError, match="is not what was saved"):
        Bundle.load(copy)


def test_no_bundle_at_all(tmp_path):
    with pytest.raises(BundleError, match="polyclinic train"):
        Bundle.load(tmp_path)

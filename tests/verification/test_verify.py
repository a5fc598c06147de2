"""Verification detects a changed weight, backbone or range of intensities, but not rounding."""

import json
from math import inf, nan

import pytest

from polyclinic.features.backbones import Backbone, WeightsError
from polyclinic.files import sha256
from polyclinic.models.bundle.bundle import BundleError
from polyclinic.models.bundle.golden import Part
from polyclinic.verification.verify import TOLERANCES, compared, verify


def differing(found):
    return {check.what for check in found.differing}


def test_an_unchanged_bundle_is_verified(trained):
    found = verify(trained.folder)
    assert found.passed
    assert found.versions == {}
    assert {"files of the bundle", "demo_deterioration: answer", "demo_deterioration: attribution of yes"} <= {
        check.what for check in found.checks
    }


def test_a_bundle_without_a_network_is_verified(simple):
    assert verify(simple.folder).passed


def test_a_changed_weight_is_detected(tampered):
    found = verify(tampered)
    assert {"demo_deterioration: members", "demo_deterioration: attribution of yes"} <= differing(found)
    assert not any("EfficientNet" in what or "files" in what for what in differing(found))


def test_other_weights_of_a_backbone_are_detected(trained, other_backbone):
    found = verify(trained.folder)
    named = {"weights of efficientnet_lite0", "EfficientNet-lite0, of a wave", "latent, mean of the networks"}
    assert named <= differing(found)
    assert "MiniLM, of two sentences" not in differing(found)


def test_another_range_of_intensities_is_detected(trained, darker_images):
    found = verify(trained.folder)
    assert {"EfficientNet-lite0, of a picture", "latent, mean of the networks"} <= differing(found)
    assert "EfficientNet-lite0, of a wave" not in differing(found)


def test_without_a_bundle_only_the_encoders_are_verified(darker_images):
    found = verify()
    assert differing(found) == {"EfficientNet-lite0, of a picture"}
    assert len(found.checks) == 5


def test_a_bundle_is_not_run_without_installed_weights(trained, monkeypatch):
    def not_installed(self):
        raise WeightsError("install the package of the weights")

    monkeypatch.setattr(Backbone, "weights_path", not_installed)
    found = verify(trained.folder)
    assert not found.passed
    assert differing(found) == {"encoders"}
    assert any("not installed" in reason for reason in found.lacks)


@pytest.mark.parametrize("missing", [False, True])
def test_a_bundle_with_a_changed_file_is_not_run(copy, missing):
    file = copy / "calibration.json"
    file.unlink() if missing else file.write_text(file.read_text() + " ")
    found = verify(copy)
    (check,) = found.differing
    assert (check.which, check.computed == "missing") == ("calibration.json", missing)
    assert "copy the whole bundle anew" in found.lacks[0]
    assert not any("answer" in one.what for one in found.checks)


def test_a_bundle_without_golden_outputs_is_reported(copy):
    index = json.loads((copy / "bundle.json").read_text())
    for name in ("golden.json", "golden.png"):
        del index["files"][name]
        (copy / name).unlink()
    (copy / "bundle.json").write_text(json.dumps(index))
    found = verify(copy)
    assert found.differing == ()
    assert not found.passed
    assert "train it again" in found.lacks[0]


def test_other_versions_are_named(copy):
    golden = json.loads((copy / "golden.json").read_text())
    golden["versions"]["torch"] = "1.0"
    (copy / "golden.json").write_text(json.dumps(golden))
    index = json.loads((copy / "bundle.json").read_text())
    index["files"]["golden.json"] = sha256((copy / "golden.json").read_bytes())
    (copy / "bundle.json").write_text(json.dumps(index))
    found = verify(copy)
    assert found.passed
    assert found.versions.keys() == {"torch"}
    assert found.to_dict()["versions"]["torch"]["then"] == "1.0"


def test_a_folder_without_a_bundle_is_refused(tmp_path):
    with pytest.raises(BundleError, match="no bundle"):
        verify(tmp_path)


@pytest.mark.parametrize("kind", TOLERANCES)
def test_the_largest_difference_decides(kind):
    scale = 8.0
    expected = Part("it", kind, {"a": scale, "b": 0.5})
    allowed = scale * TOLERANCES[kind]
    within = compared(expected, Part("it", kind, {"a": scale, "b": 0.5 + 0.9 * allowed, "more": 9.0}))
    beyond = compared(expected, Part("it", kind, {"a": scale, "b": 0.5 - 1.1 * allowed}))
    assert (within.same, within.which) == (True, "b")
    assert (beyond.same, beyond.which) == (False, "b")


@pytest.mark.parametrize("value", [nan, inf])
def test_a_value_that_is_not_finite_differs(value):
    assert not compared(Part("it", "answer", {"a": 0.5}), Part("it", "answer", {"a": value})).same


def test_a_missing_part_differs():
    expected = Part("it", "attribution", {"a": 0.5})
    assert not compared(expected, None).same
    assert not compared(expected, Part("it", "attribution", {})).same

"""`polyclinic verify`."""

import json
import shutil

from polyclinic.files import sha256


def resealed(folder, name):
    """Write the hash of a changed file into the bundle's index, as if it had been saved so."""
    index = json.loads((folder / "bundle.json").read_text())
    index["files"][name] = sha256((folder / name).read_bytes())
    (folder / "bundle.json").write_text(json.dumps(index))


def test_an_unchanged_bundle_passes(trained, polyclinic):
    done = polyclinic("verify", trained.folder)
    result = polyclinic("verify", trained.folder, "--json").json
    assert done.code == 0
    assert "This installation reproduces the validated outputs." in done.out
    assert "demo_deterioration: answer" in done.out
    assert "DIFFERS" not in done.out
    assert result["verified"]
    assert {check["same"] for check in result["checks"]} == {True}


def test_a_bundle_with_other_outputs_fails(trained, polyclinic, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "copy")
    calibration = json.loads((folder / "calibration.json").read_text())
    calibration["demo_deterioration"]["calibrator"] = None
    (folder / "calibration.json").write_text(json.dumps(calibration))
    golden = json.loads((folder / "golden.json").read_text())
    golden["versions"]["torch"] = "1.0"
    (folder / "golden.json").write_text(json.dumps(golden))
    resealed(folder, "calibration.json")
    resealed(folder, "golden.json")
    done = polyclinic("verify", folder)
    assert done.code == 1
    assert "differs: demo_deterioration: answer" in done.err
    assert "(was 1.0)" in done.err
    assert "DIFFERS" in done.out
    assert not polyclinic("verify", folder, "--json").json["verified"]


def test_a_damaged_bundle_fails(trained, polyclinic, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "copy")
    (folder / "designs.json").unlink()
    done = polyclinic("verify", folder)
    assert done.code == 1
    assert "copy the whole bundle anew" in done.err
    assert "designs.json" in done.out


def test_encoders_only(polyclinic):
    done = polyclinic("verify")
    assert done.code == 0
    assert "MiniLM" in done.out


def test_a_missing_bundle_is_refused(polyclinic, tmp_path):
    assert "no bundle at" in polyclinic("verify", tmp_path).refusal

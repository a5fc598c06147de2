"""`polyclinic verify`."""

import json
import shutil

from polyclinic.files import sha256


def resealed(folder, name):
    """Write the hash of a changed file into the bundle's index, as if it had been saved so."""
    index = json.loads((folder / "bundle.json").read_text())
    index["files"][name] = sha256((folder / name).read_bytes())
    (folder / "bundle.json").write_text(json.dumps(index))


def test_a_bundle_that_is_as_it_was(trained, polyclinic):
    done = polyclinic("verify", trained.folder)
    told = polyclinic("verify", trained.folder, "--json").json
    assert done.code == 0
    assert "This installation computes what was validated." in done.out
    assert "demo_deterioration: answer" in done.out
    assert "DIFFERS" not in done.out
    assert told["verified"]
    assert {check["same"] for check in told["checks"]} == {True}


def test_one_that_answers_otherwise(trained, polyclinic, tmp_path):
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


def test_one_that_was_damaged(trained, polyclinic, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "copy")
    (folder / "designs.json").unlink()
    done = polyclinic("verify", folder)
    assert done.code == 1
    assert "copy the whole bundle anew" in done.err
    assert "designs.json" in done.out


def test_the_encoders_alone(polyclinic):
    done = polyclinic("verify")
    assert done.code == 0
    assert "MiniLM" in done.out


def test_no_bundle(polyclinic, tmp_path):
    assert "no bundle at" in polyclinic("verify", tmp_path).refusal

"""`predict` and `assess` import nothing that only training, pages or plots need."""

import json
import subprocess
import sys

import pytest

NOT_NEEDED = {
    "IPython", "lightning", "matplotlib", "numba", "pandas", "shap", "skops", "sklearn", "tensorboard",
    "torchmetrics", "torchvision", "transformers", "wfdb",
}  # fmt: skip
SLOW_PARTS = {"scipy.optimize", "scipy.signal", "scipy.stats"}
PROGRAM = """
import json, sys
from polyclinic.cli import main
sys.argv = ["polyclinic", *sys.argv[1:]]
try:
    main()
finally:
    print("\\nLOADED", json.dumps(sorted(sys.modules)))
"""


@pytest.fixture
def patient(hospital):
    """A patient of whom everything was recorded."""
    counts = hospital.subjects.sort("waveform", "image", "note", "series", descending=True)
    assert counts["waveform"][0] > 0
    return str(counts["subject_id"][0])


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["predict", "assess"])
def test_answers_import_no_library_that_they_do_not_need(verb, patient, every_kind, hospital, tmp_path):
    words = {
        "predict": ("--subject", patient, "--out", tmp_path / "predictions.parquet"),
        "assess": (patient,),
    }[verb]
    command = [sys.executable, "-c", PROGRAM, verb, every_kind.folder, hospital.path, *words]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
    printed, _, listed = done.stdout.rpartition("LOADED")
    loaded = json.loads(listed)
    assert printed.strip()
    assert "torch" in loaded
    assert {name.partition(".")[0] for name in loaded} & NOT_NEEDED == set()
    assert SLOW_PARTS & set(loaded) == set()

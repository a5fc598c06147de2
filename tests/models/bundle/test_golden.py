"""Saving and loading of golden outputs."""

from datetime import datetime

import pytest

from polyclinic.models.bundle.golden import IMAGE, WAVEFORM, Golden, Part, SyntheticEvent, SyntheticPatient


@pytest.mark.parametrize("blobs", [{}, {IMAGE: b"an image"}, {WAVEFORM: b"an ECG", IMAGE: b"an image"}])
def test_save_and_load_round_trip(blobs, tmp_path):
    events = (
        SyntheticEvent("LAB//a//g", 1.25, 0.1),
        SyntheticEvent("DEMOGRAPHIC//b", None, text="c"),
        SyntheticEvent("IMAGE//c", 1.0, picture=True),
    )
    parts = (Part("task: answer", "answer", {"yes": 0.1 + 0.2}), Part("latent", "latent", {"0": -1e-9}))
    golden = Golden(SyntheticPatient(datetime(2000, 1, 1), events, blobs), {"task": "yes"}, parts, {"torch": "2"})
    files = golden.save(tmp_path)
    assert sorted(files) == sorted(path.name for path in tmp_path.iterdir())
    loaded = Golden.load(tmp_path, files)
    assert loaded.patient.events == events
    assert (loaded.patient.prediction_time, loaded.patient.blobs) == (datetime(2000, 1, 1), blobs)
    assert (loaded.explained, loaded.parts, loaded.versions) == (golden.explained, parts, golden.versions)

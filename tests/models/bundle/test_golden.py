"""Golden outputs go to disk and back."""

from datetime import datetime

import pytest

from polyclinic.models.bundle.golden import Golden, MadeUpEvent, MadeUpPatient, Part


@pytest.mark.parametrize("picture", [None, b"a picture"])
def test_saved_and_loaded_it_is_the_same(picture, tmp_path):
    events = (MadeUpEvent("LAB//a//g", 1.25, 0.1), MadeUpEvent("DEMOGRAPHIC//b", None, text="c"))
    parts = (Part("task: answer", "answer", {"yes": 0.1 + 0.2}), Part("latent", "latent", {"0": -1e-9}))
    golden = Golden(MadeUpPatient(datetime(2000, 1, 1), events, picture), {"task": "yes"}, parts, {"torch": "2"})
    files = golden.save(tmp_path)
    assert sorted(files) == sorted(path.name for path in tmp_path.iterdir())
    loaded = Golden.load(tmp_path, picture is not None)
    assert loaded.patient.events == events
    assert (loaded.patient.prediction_time, loaded.patient.picture) == (datetime(2000, 1, 1), picture)
    assert (loaded.explained, loaded.parts, loaded.versions) == (golden.explained, parts, golden.versions)

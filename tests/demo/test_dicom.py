from datetime import datetime

import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_rescale, apply_voi_lut

from polyclinic.demo.dicom import STORAGES, Label, write_dicom

LABEL = Label("100001", datetime(2020, 2, 3, 4, 5), "AP", "3/100001/0")
PIXELS = np.random.default_rng(0).random((33, 31)).astype(np.float32)


@pytest.mark.parametrize("storage", STORAGES, ids=lambda s: f"{s.modality}{s.bits}")
def test_the_picture_comes_back_through_rescale_window_and_inversion(tmp_path, storage):
    write_dicom(tmp_path / "a.dcm", PIXELS, storage, LABEL)
    read = pydicom.dcmread(tmp_path / "a.dcm")
    values = apply_voi_lut(apply_rescale(read.pixel_array, read), read).astype(float)
    if "WindowWidth" in read:
        low, high = float(values.min()), float(values.max())
        bounds = np.array(
            [read.WindowCenter - 0.5 - (read.WindowWidth - 1) / 2, read.WindowCenter - 0.5 + (read.WindowWidth - 1) / 2]
        )
        stored = apply_rescale(read.pixel_array, read)
        values = np.clip((stored - bounds[0]) / (bounds[1] - bounds[0]), 0, 1)
        assert low < high
    else:
        values /= 255
    shown = 1 - values if read.PhotometricInterpretation == "MONOCHROME1" else values
    np.testing.assert_allclose(shown, PIXELS, atol=0.6 / (storage.white - storage.black))


def test_the_header_says_when_and_how_and_not_who(tmp_path):
    write_dicom(tmp_path / "a.dcm", PIXELS, next(iter(STORAGES)), LABEL)
    read = pydicom.dcmread(tmp_path / "a.dcm")
    assert (read.PatientID, read.StudyDate, read.StudyTime, read.ViewPosition) == ("100001", "20200203", "040500", "AP")
    assert not read.PatientName
    assert not read.PatientBirthDate
    assert list(read.PatientOrientation) == ["L", "F"]


def test_every_kind_of_storage_is_used():
    kinds = set(STORAGES)
    assert sum(STORAGES.values()) == pytest.approx(1)
    assert {s.inverted for s in kinds} == {s.signed for s in kinds} == {s.windowed for s in kinds} == {True, False}
    assert len({s.bits for s in kinds}) >= 4


def test_same_bytes_and_other_identifiers_for_another_film(tmp_path):
    storage = next(iter(STORAGES))
    for name, label in (("a", LABEL), ("b", LABEL), ("c", LABEL._replace(entropy="3/100001/1"))):
        write_dicom(tmp_path / name, PIXELS, storage, label)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    uids = {pydicom.dcmread(tmp_path / name).SOPInstanceUID for name in "abc"}
    assert len(uids) == 2

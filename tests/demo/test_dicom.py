from datetime import datetime

import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_rescale, apply_voi_lut

from polyclinic.demo.dicom import STORAGES, HeaderValues, write_dicom

HEADER = HeaderValues("100001", datetime(2020, 2, 3, 4, 5), "AP", "3/100001/0")
PIXELS = np.random.default_rng(0).random((33, 31)).astype(np.float32)


@pytest.mark.parametrize("storage", STORAGES, ids=lambda s: f"{s.modality}{s.bits}")
def test_pixels_are_recovered_by_the_display_pipeline(tmp_path, storage):
    write_dicom(tmp_path / "a.dcm", PIXELS, storage, HEADER)
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
    displayed = 1 - values if read.PhotometricInterpretation == "MONOCHROME1" else values
    np.testing.assert_allclose(displayed, PIXELS, atol=0.6 / (storage.white - storage.black))


def test_header_has_no_personal_data(tmp_path):
    write_dicom(tmp_path / "a.dcm", PIXELS, next(iter(STORAGES)), HEADER)
    read = pydicom.dcmread(tmp_path / "a.dcm")
    assert (read.PatientID, read.StudyDate, read.StudyTime, read.ViewPosition) == ("100001", "20200203", "040500", "AP")
    assert not read.PatientName
    assert not read.PatientBirthDate
    assert list(read.PatientOrientation) == ["L", "F"]


def test_storages_cover_all_formats():
    kinds = set(STORAGES)
    assert sum(STORAGES.values()) == pytest.approx(1)
    assert {s.inverted for s in kinds} == {s.signed for s in kinds} == {s.windowed for s in kinds} == {True, False}
    assert len({s.bits for s in kinds}) >= 4


def test_bytes_are_reproducible_and_identifiers_unique(tmp_path):
    storage = next(iter(STORAGES))
    for name, header in (("a", HEADER), ("b", HEADER), ("c", HEADER._replace(entropy="3/100001/1"))):
        write_dicom(tmp_path / name, PIXELS, storage, header)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    uids = {pydicom.dcmread(tmp_path / name).SOPInstanceUID for name in "abc"}
    assert len(uids) == 2

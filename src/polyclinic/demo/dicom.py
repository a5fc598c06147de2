"""Write a rendered radiograph as DICOM, in several of the formats that machines use.

Identifiers derive from the seed and dates from the patient, so the same radiograph gives the same bytes.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)

DETECTOR_MM = 430.0


class Storage(NamedTuple):
    """Format of grey values: `black` and `white` are stored values; the window is in rescaled values."""

    bits: int
    allocated: int
    signed: bool
    inverted: bool  # MONOCHROME1
    black: int
    white: int
    slope: float
    intercept: float
    windowed: bool
    modality: str


#: Share of radiographs in each format.
STORAGES: Mapping[Storage, float] = {
    Storage(12, 16, False, False, 180, 3900, 1, 0, True, "DX"): 0.35,
    Storage(12, 16, False, True, 220, 3800, 1, 0, True, "CR"): 0.25,
    Storage(8, 8, False, False, 0, 255, 1, 0, False, "CR"): 0.15,
    Storage(14, 16, False, False, 900, 15200, 0.25, -1024, True, "DX"): 0.15,
    Storage(16, 16, True, False, -9000, 21000, 1, 0, True, "DX"): 0.10,
}


class HeaderValues(NamedTuple):
    """Header values that do not depend on the pixels or their format."""

    patient: str
    taken_at: datetime
    view: str  # PA or AP
    entropy: str  # for the identifiers


def write_dicom(path: Path, pixels: Float32[np.ndarray, "row column"], storage: Storage, header: HeaderValues) -> None:
    """Write `pixels` (0 black to 1 white) as a DICOM file."""
    dataset = FileDataset(str(path), {}, file_meta=_meta(storage, header), preamble=b"\0" * 128)
    _describe(dataset, storage, header, pixels.shape)
    _store(dataset, storage, pixels)
    dataset.save_as(path, enforce_file_format=True)


def _meta(storage: Storage, header: HeaderValues) -> FileMetaDataset:
    meta = FileMetaDataset()
    digital = storage.modality == "DX"
    meta.MediaStorageSOPClassUID = (
        DigitalXRayImageStorageForPresentation if digital else ComputedRadiographyImageStorage
    )
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[header.entropy, "instance"])
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if storage.inverted else ExplicitVRLittleEndian
    return meta


def _describe(dataset: FileDataset, storage: Storage, header: HeaderValues, shape: tuple[int, ...]) -> None:
    """Set the header. Name, sex and age are in the tables only."""
    date, time = header.taken_at.strftime("%Y%m%d"), header.taken_at.strftime("%H%M%S")
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=[header.entropy, "study"])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[header.entropy, "series"])
    dataset.PatientID = header.patient
    dataset.PatientName = dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.StudyDate = dataset.ContentDate = dataset.AcquisitionDate = date
    dataset.StudyTime = dataset.ContentTime = dataset.AcquisitionTime = time
    dataset.StudyID = dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.SeriesNumber = dataset.InstanceNumber = "1"
    dataset.Modality, dataset.ViewPosition = storage.modality, header.view
    dataset.BodyPartExamined, dataset.Manufacturer = "CHEST", "Polyclinic demo"
    dataset.PatientOrientation = ["L", "F"]  # rows run to the patient's left, columns to the feet
    dataset.ImagerPixelSpacing = [f"{DETECTOR_MM / shape[0]:.4f}"] * 2


def _store(dataset: FileDataset, storage: Storage, pixels: Float32[np.ndarray, "row column"]) -> None:
    grey = 1 - pixels if storage.inverted else pixels
    stored = np.rint(storage.black + grey * (storage.white - storage.black))
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if storage.inverted else "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = storage.allocated, storage.bits, storage.bits - 1
    dataset.PixelRepresentation = int(storage.signed)
    if (storage.slope, storage.intercept) != (1, 0):
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = storage.slope, storage.intercept, "US"
    if storage.windowed:  # LINEAR (PS3.3 C.11.2.1.2): from centre − ½ − (width − 1)/2 to centre − ½ + (width − 1)/2
        ends = [storage.intercept + storage.slope * end for end in (storage.black, storage.white)]
        dataset.WindowWidth, dataset.WindowCenter = ends[1] - ends[0] + 1, (ends[0] + ends[1]) / 2 + 0.5
    kind = f"{'i' if storage.signed else 'u'}{storage.allocated // 8}"
    content = stored.astype(f"<{kind}").tobytes()
    dataset.PixelData = content + b"\0" * (len(content) % 2)
    dataset["PixelData"].VR = "OW" if storage.allocated > 8 or storage.inverted else "OB"

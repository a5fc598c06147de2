"""The DICOM reader, on objects written with pydicom whose canonical pixels are known."""

import io
import logging
import warnings
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG2MPML,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
    SegmentationStorage,
    generate_uid,
)

from polyclinic.ingest import IngestError, ingest

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR")  # from the invalid objects written here

CODE = "IMAGE//CR//PA"
GREY = np.array([[0, 50, 100], [150, 200, 255]], np.uint8)
ENLARGED = 16  # pixels of an object per pixel given, because smaller images are rejected


def enlarged(pixels: np.ndarray) -> np.ndarray:
    return pixels.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)


def reduced(pixels: list[list[int]]) -> list[list[int]]:
    return [row[::ENLARGED] for row in pixels[::ENLARGED]]


def radiograph(pixels: np.ndarray = GREY, syntax: str = ExplicitVRLittleEndian, **elements) -> FileDataset:
    """Return an object with `pixels`, enlarged, setting `elements` (None: removed)."""
    pixels = enlarged(pixels)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = elements.get("SOPClassUID", ComputedRadiographyImageStorage)
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    colour = pixels.ndim == 3
    bits = pixels.dtype.itemsize * 8
    standard = {
        "SOPClassUID": ComputedRadiographyImageStorage,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "PatientID": "patient-7",
        "PatientSex": "F",
        "PatientAge": "045Y",
        "StudyDate": "20210304",
        "StudyTime": "050607",
        "Modality": "CR",
        "ViewPosition": "PA",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "PlanarConfiguration": 0 if colour else None,
        "BitsAllocated": bits,
        "BitsStored": bits,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "PixelData": pixels.tobytes(),
    }
    for keyword, value in (standard | elements).items():
        if value is not None:
            setattr(dataset, keyword, value)
    if "HighBit" not in dataset:
        dataset.HighBit = dataset.BitsStored - 1
    return dataset


def write(path: Path, dataset: Dataset) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def pixels_of(tmp_path, ingested):
    """Return a function that ingests an object and returns its pixels."""

    def run(dataset: Dataset, code: str = CODE) -> list[list[int]]:
        write(tmp_path / "source" / "a.dcm", dataset)
        done = ingested("dicom", tmp_path / "source")
        assert done.rejects == []
        [pixels] = done.pixels(str(dataset.PatientID), code)
        return reduced(pixels)

    return run


# Intensity


def test_eight_bits_are_unchanged(pixels_of):
    assert pixels_of(radiograph()) == GREY.tolist()


def test_monochrome1_is_inverted(pixels_of):
    assert pixels_of(radiograph(PhotometricInterpretation="MONOCHROME1")) == (255 - GREY).tolist()


def test_monochrome1_with_inverse_shape_is_inverted_once(pixels_of):
    elements = {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}
    assert pixels_of(radiograph(**elements)) == (255 - GREY).tolist()


def test_deep_pixels_without_window_are_scaled_to_their_range(pixels_of):
    deep = np.array([[1000, 1255, 1510], [1000, 1510, 1051]], np.uint16)
    assert pixels_of(radiograph(deep, BitsStored=12)) == [[0, 128, 255], [0, 255, 26]]


def test_unused_high_bits_are_ignored(pixels_of):
    dirty = np.array([[0xF000 | 0, 0xF000 | 4095]], np.uint16)
    assert pixels_of(radiograph(dirty, BitsStored=12)) == [[0, 255]]


def test_values_left_aligned_by_high_bit(pixels_of):
    left = np.array([[0, 1000 << 4 | 0xF, 4095 << 4]], np.uint16)
    assert pixels_of(radiograph(left, BitsStored=12, HighBit=15)) == [[0, 62, 255]]


def test_signed_pixels(pixels_of):
    assert pixels_of(radiograph(np.array([[-1000, 0, 1000]], np.int16))) == [[0, 128, 255]]


def test_full_range_of_sixteen_bits_does_not_overflow(pixels_of):
    assert pixels_of(radiograph(np.array([[-32768, 0, 32767]], np.int16))) == [[0, 128, 255]]


def test_linear_window_after_rescale(pixels_of):
    stored = np.array([[0, 924, 1064, 1103, 1104, 4000]], np.uint16)  # -1024 -100 40 79 80 2976 HU
    rescale = {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": 40, "WindowWidth": 80}
    # PS3.3 C.11.2.1.2.1: ((x - 39.5) / 79 + 0.5) * 255
    assert pixels_of(radiograph(stored, **rescale)) == [[0, 0, 129, 255, 255, 255]]


def test_linear_exact_window(pixels_of):
    window = {"WindowCenter": 100, "WindowWidth": 100, "VOILUTFunction": "LINEAR_EXACT"}
    assert pixels_of(radiograph(**window)) == [[0, 0, 128], [255, 255, 255]]


def test_sigmoid_window(pixels_of):
    window = {"WindowCenter": 100, "WindowWidth": 100, "VOILUTFunction": "SIGMOID"}
    expected = np.rint(255 / (1 + np.exp(-4 * (GREY.astype(float) - 100) / 100)))
    assert pixels_of(radiograph(**window)) == expected.astype(int).tolist()


def test_first_of_several_windows(pixels_of):
    window = {"WindowCenter": [100, 40], "WindowWidth": [100, 80], "VOILUTFunction": "LINEAR_EXACT"}
    assert pixels_of(radiograph(**window)) == [[0, 0, 128], [255, 255, 255]]


def test_window_comes_before_inversion(pixels_of):
    window = {"WindowCenter": 100, "WindowWidth": 100, "VOILUTFunction": "LINEAR_EXACT"}
    assert pixels_of(radiograph(PhotometricInterpretation="MONOCHROME1", **window)) == [
        [255, 255, 128],
        [0, 0, 0],
    ]


def test_voi_lut(pixels_of):
    lut = Dataset()
    lut.LUTDescriptor = [4, 10, 12]  # 4 entries, the first for the value 10, 12 bits
    lut.LUTData = np.array([0, 1365, 2730, 4095], "<u2").tobytes()
    pixels = np.array([[0, 10, 11, 12, 13, 99]], np.uint16)
    assert pixels_of(radiograph(pixels, VOILUTSequence=[lut])) == [[0, 0, 85, 170, 255, 255]]


def test_modality_lut(pixels_of):
    lut = Dataset()
    lut.LUTDescriptor = [4, 0, 16]
    lut.LUTData = np.array([3000, 2000, 1000, 0], "<u2").tobytes()
    lut.ModalityLUTType = "US"
    pixels = np.array([[0, 1, 2, 3]], np.uint16)
    assert pixels_of(radiograph(pixels, ModalityLUTSequence=[lut])) == [[255, 170, 85, 0]]


def test_padding_is_black_and_excluded_from_the_range(pixels_of):
    pixels = np.array([[-2000, 0, 100, 200]], np.int16)
    padded = {"PixelPaddingValue": -2000, "RescaleSlope": 1, "RescaleIntercept": -1024}
    assert pixels_of(radiograph(pixels, **padded)) == [[0, 0, 128, 255]]


def test_padding_is_black_in_monochrome1_too(pixels_of):
    pixels = np.array([[5, 0, 100, 200]], np.uint16)
    padded = {"PixelPaddingValue": 4, "PixelPaddingRangeLimit": 9}
    assert pixels_of(radiograph(pixels, PhotometricInterpretation="MONOCHROME1", **padded)) == [[0, 255, 128, 0]]


def test_colour_becomes_luminance(pixels_of):
    colour = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [9, 9, 9]]], np.uint8)
    assert pixels_of(radiograph(colour)) == [[76, 150, 29, 255, 9]]


def test_colour_by_planes(pixels_of):
    colour = np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8)
    planes = np.moveaxis(enlarged(colour), 2, 0)
    assert pixels_of(radiograph(colour, PlanarConfiguration=1, PixelData=planes.tobytes())) == [[76, 150]]


def test_palette(pixels_of):
    palette = {
        f"{colour}PaletteColorLookupTable{part}": value
        for colour in ("Red", "Green", "Blue")
        for part, value in (("Descriptor", [4, 0, 16]), ("Data", np.array([0, 21845, 43690, 65535], "<u2").tobytes()))
    }
    pixels = np.array([[0, 1, 2, 3]], np.uint8)
    assert pixels_of(radiograph(pixels, PhotometricInterpretation="PALETTE COLOR", **palette)) == [[0, 85, 170, 255]]


def test_run_length_encoding_is_decoded(pixels_of):
    dataset = radiograph()
    dataset.compress(RLELossless)
    assert pixels_of(dataset) == GREY.tolist()


def test_jpeg_is_decoded(pixels_of):
    halves = np.array([[0, 240]], np.uint8)
    jpeg = io.BytesIO()
    Image.fromarray(enlarged(halves)).save(jpeg, "JPEG", quality=95)
    assert pixels_of(radiograph(halves, JPEGBaseline8Bit, PixelData=encapsulate([jpeg.getvalue()]))) == [[0, 240]]


# Orientation


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        ("L\\F", [[1, 2], [3, 250]]),
        ("R\\F", [[2, 1], [250, 3]]),
        ("L\\H", [[3, 250], [1, 2]]),
        ("R\\H", [[250, 3], [2, 1]]),
        ("F\\L", [[1, 3], [2, 250]]),
        ("H\\R", [[250, 2], [3, 1]]),
        ("P\\F", [[1, 2], [3, 250]]),
        ("A\\F", [[2, 1], [250, 3]]),
        ("AR\\FL", [[2, 1], [250, 3]]),
        ("L\\R", [[1, 2], [3, 250]]),
        ("X\\Y", [[1, 2], [3, 250]]),
        ("L", [[1, 2], [3, 250]]),
        ("", [[1, 2], [3, 250]]),
    ],
)
def test_radiographs_are_turned_upright(letters, expected, pixels_of):
    pixels = np.array([[1, 2], [3, 250]], np.uint8)
    assert pixels_of(radiograph(pixels, PatientOrientation=letters.split("\\"))) == expected


@pytest.mark.parametrize(
    ("cosines", "code", "expected"),
    [
        ([1, 0, 0, 0, 1, 0], "IMAGE//CT//AXIAL", [[1, 2], [3, 250]]),
        ([-1, 0, 0, 0, -1, 0], "IMAGE//CT//AXIAL", [[250, 3], [2, 1]]),
        ([0.9, 0.1, 0, 0, 0.1, -0.9], "IMAGE//CT//CORONAL", [[1, 2], [3, 250]]),
        ([0, 1, 0, 0, 0, 1], "IMAGE//CT//SAGITTAL", [[3, 250], [1, 2]]),
    ],
)
def test_slices_are_turned_to_canonical_orientation(cosines, code, expected, pixels_of):
    elements = {"SOPClassUID": CTImageStorage, "Modality": "CT", "ViewPosition": None}
    pixels = np.array([[1, 2], [3, 250]], np.uint8)
    assert pixels_of(radiograph(pixels, ImageOrientationPatient=cosines, **elements), code) == expected


# Facts


def test_events_of_one_object(tmp_path, ingested):
    elements = {"Manufacturer": "Acme", "PixelSpacing": [0.2, 0.3], "PatientName": "Doe^Jane", "KVP": 120}
    write(tmp_path / "source" / "a.dcm", radiograph(**elements))
    done = ingested("dicom", tmp_path / "source")
    at = datetime(2021, 3, 4, 5, 6, 7)
    assert {code: done.of("patient-7", code) for code in set(done.events["code"])} == {
        CODE: done.of("patient-7", CODE),
        "DEMOGRAPHIC//sex": [(None, "female")],
        "DEMOGRAPHIC//age//years": [(at, "45.0")],
        "DICOM//manufacturer": [(at, "Acme")],
        "DICOM//modality": [(at, "CR")],
        "DICOM//view": [(at, "PA")],
        "DICOM//photometric_interpretation": [(at, "MONOCHROME2")],
        "DICOM//pixel_spacing//mm": [(at, "0.2")],
        "DICOM//tube_voltage//kV": [(at, "120.0")],
        "DICOM//bits_stored//bits": [(at, "8.0")],
    }
    assert "Doe" not in done.events.write_csv()


@pytest.mark.parametrize(
    ("elements", "at"),
    [
        ({"AcquisitionDateTime": "20200102030405.5"}, datetime(2020, 1, 2, 3, 4, 5, 500_000)),
        ({"AcquisitionDateTime": "20200102030405.5+0100"}, datetime(2020, 1, 2, 2, 4, 5, 500_000)),
        ({"StudyDate": "2020.01.02", "TimezoneOffsetFromUTC": "-0330"}, datetime(2020, 1, 2, 8, 36, 7)),
        ({"StudyDate": "2020-01-02"}, datetime(2020, 1, 2, 5, 6, 7)),
        ({"StudyDate": "2020/01/02", "StudyTime": "03:04:05.25"}, datetime(2020, 1, 2, 3, 4, 5, 250_000)),
        ({"AcquisitionDate": "20200102", "AcquisitionTime": "0304"}, datetime(2020, 1, 2, 3, 4)),
        ({"ContentDate": "20200102", "ContentTime": "030405"}, datetime(2020, 1, 2, 3, 4, 5)),
        ({"StudyTime": None}, datetime(2021, 3, 4)),
        ({"StudyDate": "21800304"}, datetime(2180, 3, 4, 5, 6, 7)),
        ({"StudyDate": None}, None),
    ],
)
def test_time_of_acquisition(elements, at, tmp_path, ingested):
    write(tmp_path / "source" / "a.dcm", radiograph(**elements))
    [(time, _)] = ingested("dicom", tmp_path / "source").of("patient-7", CODE)
    assert time == at


@pytest.mark.parametrize(
    ("elements", "years"),
    [
        ({"PatientAge": "018M"}, 1.5),
        ({"PatientAge": "000Y"}, 0),
        ({"PatientAge": "62"}, 62),
        ({"PatientAge": "014D"}, 14 / 365.25),
        ({"PatientAge": None, "PatientBirthDate": "20110304"}, 10),
    ],
)
def test_age(elements, years, tmp_path, ingested):
    write(tmp_path / "source" / "a.dcm", radiograph(**elements))
    [(_, age)] = ingested("dicom", tmp_path / "source").of("patient-7", "DEMOGRAPHIC//age//years")
    assert float(age) == pytest.approx(years, abs=0.002)


def test_invalid_view_becomes_unknown(tmp_path, ingested):
    write(tmp_path / "source" / "a.dcm", radiograph(ViewPosition="Doe//Jane"))
    assert ingested("dicom", tmp_path / "source").of("patient-7", "IMAGE//CR//UNKNOWN")


# Rejects

INVALID_OBJECTS = {
    "no PatientID": ({"PatientID": None}, "missing PatientID"),
    "blank PatientID": ({"PatientID": "  "}, "missing PatientID"),
    "word for no PatientID": ({"PatientID": "(null)"}, "missing PatientID"),
    "rewritten PatientID": ({"PatientID": "1.23E+12"}, "id that lost its form"),
    "a segmentation": ({"SOPClassUID": SegmentationStorage}, "not an image"),
    "a report": ({"Rows": None, "Columns": None, "PixelData": None}, "not an image"),
    "several frames": ({"NumberOfFrames": 2, "PixelData": enlarged(GREY).tobytes() * 2}, "several frames"),
    "no pixels": ({"PixelData": None}, "unreadable pixels"),
    "pixels cut off": ({"PixelData": b"\0\0"}, "unreadable pixels"),
    "60,000 x 60,000": ({"Rows": 60_000, "Columns": 60_000}, "image too large"),
    "an invalid date": ({"StudyDate": "20211304"}, "impossible date"),
    "a date before X-rays": ({"StudyDate": "18000101"}, "impossible date"),
    "an invalid time": ({"StudyTime": "256199"}, "impossible date"),
    "a year as date": ({"StudyDate": "2021"}, "impossible date"),
    "unknown pixels": ({"PhotometricInterpretation": "HSV"}, "unknown kind of pixels"),
    "impossible bits": ({"BitsStored": 8, "HighBit": 6}, "unsupported layout of bits"),
    "one grey": ({"PixelData": bytes([77]) * enlarged(GREY).size}, "blank image"),
    "a window beside all values": ({"WindowCenter": 4000, "WindowWidth": 200}, "blank image"),
    "a slope of zero": ({"RescaleSlope": 0, "RescaleIntercept": 7, "WindowCenter": 7, "WindowWidth": 9}, "blank image"),
    "nearly black": ({"PixelData": (enlarged(GREY) // 16).tobytes()}, "nearly black image"),
    "one pixel": ({"Rows": 1, "Columns": 1, "PixelData": b"\x4d\0"}, "image too small"),
    "unknown window": (
        {"WindowCenter": 1, "WindowWidth": 9, "VOILUTFunction": "CUBIC"},
        "unknown VOI LUT function",
    ),
    "a deflated object": ({"syntax": DeflatedExplicitVRLittleEndian}, "unsupported compression"),
    "a codec that is not installed": (
        {"syntax": MPEG2MPML, "PixelData": encapsulate([b"\xff\xd8"])},
        "unsupported compression",
    ),
    "broken JPEG": ({"syntax": JPEGBaseline8Bit, "PixelData": encapsulate([b"\xff\xd8\xff"])}, "unreadable pixels"),
}


@pytest.mark.parametrize("case", INVALID_OBJECTS)
def test_invalid_objects_are_rejected(case, tmp_path, ingested):
    elements, reason = INVALID_OBJECTS[case]
    write(tmp_path / "source" / "bad.dcm", radiograph(**elements))
    write(tmp_path / "source" / "good.dcm", radiograph())
    done = ingested("dicom", tmp_path / "source")
    assert done.rejects == [("bad.dcm", None, reason)]
    assert len(done.of("patient-7", CODE)) == 1


INVALID_FACTS = {
    "an age of 999": ({"PatientAge": "999Y"}, "impossible age"),
    "an age in words": ({"PatientAge": "old"}, "impossible age"),
    "born after the study": ({"PatientAge": None, "PatientBirthDate": "20300101"}, "impossible age"),
    "an unknown sex": ({"PatientSex": "X"}, "unknown sex"),
}


@pytest.mark.parametrize("case", INVALID_FACTS)
def test_invalid_facts_are_rejected_and_the_image_is_kept(case, tmp_path, ingested):
    elements, reason = INVALID_FACTS[case]
    write(tmp_path / "source" / "a.dcm", radiograph(**elements))
    done = ingested("dicom", tmp_path / "source")
    assert done.rejects == [("a.dcm", None, reason)]
    assert done.pixels("patient-7", CODE) == [enlarged(GREY).tolist()]


def test_other_files_in_a_folder(tmp_path, ingested):
    source = tmp_path / "source"
    good = write(source / "good.dcm", radiograph())
    content = good.read_bytes()
    write(source / "deep" / "1.2.840.1", radiograph(GREY[::-1]))
    (source / "image.img").write_bytes(content)  # the same instance under another suffix: no event, no reject
    (source / "text.dcm").write_text("this is not a DICOM file " * 20)
    (source / "empty.dcm").touch()
    (source / "half.dcm").write_bytes(content[: len(content) // 2])
    (source / "README.txt").write_text("neither a DICOM name nor DICOM content: skipped")
    (source / "DICOMDIR").write_bytes(content)
    (tmp_path / "outside.dcm").write_bytes(content)
    (source / "link.dcm").symlink_to(tmp_path / "outside.dcm")
    done = ingested("dicom", source)
    assert done.rejects[:2] == [("empty.dcm", None, "not a DICOM file"), done.rejects[1]]
    assert done.rejects[1][0] == "half.dcm"
    assert done.rejects[2:] == [
        ("link.dcm", None, "path outside the source"),
        ("text.dcm", None, "not a DICOM file"),
    ]
    assert len(done.of("patient-7", CODE)) == 2


def test_truncated_files_are_rejected(tmp_path):
    from polyclinic.ingest.dicom.image import DicomImage, read_image

    content = write(tmp_path / "good.dcm", radiograph()).read_bytes()
    assert isinstance(read_image(tmp_path / "good.dcm"), DicomImage)
    for end in range(0, len(content) - 1, 7):
        (tmp_path / "cut.dcm").write_bytes(content[:end])
        assert not isinstance(read_image(tmp_path / "cut.dcm"), DicomImage), end


def test_conflicting_instances_and_sexes_are_rejected(tmp_path, ingested):
    write(tmp_path / "source" / "a.dcm", radiograph(SOPInstanceUID="1.2.3"))
    write(tmp_path / "source" / "b.dcm", radiograph(GREY[::-1], SOPInstanceUID="1.2.3"))
    write(tmp_path / "source" / "c.dcm", radiograph(GREY[:, ::-1], PatientSex="M"))
    done = ingested("dicom", tmp_path / "source")
    assert done.rejects == [("b.dcm", None, "duplicate instance"), ("c.dcm", None, "conflicting sex")]
    assert done.of("patient-7", "DEMOGRAPHIC//sex") == [(None, "female")]


def test_ingesting_again_adds_nothing(tmp_path, ingested):
    write(tmp_path / "source" / "a.dcm", radiograph())
    first = ingested("dicom", tmp_path / "source").events
    assert ingested("dicom", tmp_path / "source").events.equals(first)


def test_nothing_readable_is_an_error(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.dcm").write_text("text")
    with pytest.raises(IngestError, match="not a DICOM file: 1"):
        ingest("dicom", tmp_path / "source", tmp_path / "cohort")


def test_no_patient_data_is_logged_or_warned(tmp_path, ingested, caplog, recwarn, capfd):
    secret = {"PatientID": "secret-id", "PatientAge": "secret", "StudyID": "secret" * 9, "KVP": None}
    path = write(tmp_path / "source" / "a.dcm", radiograph(**secret))
    content = path.read_bytes().replace(b"secret-id", b"secret\xffid")
    path.write_bytes(content)
    caplog.clear()
    recwarn.clear()
    with caplog.at_level(logging.DEBUG):
        done = ingested("dicom", tmp_path / "source")
    output = caplog.text + "".join(str(warning.message) for warning in recwarn) + "".join(capfd.readouterr())
    assert "secret" not in output
    assert "secret" not in str(done.cohort.rejects.rows())


# Real objects


@pytest.mark.real_data
def test_real_objects(real_data, ingested):
    done = ingested("dicom", real_data("dicom"), zone="America/New_York")  # one object states an offset
    assert done.report.rejects == {"conflicting sex": 17, "not an image": 12, "duplicate instance": 1}
    codes = done.events.group_by("code").len()
    images = dict(codes.filter(codes["code"].str.starts_with("IMAGE//")).rows())
    assert images == {"IMAGE//CT//AXIAL": 19, "IMAGE//CR//PA": 1, "IMAGE//DX//UNKNOWN": 1}


@pytest.mark.real_data
def test_real_radiograph_of_both_polarities(real_data):
    from polyclinic.ingest.dicom.intensity import grey_image

    original = "1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm"
    normal, inverted = (
        grey_image(pydicom.dcmread(real_data("dicom") / name)) for name in (original, "Fake_MONOHR1.dcm")
    )
    np.testing.assert_array_equal(normal, 255 - inverted)  # equal stored values, as MONOCHROME2 and MONOCHROME1

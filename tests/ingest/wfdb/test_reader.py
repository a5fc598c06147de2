"""The WFDB reader, and the blob format of waveforms."""

from datetime import date, datetime, time
from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from polyclinic.ingest import IngestError, ingest
from polyclinic.ingest.formats.waveform import Waveform
from polyclinic.ingest.formats.wfdb_record import MAX_SAMPLES, UnreadableWaveform, read_record
from polyclinic.ingest.wfdb.reader import by_kind

SIGNALS = np.array([[0.0, 0.5, 80.0], [0.1, -0.5, 81.0], [0.2, 0.25, 79.5], [0.3, 0.0, 80.0]])


def write(folder: Path, name: str = "r1", **options) -> None:
    """Write a record of two leads in mV and a blood pressure, with exactly representable values."""
    folder.mkdir(parents=True, exist_ok=True)
    options = {"units": ["mV", "mV", "mmHg"], "sig_name": ["I", "II", "ABP"]} | options
    wfdb.wrsamp(
        name,
        fs=500,
        p_signal=SIGNALS,
        fmt=["16"] * 3,
        adc_gain=[1000.0, 1000.0, 10.0],
        baseline=[0] * 3,
        write_dir=str(folder),
        **options,
    )


def header(folder: Path, text: str, name: str = "r1") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.hea"
    path.write_text(text)
    return path


def test_record_becomes_waveforms_with_facts(tmp_path, ingested):
    began = {"base_date": date(2021, 3, 4), "base_time": time(5, 6, 7)}
    write(tmp_path / "ecg", comments=["age: 61", "sex: Female", "Diagnose: infarction"], **began)
    done = ingested("wfdb", tmp_path / "ecg")
    start = datetime(2021, 3, 4, 5, 6, 7)
    assert dict(zip(*reversed(list(zip(*done.of("r1"), strict=True))), strict=True)) == {
        "DEMOGRAPHIC//sex": None,
        "DEMOGRAPHIC//age//years": start,
        "WAVEFORM//ABP//mmHg": start,
        "WAVEFORM//ECG//mV": start,
        "WFDB//duration//s": start,
        "WFDB//leads": start,
        "WFDB//sampling_rate//Hz": start,
    }
    [(_, blob)] = done.of("r1", "WAVEFORM//ECG//mV")
    ecg = Waveform.from_blob(done.content(blob))
    np.testing.assert_array_equal(ecg.signals, SIGNALS[:, :2].astype(np.float32))
    assert (ecg.leads, ecg.units, ecg.sampling_hz, ecg.duration_s) == (("I", "II"), ("mV", "mV"), 500, 4 / 500)
    assert done.of("r1", "DEMOGRAPHIC//sex") == [(None, "female")]
    assert done.of("r1", "DEMOGRAPHIC//age//years") == [(start, "61.0")]
    assert done.rejects == []


def test_record_without_date_is_static(tmp_path, ingested):
    write(tmp_path / "ecg")
    assert {at for at, _ in ingested("wfdb", tmp_path / "ecg").of("r1")} == {None}


def test_records_of_equal_name_in_two_folders_are_two_subjects(tmp_path, ingested):
    write(tmp_path / "ecg" / "p1")
    write(tmp_path / "ecg" / "p2")
    assert set(ingested("wfdb", tmp_path / "ecg").events["source_id"]) == {"p1/r1", "p2/r1"}


def test_a_single_record_by_its_header(tmp_path, ingested):
    write(tmp_path / "ecg")
    write(tmp_path / "ecg", "r2")
    assert set(ingested("wfdb", tmp_path / "ecg" / "r2.hea").events["source_id"]) == {"r2"}


def test_segments_are_not_separate_records(tmp_path, ingested):
    folder = tmp_path / "ecg"
    write(folder, "part1")
    write(folder, "part2")
    header(folder, "whole/2 3 500 8\npart1 4\npart2 4\n", "whole")
    done = ingested("wfdb", folder)
    assert set(done.events["source_id"]) == {"whole"}
    [(_, blob)] = done.of("whole", "WAVEFORM//ECG//mV")
    np.testing.assert_array_equal(
        Waveform.from_blob(done.content(blob)).signals, np.tile(SIGNALS[:, :2], (2, 1)).astype(np.float32)
    )


def test_microvolts_become_millivolts():
    waveform = Waveform(np.array([[1500.0, 1.5]], np.float32), 100, ("V1", "V2"), ("uV", "mV"))
    [(code, ecg)] = by_kind(waveform)
    assert code == "WAVEFORM//ECG//mV"
    np.testing.assert_allclose(ecg.signals, [[1.5, 1.5]])


def test_respiration_in_millivolts_is_not_an_ecg():
    waveform = Waveform(np.zeros((1, 2), np.float32), 100, ("II", "RESP"), ("mV", "mV"))
    assert [code for code, _ in by_kind(waveform)] == ["WAVEFORM//ECG//mV", "WAVEFORM//RESP//mV"]


BAD = {
    "not a header at all\x00\xff": "damaged WFDB header",
    "": "damaged WFDB header",
    "r1 0 500 100\n": "record without signals",
    "r1 1 500 100\nr1.dat 16 1000 16 0 0 0 0 I\n": "missing signal file",
    f"r1 1 500 {MAX_SAMPLES + 1}\nr1.dat 16 1000 16 0 0 0 0 I\n": "record too long",
    "r1 1 500 100\n../r1.dat 16 1000 16 0 0 0 0 I\n": "damaged WFDB header",
    "r1 3 500 4000\nok.dat 16 1000 16 0 0 0 0 I\nok.dat 16 1000 16 0 0 0 0 II\nok.dat 16 1000 16 0 0 0 0 V1\n": (
        "unreadable signal file"
    ),
}


@pytest.mark.parametrize("text", BAD)
def test_invalid_records_are_rejected(text, tmp_path, ingested):
    write(tmp_path / "ecg", "ok")
    header(tmp_path / "ecg", text)
    done = ingested("wfdb", tmp_path / "ecg")
    assert done.rejects == [("r1.hea", None, BAD[text])]
    assert set(done.events["source_id"]) == {"ok"}


def test_signal_file_linked_outside_the_source_is_rejected(tmp_path, ingested):
    write(tmp_path / "ecg", "ok")
    write(tmp_path / "elsewhere")
    header(tmp_path / "ecg", (tmp_path / "elsewhere" / "r1.hea").read_text())
    (tmp_path / "ecg" / "r1.dat").symlink_to(tmp_path / "elsewhere" / "r1.dat")
    assert ingested("wfdb", tmp_path / "ecg").rejects == [("r1.hea", None, "path outside the source")]


def test_record_without_valid_samples_is_rejected(tmp_path):
    write(tmp_path)
    np.full(12, -32768, "<i2").tofile(tmp_path / "r1.dat")
    with pytest.raises(UnreadableWaveform, match="record without signals"):
        read_record(tmp_path / "r1")


def test_nothing_readable_is_an_error(tmp_path):
    from polyclinic.ingest import ingest

    header(tmp_path / "ecg", "nonsense")
    with pytest.raises(IngestError, match="damaged WFDB header: 1"):
        ingest("wfdb", tmp_path / "ecg", tmp_path / "cohort")


@given(
    arrays(np.float32, st.tuples(st.integers(0, 20), st.integers(1, 4))),
    st.floats(0.001, 1e6),
    st.data(),
)
def test_blob_round_trip(signals, rate, data):
    names = tuple(data.draw(st.lists(st.text(max_size=5), min_size=signals.shape[1], max_size=signals.shape[1])))
    content, suffix = Waveform(signals, rate, names, names).to_blob()
    back = Waveform.from_blob(content)
    np.testing.assert_array_equal(back.signals, signals)
    assert (back.sampling_hz, back.leads, back.units, suffix) == (rate, names, names, ".arrow")


def test_equal_waveforms_give_equal_blobs():
    first, second = (Waveform(SIGNALS.astype(np.float32), 500, ("a", "b", "c"), ("mV",) * 3) for _ in range(2))
    assert first.to_blob() == second.to_blob()


@pytest.mark.parametrize("content", [b"", b"ARROW1\0\0", b"\x80\x04pickle", b"x" * 1000])
def test_other_content_is_rejected(content):
    with pytest.raises(ValueError, match="not a waveform blob"):
        Waveform.from_blob(content)


@pytest.mark.parametrize("rate", [0, -1, np.inf, np.nan])
def test_invalid_sampling_rate_is_rejected(rate):
    with pytest.raises(ValueError, match="sampling rate"):
        Waveform(np.zeros((1, 1), np.float32), rate, ("I",), ("mV",))


@pytest.mark.real_data
def test_real_records(real_data, ingested):
    done = ingested("wfdb", real_data("wfdb"))
    assert done.rejects == []
    lasting = {source: float(done.of(source, "WFDB//duration//s")[0][1]) for source in set(done.events["source_id"])}
    assert lasting == pytest.approx({"100": 650000 / 360, "03700181": 600, "a103l": 330, "s0010_re": 38.4}, rel=1e-6)
    assert done.of("100", "DEMOGRAPHIC//sex") == [(None, "male")]
    assert done.of("s0010_re", "DEMOGRAPHIC//age//years") == [(None, "81.0")]
    assert done.of("03700181", "WAVEFORM//ABP//mmHg")[0][0] == datetime(1994, 8, 15, 17, 27, 45)
    [(_, blob)] = done.of("s0010_re", "WAVEFORM//ECG//mV")
    ecg = Waveform.from_blob(done.content(blob))
    assert ecg.signals.shape == (38400, 15)
    assert ecg.signals[0, :3].tolist() == pytest.approx([-489 / 2000, -458 / 2000, 31 / 2000])  # header's first values


# Ages, and the base time


@pytest.mark.parametrize("age", ["65+", "300", "-5", "18 months", "sixty", "124"])
def test_ages_that_are_no_number_of_years_are_rejected(age, tmp_path, ingested):
    write(tmp_path / "ecg", comments=[f"age: {age}", "sex: F"])
    done = ingested("wfdb", tmp_path / "ecg")
    assert done.of("r1", "DEMOGRAPHIC//age//years") == []
    assert done.of("r1", "DEMOGRAPHIC//sex") == [(None, "female")]
    assert done.rejects == [("r1.hea", None, "implausible value")]


@pytest.mark.parametrize("age", ["61", "61 years", "61y", "61, smoker", "61 sex: F"])
def test_ages_are_read_in_usual_writings(age, tmp_path, ingested):
    write(tmp_path / "ecg", comments=[f"age: {age}"])
    assert ingested("wfdb", tmp_path / "ecg").of("r1", "DEMOGRAPHIC//age//years") == [(None, "61.0")]


@pytest.mark.parametrize("age", ["", "unknown", "n/a", "?", "NaN"])
def test_ages_that_are_not_stated_are_missing(age, tmp_path, ingested):
    write(tmp_path / "ecg", comments=[f"age: {age}"])
    done = ingested("wfdb", tmp_path / "ecg")
    assert done.of("r1", "DEMOGRAPHIC//age//years") == []
    assert done.rejects == []


@pytest.mark.parametrize("base", ["05:06:07 04/03/20215", "05:06:07 04/03/2021 +0100", "05:06:07+01:00 04/03/2021"])
def test_a_base_time_that_is_read_in_part_is_rejected(base, tmp_path):
    write(tmp_path / "ecg", base_date=date(2021, 3, 4), base_time=time(5, 6, 7))
    file = tmp_path / "ecg" / "r1.hea"
    file.write_text(file.read_text().replace("05:06:07 04/03/2021", base))
    with pytest.raises(IngestError, match=r"impossible date: 1|damaged WFDB header: 1"):
        ingest("wfdb", tmp_path / "ecg", tmp_path / "cohort")

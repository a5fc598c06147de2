"""The PTB-XL reader, on small collections written here and on the first rows of the real one."""

import csv
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import wfdb

from polyclinic.ingest import IngestError, ingest
from polyclinic.ingest.errors import UnreadableRecord
from polyclinic.ingest.formats.waveform import Waveform
from polyclinic.ingest.ptbxl.statements import SUPERCLASSES, parse_statements
from polyclinic.tasks import BUILT_IN, label, samples

STATEMENTS = """,description,diagnostic,form,rhythm,diagnostic_class
NORM,normal ECG,1.0,,,NORM
IMI,inferior myocardial infarction,1.0,,,MI
LAO/LAE,left atrial enlargement,1.0,,,HYP
SR,sinus rhythm,,,1.0,
ABQRS,abnormal QRS,,1.0,,
"""
ROW = {
    "ecg_id": "1", "patient_id": "7.0", "age": "56.0", "sex": "1", "height": "", "weight": "63.0", "device": "CS-12",
    "recording_date": "1984-11-09 09:17:34", "report": "sinusrhythmus normales ekg",
    "scp_codes": "{'NORM': 80.0, 'SR': 0.0}", "heart_axis": "LAD", "strat_fold": "3", "filename_lr": "records100/1_lr",
    "filename_hr": "records500/1_hr",
}  # fmt: skip
AT, READ = datetime(1984, 11, 9, 9, 17, 34), datetime(1984, 11, 9, 9, 18, 34)
SIGNALS = np.random.default_rng(0).integers(-800, 800, (50, 2)) / 1000


def write_ecg(folder: Path, name: str, hz: int = 100) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    wfdb.wrsamp(name, hz, ["mV", "mV"], ["I", "AVR"], SIGNALS, fmt=["16"] * 2, adc_gain=[1000.0] * 2, baseline=[0] * 2,
                write_dir=str(folder))  # fmt: skip


def collection(folder: Path, *rows: dict[str, str], statements: str | None = STATEMENTS) -> Path:
    write_ecg(folder / "records100", "1_lr")
    with (folder / "ptbxl_database.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(ROW))
        writer.writeheader()
        writer.writerows(ROW | row for row in rows)
    if statements is not None:
        (folder / "scp_statements.csv").write_text(statements, encoding="utf-8")
    return folder


def test_a_row_becomes_events(tmp_path, ingested):
    done = ingested("ptbxl", collection(tmp_path / "ptbxl", {}))
    assert sorted(done.of("7"), key=str) == sorted(
        [
            (None, "DEMOGRAPHIC//sex"),
            (None, "OUTCOME//recommended_fold"),
            (AT, "WAVEFORM//ECG//mV"),
            (AT, "DEMOGRAPHIC//age//years"),
            (AT, "DEMOGRAPHIC//weight//kg"),
            (READ, "NOTE//ecg_report"),
            (READ, "OUTCOME//scp_NORM//%"),
            (READ, "OUTCOME//scp_SR//%"),
            *((READ, f"OUTCOME//ecg_{name}") for name in SUPERCLASSES),
        ],
        key=str,
    )
    assert done.of("7", "DEMOGRAPHIC//sex") == [(None, "female")]
    assert done.of("7", "DEMOGRAPHIC//age//years") == [(AT, "56.0")]
    assert done.of("7", "OUTCOME//scp_NORM//%") == [(READ, "80.0")]
    assert done.of("7", "OUTCOME//scp_SR//%") == [(READ, None)]
    assert [done.of("7", f"OUTCOME//ecg_{name}")[0][1] for name in SUPERCLASSES] == ["1.0", "0.0", "0.0", "0.0", "0.0"]
    assert done.of("7", "OUTCOME//recommended_fold") == [(None, "3.0")]
    [(_, blob)] = done.of("7", "WAVEFORM//ECG//mV")
    ecg = Waveform.from_blob(done.content(blob))
    np.testing.assert_allclose(ecg.signals, SIGNALS, atol=1e-6)
    assert (ecg.leads, ecg.units, ecg.sampling_hz) == (("I", "AVR"), ("mV", "mV"), 100)
    assert done.rejects == []


def test_ages_of_300_become_90(tmp_path, ingested):
    done = ingested("ptbxl", collection(tmp_path / "ptbxl", {"age": "300.0"}))
    assert done.of("7", "DEMOGRAPHIC//age//years") == [(AT, "90.0")]


def test_500_hz_recording_replaces_a_missing_one_at_100_hz(tmp_path, ingested):
    source = collection(tmp_path / "ptbxl", {"filename_lr": "records100/2_lr"})
    write_ecg(source / "records500", "1_hr", hz=500)
    done = ingested("ptbxl", source)
    [(_, blob)] = done.of("7", "WAVEFORM//ECG//mV")
    assert Waveform.from_blob(done.content(blob)).sampling_hz == 500
    assert done.rejects == []


REJECTED = {
    "no patient": ({"patient_id": ""}, "no subject"),
    "a repeated row": ({"ecg_id": "1"}, "duplicate record"),
    "no date": ({"recording_date": "yesterday"}, "impossible time"),
    "a date in part": ({"recording_date": "1984-11-09T09"}, "impossible time"),
    "a week date": ({"recording_date": "1984-W45-5"}, "impossible time"),
    "a date at the end of time": ({"recording_date": "9999-12-31 23:59:59"}, "impossible time"),
    "an impossible age": ({"age": "200"}, "implausible value"),
    "an age in part": ({"age": "65+"}, "implausible value"),
    "a number that only Python reads": ({"age": "6_5"}, "implausible value"),
    "another sex of the patient": ({"patient_id": "7", "sex": "0"}, "conflicting sex"),
    "an impossible height": ({"height": "6"}, "implausible value"),
    "a weight that is not a number": ({"weight": "heavy"}, "implausible value"),
    "an unknown sex": ({"sex": "2"}, "unknown category"),
    "no statements": ({"scp_codes": ""}, "unreadable statements"),
    "code for statements": ({"scp_codes": "__import__('os')"}, "unreadable statements"),
    "an unknown statement": ({"scp_codes": "{'XYZ': 100.0, 'NORM': 100.0}"}, "unknown statement"),
    "no recording": ({"filename_lr": "records100/9_lr", "filename_hr": ""}, "missing file"),
    "a recording outside the source": ({"filename_lr": "../1_lr", "filename_hr": ""}, "path outside the source"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_invalid_cells_are_rejected_by_line(case, tmp_path, ingested):
    cells, reason = REJECTED[case]
    bad = {"ecg_id": "2", "patient_id": "8"} | cells
    write_ecg(tmp_path, "1_lr")
    done = ingested("ptbxl", collection(tmp_path / "ptbxl", {}, bad, {"ecg_id": "3", "patient_id": "9"}))
    assert done.rejects == [("ptbxl_database.csv", 3, reason)]
    assert {"7", "9"} <= set(done.events["source_id"])
    assert not any(value in str(done.cohort.rejects.rows()) for value in cells.values() if len(value) > 3)


@pytest.mark.parametrize("files", [{}, {"ptbxl_database.csv": "a,b\n1,2\n"}, {"ptbxl_database.csv": ""}])
def test_other_folders_are_an_error(files, tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "scp_statements.csv").write_text(STATEMENTS)
    for name, text in files.items():
        (tmp_path / "source" / name).write_text(text)
    with pytest.raises(IngestError):
        ingest("ptbxl", tmp_path / "source", tmp_path / "cohort")


@pytest.mark.parametrize("statements", [None, "", "a,b\n1,2\n", STATEMENTS + "X,x,1.0,,,OTHER\n"])
def test_a_missing_or_invalid_table_of_statements_is_an_error(statements, tmp_path):
    with pytest.raises(IngestError, match=r"scp_statements\.csv"):
        ingest("ptbxl", collection(tmp_path / "source", {}, statements=statements), tmp_path / "cohort")


def test_statements_with_likelihoods():
    assert parse_statements("{'LAO/LAE': 35.0, 'PRC(S)': 0.0}") == {"LAO/LAE": 35.0, "PRC(S)": None}
    assert parse_statements("{}") == {}
    for cell in ("{'NORM': 101.0}", "{'NORM'}", "{'NORM': 1.0", "{'A': {'B': 1.0}}", "{'A': 1.0 'B': 1.0}"):
        with pytest.raises(UnreadableRecord):
            parse_statements(cell)


def test_task_labels_are_the_superclasses_of_each_recording(tmp_path, ingested):
    later = {"ecg_id": "2", "recording_date": "1985-01-01 10:00:00", "scp_codes": "{'IMI': 0.0, 'LAO/LAE': 50.0}"}
    unknown = {"ecg_id": "3", "recording_date": "1986-01-01 10:00:00", "scp_codes": "{'SR': 0.0, 'ABQRS': 0.0}"}
    source = collection(tmp_path / "ptbxl", {}, later, unknown)
    for number in (1, 2, 3):
        SIGNALS[0, 0] = number / 10
        write_ecg(source / "records100", f"{number}_lr")
    task = BUILT_IN["ptbxl_superclass"]
    cohort = ingested("ptbxl", source).cohort
    labels = label(cohort, task)
    assert labels.frame["prediction_time"].to_list() == [AT, datetime(1985, 1, 1, 10)]
    assert samples(cohort, [task]).targets[task.name].values.tolist() == [[1, 0, 0, 0, 0], [0, 1, 0, 0, 1]]
    assert sum(labels.unknown.values()) == 1
    inputs = task.inputs.among(cohort.events().select("code").unique().collect()["code"].to_list())
    assert set(inputs) == {
        "DEMOGRAPHIC//age//years",
        "DEMOGRAPHIC//sex",
        "DEMOGRAPHIC//weight//kg",
        "WAVEFORM//ECG//mV",
    }


@pytest.mark.real_data
def test_real_recordings(real_data, tmp_path, ingested):
    source, small = real_data("ptbxl"), tmp_path / "small"
    lines = (source / "ptbxl_database.csv").read_text(encoding="utf-8").splitlines()[:16]
    (small / "records100").mkdir(parents=True)
    (small / "ptbxl_database.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (small / "scp_statements.csv").write_bytes((source / "scp_statements.csv").read_bytes())
    for row in csv.DictReader(lines):
        for file in source.glob(f"{row['filename_lr']}.*"):
            target = small / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    done = ingested("ptbxl", small)
    assert done.rejects == []
    assert done.report.blobs == 15
    blobs = done.events.filter(pl.col("code") == "WAVEFORM//ECG//mV")["blob"]
    ecgs = [Waveform.from_blob(done.content(blob)) for blob in blobs]
    assert {(ecg.duration_s, ecg.sampling_hz, len(ecg.leads)) for ecg in ecgs} == {(10.0, 100.0, 12)}
    for ecg in ecgs:
        np.testing.assert_allclose(ecg.signals[:, 2], ecg.signals[:, 1] - ecg.signals[:, 0], atol=0.012)
    targets = samples(done.cohort, [BUILT_IN["ptbxl_superclass"]]).targets["ptbxl_superclass"]
    assert targets.values[:, 0].sum() == sum("NORM" in line for line in lines)

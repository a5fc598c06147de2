"""Rejects: listed once, counted by reason, packed."""

from pathlib import Path

import pytest

from polyclinic.cohort import Cohort, CohortWriter, Reject, rejects
from polyclinic.cohort.rejects import REJECTS, Rejects

UNIT = Reject("labs.csv", 3, "unknown unit", "add the unit to the mapping")
DATE = Reject("labs.csv", 4, "impossible date", "correct the date")
TORN = Reject("scan.dcm", None, "truncated file", "copy the file again")


def test_rejects_are_listed_once_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejects, "BATCH", 2)
    found = Rejects("table")
    for reject in (UNIT, DATE, UNIT, TORN):
        found.add(reject)
    found.add(DATE, records=5)
    table = found.table()
    assert dict(table.schema) == REJECTS
    assert table.select("source", "file", "line", "records").rows() == [
        ("table", "labs.csv", 3, 2),
        ("table", "labs.csv", 4, 6),
        ("table", "scan.dcm", None, 1),
    ]
    assert found.by_reason() == {"impossible date": 6, "unknown unit": 2, "truncated file": 1}


def test_repeated_ingest_lists_a_reject_once(tmp_path: Path) -> None:
    for source in ("table", "table", "dicom"):
        with CohortWriter(tmp_path, source=source) as writer:
            writer.reject(UNIT, TORN, UNIT)
    cohort = Cohort.open(tmp_path)
    assert cohort.rejects.select("source", "line", "records").rows() == [
        ("table", 3, 2),
        ("table", None, 1),
        ("dicom", 3, 2),
        ("dicom", None, 1),
    ]
    assert dict(cohort.summary().rejects) == {"unknown unit": 4, "truncated file": 2}

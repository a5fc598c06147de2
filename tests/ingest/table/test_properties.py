"""Random tables: values are read back, and no cell is lost or counted twice."""

import csv
from contextlib import nullcontext
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyclinic.ingest import IngestError, Options, guess_mapping
from polyclinic.ingest.errors import UnreadableRecord
from polyclinic.ingest.missing import MISSING, composed
from polyclinic.ingest.subject_ids import subject_id
from polyclinic.ingest.table.questions import count_questions
from polyclinic.ingest.table.reader import read
from polyclinic.progress import SILENT
from tests.ingest.sinks import RecordingSink, read_table
from tests.properties import examples

relaxed = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(60)
)

MAPPING = """
subject: id
time: at
columns:
  number: {code: LAB//number//mmol/L, type: numeric}
  kind: {code: FINDING//kind, type: categorical}
  text: {code: NOTE//text, type: text}
"""
CODES = {"number": "LAB//number//mmol/L", "kind": "FINDING//kind", "text": "NOTE//text"}
TEXT = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=["Z", "C"]), min_size=1, max_size=9
)
LINES = st.lists(TEXT, min_size=1, max_size=3).map("\n".join)


def is_plain_id(text: str) -> bool:
    """Return whether an id is read as it is written, but for the form of its letters."""
    try:
        return subject_id(text) == composed(text)
    except UnreadableRecord:
        return False


ROWS = st.fixed_dictionaries(
    {
        "id": TEXT.filter(is_plain_id),
        "at": st.datetimes(datetime(1910, 1, 1), datetime(2199, 1, 1)).map(lambda at: at.replace(fold=0)),
        "number": st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False),
        "kind": st.none() | TEXT.filter(lambda text: not MISSING.holds(text)),
        "text": st.none() | LINES.filter(lambda text: not MISSING._replace(fillers=True).holds(text)),
    }
)


def write(path, rows, suffix):
    frame = pl.DataFrame(
        rows, {"id": pl.String, "at": pl.Datetime("us"), "number": pl.Float64, "kind": pl.String, "text": pl.String}
    )
    table = path / f"t{suffix}"
    if suffix == ".parquet":
        frame.write_parquet(table)
    else:
        frame.write_csv(table, quote_style="necessary" if suffix == ".csv" else "always")
    return table


@pytest.mark.parametrize("suffix", [".csv", ".txt", ".parquet"])
@relaxed
@given(rows=st.lists(ROWS, min_size=1, max_size=6))
def test_values_are_read_back(tmp_path, suffix, rows):
    kept = read_table(write(tmp_path, rows, suffix), MAPPING)
    expected = [
        (composed(row["id"]), row["at"], code, value_of(name, row[name]))
        for row in rows
        for name, code in CODES.items()
        if row[name] is not None
    ]
    assert kept.rejects == []
    assert kept.events == sorted(expected, key=str)


def value_of(name: str, value):
    """Return a cell as its event's value."""
    return float(np.float32(value)) if name == "number" else composed(value) if name == "kind" else value


WHOLE_ROW = {"no subject", "no time", "impossible date", "implausible date", "wrong number of columns"}
CELL = st.sampled_from(["", "1.5", "-2e3", "x", "NA", "inf", "x" * 201, "1,5", "nan"])
LINE = st.tuples(
    st.sampled_from(["1", "p2", ""]), st.sampled_from(["2020-01-01", "2020-02-30", "3020-01-01", ""]), CELL, CELL, CELL
)


@relaxed
@given(lines=st.lists(LINE, min_size=1, max_size=8), cut=st.integers(0, 8))
def test_every_cell_is_missing_an_event_or_rejected(tmp_path, lines, cut):
    table = tmp_path / "t.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "at", *CODES])
        writer.writerows(line[:3] if number == cut else line for number, line in enumerate(lines))
    kept = read_table(table, MAPPING)
    lost = {reject.line for reject in kept.rejects if reject.reason in WHOLE_ROW}
    cell_rejects = [reject.line for reject in kept.rejects if reject.reason not in WHOLE_ROW]
    assert not lost & set(cell_rejects)
    recorded = {number: sum(cell not in ("", "NA", "nan") for cell in line[2:]) for number, line in enumerate(lines, 2)}
    assert len(kept.events) + len(cell_rejects) == sum(n for number, n in recorded.items() if number not in lost)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".parquet", ".xlsx", ".xls", ".ods"])
@relaxed
@given(content=st.binary(max_size=400))
def test_arbitrary_bytes_are_rejected(tmp_path, suffix, content):
    table = tmp_path / f"t{suffix}"
    table.write_bytes(content)
    kept = read_table(table, MAPPING)
    assert kept.rejects
    assert kept.events == []


@relaxed
@given(
    header=st.lists(TEXT, min_size=2, max_size=5, unique=True), rows=st.lists(st.lists(TEXT, min_size=5, max_size=5))
)
def test_a_guess_is_always_valid(tmp_path, header, rows):
    table = tmp_path / "t.csv"
    with table.open("w", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([header, *(row[: len(header)] for row in rows)])
    try:
        (tmp_path / "guess.yaml").write_text(guess_mapping(table), encoding="utf-8")
    except IngestError:
        return
    kept = RecordingSink()
    asked = count_questions((tmp_path / "guess.yaml").read_text(encoding="utf-8"))
    with pytest.raises(IngestError, match="question that the guess left open") if asked else nullcontext():
        read(table, kept, Options(mapping=tmp_path / "guess.yaml"), SILENT)
    assert not [reject for reject in kept.rejects if reject.reason == "column not in the table"]

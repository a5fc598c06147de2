"""The challenge's records: every line is an event, missing, or rejected by file and line."""

import csv
import io
import tarfile
from datetime import timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyclinic.cohort import NOMINAL_ORIGIN
from polyclinic.ingest import IngestError, Options, ingest
from polyclinic.ingest.physionet2012 import reader as physionet2012
from polyclinic.ingest.physionet2012.codes import PARAMETERS
from polyclinic.ingest.physionet2012.reader import read
from polyclinic.progress import SILENT
from tests.ingest.sinks import RecordingSink
from tests.properties import examples

HEAD = "Time,Parameter,Value\n00:00,RecordID,{}\n"
OUTCOMES = "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\n"


def record(stay: int, *lines: str) -> str:
    return HEAD.format(stay) + "".join(f"{line}\n" for line in lines)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


def kept_from(path, **options) -> RecordingSink:
    kept = RecordingSink()
    read(path, kept, Options(**options), SILENT)
    return kept


def hour(hours: float):
    return NOMINAL_ORIGIN + timedelta(hours=hours)


def test_a_record_becomes_events(folder):
    lines = ["00:00,Age,54", "00:00,Gender,0", "00:00,Height,-1", "00:00,ICUType,4", "00:00,Weight,80.5"]
    (folder / "132539.txt").write_text(record(132539, *lines, "00:07,HR,73", "47:59,pH,7.4", "48:00,Lactate,2.5"))
    kept = kept_from(folder)
    assert kept.events == [
        ("132539", None, "DEMOGRAPHIC//age//years", 54),
        ("132539", None, "DEMOGRAPHIC//sex", "female"),
        ("132539", hour(0), "DEMOGRAPHIC//icu_type", "surgical"),
        ("132539", hour(0), "VITAL//Weight//kg", 80.5),
        ("132539", NOMINAL_ORIGIN + timedelta(minutes=7), "VITAL//HR//bpm", 73),
        ("132539", NOMINAL_ORIGIN + timedelta(minutes=47 * 60 + 59), "LAB//pH", pytest.approx(7.4)),
        ("132539", hour(48), "LAB//Lactate//mmol/L", 2.5),
    ]
    assert kept.rejects == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("00:07,HR", "wrong number of columns"),
        ("00:07,HR,73,bpm", "wrong number of columns"),
        ("7:75,HR,73", "impossible time"),
        ("00:60,HR,73", "impossible time"),
        ("noon,HR,73", "impossible time"),
        ("00:07,HR,fast", "not a number"),
        ("00:07,HR,", "not a number"),
        ("00:07,HR,nan", "not a number"),
        ("00:07,HR,inf", "not a number"),
        ("00:07,Mood,3", "unknown parameter"),
        ("00:07,HR,caf\xe9", "not UTF-8 text"),
        ("00:07,pH,73", "implausible value"),
        ("00:00,Height,1.8", "implausible value"),
        ("00:00,Weight,0", "implausible value"),
        ("00:07,Temp,-17.8", "implausible value"),
        ("00:00,Age,200", "implausible value"),
        ("00:00,Gender,0.5", "implausible value"),
        ("00:00,Gender,2", "implausible value"),
        ("00:00,Age,61", "repeated static fact"),
    ],
)
def test_invalid_lines_are_rejected_by_file_and_line(folder, line, reason):
    (folder / "1.txt").write_text(record(1, "00:01,HR,80"))
    content = record(2, "00:00,Age,60", line, "00:08,HR,81") if "Age,61" in line else record(2, line, "00:08,HR,81")
    (folder / "2.txt").write_bytes(content.encode("latin-1"))
    kept = kept_from(folder)
    assert {(event[0], event[3]) for event in kept.events} >= {("1", 80), ("2", 81)}
    [reject] = kept.rejects
    assert (reject.file, reject.line, reject.reason) == ("2.txt", 4 if "Age,61" in line else 3, reason)
    assert reject.remedy


@pytest.mark.parametrize(
    ("name", "content", "line", "reason"),
    [
        ("2.txt", "", None, "empty file"),
        ("2.txt", "\n", None, "empty file"),
        ("readme.txt", "About the challenge\n", 1, "not a record of the challenge"),
        ("2.txt", "Time,Parameter,Value\n00:01,HR,80\n", None, "no record id"),
        ("2.txt", record(2, "00:00,RecordID,3"), 2, "no record id"),
        ("2.txt", record(3, "00:01,HR,80"), 2, "record id is not the file's"),
        ("again/1.txt", record(1, "00:01,HR,80"), 2, "duplicate record"),
        ("2.txt", record(2) + "00:01,HR,8", 3, "truncated file"),
    ],
)
def test_files_that_are_not_records_are_rejected(folder, name, content, line, reason):
    (folder / "1.txt").write_text(record(1, "00:01,HR,80"))
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(content)
    kept = kept_from(folder)
    assert [(event[0], event[3]) for event in kept.events] == [("1", 80)]
    assert [(reject.file, reject.line, reject.reason) for reject in kept.rejects] == [(name, line, reason)]


def test_outcomes_are_timed_after_the_record(folder):
    for stay in (1, 2, 3):
        (folder / f"{stay}.txt").write_text(record(stay, "00:01,HR,80"))
    rows = ["1,6,1,10,5,1", "2,-1,-1,2,-1,0", "3,6,1,10,x,2", "3,6,1,10,x,2", "9,6,1,10,5,1"]
    (folder / "Outcomes-a.txt").write_text(OUTCOMES + "".join(f"{row}\n" for row in rows))
    kept = kept_from(folder)
    end = hour(48) + timedelta(minutes=1)
    assert [event for event in kept.events if event[2].startswith("OUTCOME//")] == sorted(
        [
            ("1", end, "OUTCOME//SAPS-I", 6),
            ("1", end, "OUTCOME//SOFA", 1),
            ("1", hour(240), "OUTCOME//length_of_stay//days", 10),
            ("1", hour(120), "OUTCOME//survival//days", 5),
            ("1", hour(240), "OUTCOME//in_hospital_death", 1),
            ("2", end, "OUTCOME//length_of_stay//days", 2),
            ("2", end, "OUTCOME//in_hospital_death", 0),
            ("3", end, "OUTCOME//SAPS-I", 6),
            ("3", end, "OUTCOME//SOFA", 1),
            ("3", hour(240), "OUTCOME//length_of_stay//days", 10),
        ],
        key=str,
    )
    assert kept.reasons == [
        (4, "implausible value"),
        (4, "not a number"),
        (5, "duplicate record"),
        (6, "outcome without a record"),
    ]


def outcomes_of(folder, rows):
    (folder / "1.txt").write_text(record(1, "00:01,HR,80"))
    (folder / "Outcomes-a.txt").write_text(OUTCOMES + "".join(f"{row}\n" for row in rows))
    kept = kept_from(folder)
    return [event[2:] for event in kept.events if event[2].startswith("OUTCOME//")], kept.reasons


@given(
    stay=st.sampled_from([-1, 0, 2, 5, 10]),
    survival=st.sampled_from([-1, 0, 2, 5, 6, 30]),
    death=st.sampled_from([-1, 0, 1]),
)
def test_no_outcome_of_a_contradictory_line_is_used(tmp_path_factory, stay, survival, death):
    events, reasons = outcomes_of(tmp_path_factory.mktemp("stays"), [f"1,6,1,{stay},{survival},{death}"])
    died_in_stay = 0 <= survival <= stay
    contradictory = stay >= 0 and survival >= 0 and death >= 0 and died_in_stay != bool(death)
    assert reasons == ([(2, "contradictory outcomes")] if contradictory else [])
    stated = {"length_of_stay//days": stay, "survival//days": survival, "in_hospital_death": death}
    expected = {} if contradictory else {code: value for code, value in stated.items() if value != -1}
    assert dict(events) == {f"OUTCOME//{code}": value for code, value in (expected | {"SAPS-I": 6, "SOFA": 1}).items()}


@given(st.lists(st.sampled_from(["1,6,1,10,-1,0", "1,6,1,10,5,1", "1,7,1,10,-1,0"]), min_size=2, max_size=4))
def test_of_lines_that_contradict_each_other_none_is_used(tmp_path_factory, lines):
    events, reasons = outcomes_of(tmp_path_factory.mktemp("stays"), lines)
    if len(set(lines)) > 1:
        assert events == []
        assert reasons == [(line, "contradictory outcomes") for line in range(2, len(lines) + 2)]
    else:
        assert len(events) > 3
        assert reasons == [(line, "duplicate record") for line in range(3, len(lines) + 2)]


def test_another_table_as_outcomes_is_rejected(folder):
    (folder / "1.txt").write_text(record(1, "00:01,HR,80"))
    (folder / "Outcomes-a.txt").write_text("id,died\n1,0\n")
    kept = kept_from(folder)
    assert kept.reasons == [(1, "not an outcomes file")]


def archive(path, files: dict[str, str]):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content.encode())
            tar.addfile(info, io.BytesIO(content.encode()))
        link = tarfile.TarInfo("set-a/link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return path


@pytest.mark.parametrize("layout", ["folder of both", "archive", "archive and option"])
def test_an_archive_with_its_outcomes(folder, layout):
    tar = archive(folder / "set-a.tar.gz", {f"set-a/{n}.txt": record(n, "00:01,HR,80") for n in (1, 2)})
    outcomes = folder / ("results.csv" if layout == "archive and option" else "Outcomes-a.txt")
    outcomes.write_text(OUTCOMES + "1,6,1,10,5,1\n")
    options = {"outcomes": outcomes} if layout == "archive and option" else {}
    kept = kept_from(folder if layout == "folder of both" else tar, **options)
    assert len(kept.events) == 2 + 5
    assert [(reject.file, reject.reason) for reject in kept.rejects] == [("link.txt", "not a record of the challenge")]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_archive(folder, share):
    files = {f"set-a/{n}.txt": record(n, *(f"00:{m:02},HR,{(n * m) % 97}" for m in range(60))) for n in range(1, 200)}
    tar = archive(folder / "set-a.tar.gz", files)
    tar.write_bytes(tar.read_bytes()[: int(tar.stat().st_size * share)])
    kept = kept_from(tar)
    assert [(reject.file, reject.reason) for reject in kept.rejects] == [("set-a.tar.gz", "truncated file")]
    assert bool(kept.events) == (share > 0)


def test_chunk_size_changes_nothing(folder, monkeypatch):
    for stay in range(1, 30):
        (folder / f"{stay}.txt").write_text(record(stay, "00:00,Age,60", f"00:{stay:02},HR,{60 + stay}", "00:01,pH,99"))
    whole = kept_from(folder)
    monkeypatch.setattr(physionet2012, "_CHUNK", 100)
    pieces = kept_from(folder)
    assert (pieces.events, pieces.reasons) == (whole.events, whole.reasons)
    assert len(whole.rejects) == 29


TOKEN = st.sampled_from(
    ["00:00", "00:07", "99:99", "HR", "Age", "Gender", "pH", "RecordID", "-1", "7.4", "", "x", ",", "caf\xe9"]
)
LINE = st.lists(TOKEN, max_size=4).map(",".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(60))
@given(lines=st.lists(LINE, max_size=8), end=st.booleans())
def test_every_line_is_an_event_missing_or_rejected(folder, lines, end):
    content = record(1, *lines).encode("latin-1")
    (folder / "1.txt").write_bytes(content if end else content.removesuffix(b"\n"))
    kept = kept_from(folder)
    if any(reject.line is None for reject in kept.rejects):
        assert kept.events == []
        return
    rejected = [reject.line for reject in kept.rejects]
    assert len(rejected) == len(set(rejected))
    left = [line for number, line in enumerate(lines, 3) if line and number not in rejected]
    without_value = [line for line in left if line.endswith(",-1") or ",RecordID," in line]
    assert len(kept.events) == len(left) - len(without_value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(60))
@given(content=st.binary(max_size=200))
def test_arbitrary_bytes_never_crash(folder, content):
    (folder / "1.txt").write_bytes(content)
    (folder / "2.txt").write_bytes(b"Time,Parameter,Value\n" + content)
    (folder / "set-a.tar.gz").write_bytes(content)
    (folder / "Outcomes-a.txt").write_bytes(content)
    kept = kept_from(folder)
    assert kept.events == []
    assert {"1.txt", "2.txt", "set-a.tar.gz"} <= {reject.file for reject in kept.rejects}


def test_parameters_are_consistent():
    assert len({entry.code for entry in PARAMETERS.values()}) == len(PARAMETERS) == 41
    assert all(entry.lowest < entry.highest for entry in PARAMETERS.values())
    assert not [name for name, entry in PARAMETERS.items() if entry.lowest <= -1 <= entry.highest]


def test_missing_outcomes_are_an_error(folder):
    with pytest.raises(IngestError, match=r"none\.txt is no file: give the outcomes"):
        ingest("physionet2012", folder, folder.parent / "cohort", outcomes="none.txt")


def test_an_empty_folder_is_an_error(folder):
    with pytest.raises(IngestError, match="it holds no records"):
        ingest("physionet2012", folder, folder.parent / "cohort")


@pytest.mark.real_data
def test_set_a_matches_independent_counts(real_data, tmp_path):
    source = real_data("physionet2012_a")
    kept = kept_from(source)
    events = pl.concat([frame.select("source_id", "code") for frame in kept.frames])
    reasons = pl.Series([reject.reason for reject in kept.rejects]).value_counts()
    assert dict(reasons.iter_rows()) == {
        "implausible value": 454,
        "repeated static fact": 468,
        "outcome without a record": 4,
        "contradictory outcomes": 1,  # stay 136022 survives, of 10 days, none
    }
    measured = missing = 0
    with tarfile.open(source / "set-a.tar.gz") as tar:
        for member in tar:
            if member.isfile():
                rows = list(csv.reader(io.TextIOWrapper(tar.extractfile(member))))[1:]
                measured += sum(row[1] != "RecordID" for row in rows)
                missing += sum(float(row[2]) == -1 for row in rows)
    records = events.filter(~pl.col("code").str.starts_with("OUTCOME//"))
    assert records.height == measured - missing - 454 - 468
    assert records.get_column("source_id").n_unique() == 3996
    assert events.filter(pl.col("code") == "OUTCOME//in_hospital_death").height == 3995

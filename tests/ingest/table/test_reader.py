"""Tables in wide and long form: every cell is missing, an event, or rejected with its line."""

import struct
import zlib
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from polyclinic.cohort import BIRTH, NOMINAL_ORIGIN, Cohort
from polyclinic.ingest import IngestError, Options, ingest
from polyclinic.ingest.formats.images import png, read_grey
from polyclinic.ingest.table.reader import read
from polyclinic.progress import SILENT
from polyclinic.tasks import Task, prediction_times
from polyclinic.training.evaluation.subgroups import ages_at
from tests.images import film
from tests.ingest.sinks import read_table

TEN = datetime(2023, 2, 3, 10)
WIDE = """
subject: id
time: {column: at, format: "%Y-%m-%d %H:%M"}
columns:
  lactate: {code: LAB//lactate//mmol/L, type: numeric, range: [0, 50], units: {column: unit, mg/dL: 0.111}}
  sex: {code: DEMOGRAPHIC//sex, type: categorical, values: {F: female, M: male}, time: null}
  report: {code: NOTE//findings, type: text}
  died: {code: OUTCOME//died, type: label}
"""
HEADER = "id,at,lactate,unit,sex,report,died\n"


def wide(folder: Path, *lines: str, mapping: str = WIDE):
    table = folder / "labs.csv"
    table.write_text(HEADER + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return read_table(table, mapping)


def test_a_row_becomes_one_event_per_cell(tmp_path):
    kept = wide(tmp_path, 'p1,2023-02-03 10:00,1.5,mmol/L,F,"clear, no\neffusion",no')
    assert kept.events == [
        ("p1", None, "DEMOGRAPHIC//sex", "female"),
        ("p1", TEN, "LAB//lactate//mmol/L", 1.5),
        ("p1", TEN, "NOTE//findings", "clear, no\neffusion"),
        ("p1", TEN, "OUTCOME//died", 0.0),
    ]
    assert kept.rejects == []


def test_missing_cells_are_neither_events_nor_rejects(tmp_path):
    kept = wide(tmp_path, "p1,2023-02-03 10:00,NA,,,,")
    assert kept.events == kept.rejects == []


def test_units_are_converted(tmp_path):
    kept = wide(tmp_path, "p1,2023-02-03 10:00,18,mg/dL,,,")
    assert kept.events == [("p1", TEN, "LAB//lactate//mmol/L", pytest.approx(1.998))]


def test_an_offset_converts_temperatures(tmp_path):
    (tmp_path / "t.csv").write_text("id,t,u\n1,98.6,F\n1,37,C\n")
    mapping = """
subject: id
unique: false
columns:
  t: {code: VITAL//t//C, type: numeric, units: {column: u, F: {factor: 0.555556, offset: -17.7778}}}
"""
    kept = read_table(tmp_path / "t.csv", mapping)
    assert [event[3] for event in kept.events] == [pytest.approx(37, abs=0.001)] * 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("p1,2023-02-03 10:00,high,mmol/L,,,", "not a number"),
        ("p1,2023-02-03 10:00,inf,mmol/L,,,", "not a number"),
        ("p1,2023-02-03 10:00,150,mmol/L,,,", "implausible value"),
        ("p1,2023-02-03 10:00,18,mg%,,,", "unknown unit"),
        ("p1,2023-02-03 10:00,18,,,,", "unknown unit"),
        ("p1,2023-02-03 10:00,,,X,,", "unknown category"),
        ("p1,2023-02-30 10:00,1,mmol/L,,,", "impossible date"),
        ("p1,2023-02-03 25:00,1,mmol/L,,,", "impossible date"),
        ("p1,2023-02-03,1,mmol/L,,,", "impossible date"),
        ("p1,3023-02-03 10:00,1,mmol/L,,,", "implausible date"),
        ("p1,,1,mmol/L,,,", "no time"),
        (",2023-02-03 10:00,1,mmol/L,,,", "no subject"),
        ("p1,2023-02-03 10:00,1,mmol/L", "wrong number of columns"),
        ("p1,2023-02-03 10:00,1,mmol/L,,,,,,", "wrong number of columns"),
        ('p1,2023-02-03 10:00,,,,"he said "no" twice",', "quotes out of balance"),
        ('p1,2023-02-03 10:00,,,,"never closed,', "quotes out of balance"),
    ],
)
def test_invalid_cells_are_rejected_by_line(tmp_path, line, reason):
    kept = wide(tmp_path, "p0,2023-02-03 10:00,1,mmol/L,,,", line)
    assert [event[0] for event in kept.events] == ["p0"]
    [reject] = kept.rejects
    assert (reject.file, reject.line, reject.reason) == ("labs.csv", 3, reason)
    assert reject.remedy


@pytest.mark.parametrize("quoted", [False, True])
def test_lines_that_are_not_utf8_are_rejected(tmp_path, quoted):
    mark = '"' if quoted else ""
    table = tmp_path / "labs.csv"
    lines = [f"p{n},2023-02-03 10:00,,,,{mark}caf{chr(233)}{mark},".encode() for n in range(3)]
    lines[1] = lines[1].decode().encode("latin-1")
    table.write_bytes(HEADER.encode() + b"\n".join(lines) + b"\n")
    kept = read_table(table, WIDE)
    assert [(event[0], event[3]) for event in kept.events] == [("p0", "café"), ("p2", "café")]
    assert kept.reasons == [(3, "not UTF-8 text")]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8-sig", "utf-16"])
def test_named_and_marked_encodings_are_read(tmp_path, encoding):
    table = tmp_path / "labs.csv"
    table.write_bytes((HEADER + "p1,2023-02-03 10:00,,,,café,\n").encode(encoding))
    kept = read_table(table, WIDE + ("encoding: latin-1\n" if encoding == "latin-1" else ""))
    assert [event[3] for event in kept.events] == ["café"]


def test_a_static_table_has_one_row_per_subject(tmp_path):
    table = tmp_path / "people.csv"
    table.write_text("id,age\n1,70\n2,50\n1,71\n")
    mapping = "subject: id\ncolumns:\n  age: {code: DEMOGRAPHIC//age//years, type: numeric}\n"
    kept = read_table(table, mapping)
    assert [event[3] for event in kept.events] == [70, 50]
    assert kept.reasons == [(4, "duplicate subject")]
    assert len(read_table(table, mapping + "unique: false\n").events) == 3


def test_a_table_in_long_form(tmp_path):
    table = tmp_path / "chart.tsv"
    rows = ["HR\t80\tbpm", "T\t98.6\tF", "T\t-1\tC", "GCS\tgood\t", "X\t1\t", "note\tskip me\t", "HR\t\t"]
    table.write_text("id\thours\twhat\tvalue\tunit\n" + "".join(f"7\t1.5\t{row}\n" for row in rows))
    mapping = """
subject: id
time: {column: hours, unit: hours}
long:
  code: what
  value: value
  unit: unit
  codes:
    HR: {code: VITAL//HR//bpm, type: numeric}
    T: {code: VITAL//T//C, type: numeric, missing: ["-1"], units: {F: {factor: 0.5556, offset: -17.78}}}
    GCS: {code: SCORE//GCS, type: numeric}
  ignore: [note]
"""
    kept = read_table(table, mapping)
    when = datetime(2000, 1, 1, 1, 30)
    assert kept.events == [
        ("7", when, "VITAL//HR//bpm", 80),
        ("7", when, "VITAL//T//C", pytest.approx(37, abs=0.01)),
    ]
    assert kept.reasons == [(5, "not a number"), (6, "unknown parameter")]


def test_a_column_may_have_its_own_time(tmp_path):
    table = tmp_path / "stays.csv"
    table.write_text("id,came,left,alive\n1,2023-01-01,2023-01-09,no\n2,2023-01-01,,yes\n3,2023-01-01,,\n")
    mapping = "subject: id\ntime: came\ncolumns:\n  alive: {code: OUTCOME//alive, type: label, time: left}\n"
    kept = read_table(table, mapping)
    assert kept.events == [("1", datetime(2023, 1, 9), "OUTCOME//alive", 0.0)]
    assert kept.reasons == [(3, "no time")]


def test_years_of_two_digits(tmp_path):
    (tmp_path / "x.csv").write_text("id,born,a\n1,31.12.45,1\n")
    mapping = """
subject: id
time: {column: born, format: "%d.%m.%y", latest: 2024-01-01}
columns:
  a: {code: FINDING//a, type: numeric}
"""
    assert read_table(tmp_path / "x.csv", mapping).events == [("1", datetime(1945, 12, 31), "FINDING//a", 1)]


def test_labels_are_numbers_if_possible(tmp_path):
    table = tmp_path / "x.csv"
    table.write_text("id,a,b\n1,yes,dead\n2,0,alive\n3,grade 2,gone\n4,1e39,dead\n")
    mapping = """
subject: id
columns:
  a: {code: OUTCOME//a, type: label}
  b: {code: OUTCOME//b, type: label, values: {dead: 1, alive: 0}}
"""
    kept = read_table(table, mapping)
    assert [event[3] for event in kept.events if event[2] == "OUTCOME//a"] == [1.0, 0.0, "grade 2", "1e39"]
    assert [event[3] for event in kept.events if event[2] == "OUTCOME//b"] == [1.0, 0.0, 1.0]
    assert kept.reasons == [(4, "unknown category")]


def test_decimal_commas_and_texts_mapped_to_numbers(tmp_path):
    table = tmp_path / "x.csv"
    table.write_text("id;crp\n1;1,5\n2;<5\n3;1.000,5\n")
    mapping = """
subject: id
decimal: ","
columns:
  crp: {code: LAB//CRP//mg/L, type: numeric, values: {<5: 2.5}}
"""
    kept = read_table(table, mapping)
    assert [event[3] for event in kept.events] == [1.5, 2.5]
    assert kept.reasons == [(4, "not a number")]


COMMAS = """
subject: id
separator: ";"
decimal: ","
time: {column: hours, unit: hours}
columns:
  crp: {code: LAB//CRP//mg/L, type: numeric}
  stay: {code: OUTCOME//stay//days, type: label, time: {column: day, unit: days}}
"""


def test_decimal_commas_apply_to_all_numbers(tmp_path):
    table = tmp_path / "x.csv"
    table.write_text("id;hours;crp;day;stay\n1;3,5;1,5;1,25;4,5\n2;-0,5;2;2;dead\n")
    kept = read_table(table, COMMAS)
    assert kept.events == [
        ("1", NOMINAL_ORIGIN + timedelta(hours=3, minutes=30), "LAB//CRP//mg/L", 1.5),
        ("1", NOMINAL_ORIGIN + timedelta(days=1, hours=6), "OUTCOME//stay//days", 4.5),
        ("2", NOMINAL_ORIGIN - timedelta(minutes=30), "LAB//CRP//mg/L", 2.0),
        ("2", NOMINAL_ORIGIN + timedelta(days=2), "OUTCOME//stay//days", "dead"),
    ]
    assert kept.rejects == []


def test_points_in_a_table_with_decimal_commas_are_rejected(tmp_path):
    table = tmp_path / "x.csv"
    table.write_text("id;hours;crp;day;stay\n1;1.000;2;;\n2;1;1.000;;\n3;1.000,5;2;;\n")
    kept = read_table(table, COMMAS)
    assert kept.events == []
    assert kept.reasons == [(2, "impossible date"), (3, "not a number"), (4, "impossible date")]
    remedy = next(reject.remedy for reject in kept.rejects if reject.line == 3)
    assert remedy.startswith("column 'crp': correct the cell with ',' as the only separator")


@pytest.mark.parametrize("suffix", [".parquet", ".xlsx"])
def test_typed_numbers_ignore_the_decimal_sign(suffix, tmp_path):
    table = tmp_path / f"x{suffix}"
    frame = pl.DataFrame({"id": ["1"], "hours": [3.5], "crp": [1.25], "day": ["1,5"], "stay": [4]})
    frame.write_parquet(table) if suffix == ".parquet" else frame.write_excel(table)
    assert read_table(table, COMMAS).events == [
        ("1", NOMINAL_ORIGIN + timedelta(hours=3, minutes=30), "LAB//CRP//mg/L", 1.25),
        ("1", NOMINAL_ORIGIN + timedelta(days=1, hours=12), "OUTCOME//stay//days", 4.0),
    ]


def bomb(width: int, height: int) -> bytes:
    """Return a PNG whose header states `width` x `height` pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def test_images_of_a_table(tmp_path):
    source, secret = tmp_path / "source", tmp_path / "secret.png"
    source.mkdir()
    pixels = film()
    Image.fromarray(pixels).save(secret)
    Image.fromarray(pixels).save(source / "good.png")
    (source / "bomb.png").write_bytes(bomb(60_000, 60_000))
    (source / "large.png").write_bytes(bomb(10_000, 8_000))
    (source / "cut.png").write_bytes(png(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8))[:2000])
    (source / "link.png").symlink_to(secret)
    (source / "notes.png").write_text("hello")
    names = ["good", "bomb", "large", "cut", "link", "notes", "../secret", str(tmp_path / "secret"), "none"]
    (source / "xrays.csv").write_text("id,file\n" + "".join(f"{n},{name}.png\n" for n, name in enumerate(names)))
    kept = read_table(source / "xrays.csv", "subject: id\ncolumns:\n  file: {code: IMAGE//CR//PA, type: image}\n")
    [(subject, _, code, blob)] = kept.events
    assert (subject, code) == ("0", "IMAGE//CR//PA")
    np.testing.assert_array_equal(read_grey(kept.blobs[blob]), pixels)
    assert kept.reasons == [
        (10, "missing file"),
        (3, "image too large"),
        (4, "image too large"),
        (5, "not a readable image"),
        (6, "path outside the source"),
        (7, "not a readable image"),
        (8, "path outside the source"),
        (9, "path outside the source"),
    ]


def test_waveforms_of_a_table(tmp_path):
    import wfdb

    signal = np.sin(np.arange(500) / 10)[:, None]
    wfdb.wrsamp("ecg1", fs=250, units=["mV"], sig_name=["II"], p_signal=signal, fmt=["16"], write_dir=str(tmp_path))
    (tmp_path / "ecgs.csv").write_text("id,ecg\n1,ecg1\n2,ecg1.hea\n3,../ecg1\n4,absent\n")
    mapping = "subject: id\ncolumns:\n  ecg: {code: WAVEFORM//ECG//mV, type: waveform}\n"
    kept = read_table(tmp_path / "ecgs.csv", mapping)
    assert [event[0] for event in kept.events] == ["1", "2"]
    assert len(kept.blobs) == 1
    assert kept.reasons == [(4, "path outside the source"), (5, "missing file")]


BORN = "subject: id\nbirth: {column: dob, format: '%d.%m.%Y'}\n"


def test_birth_becomes_one_event_of_each_date(tmp_path):
    mapping = BORN + "time: at\ncolumns: {crp: {code: LAB//crp//mg/L, type: numeric}}\n"
    rows = ["1,03.02.1950,2023-02-03,5", "1,03.02.1950,2023-02-04,6", "2,NA,2023-02-03,7", "3,31.02.1950,2023-02-03,8"]
    rows += ["1,04.02.1950,2023-02-05,9", "4,03.02.1750,2023-02-03,4"]
    (tmp_path / "labs.csv").write_text("id,dob,at,crp\n" + "\n".join(rows))
    kept = read_table(tmp_path / "labs.csv", mapping)
    births = [frame for frame in kept.frames if "MEDS_BIRTH" in frame.get_column("code", default=[])]
    assert [row for frame in births for row in frame.select("source_id", "time").iter_rows()] == [
        ("1", datetime(1950, 2, 3)),
        ("1", datetime(1950, 2, 4)),  # which are checked with those of other files
    ]
    assert kept.reasons == [(5, "impossible date"), (7, "implausible date")]
    numbers = [x for frame in kept.frames if "numeric_value" in frame.columns for x in frame["numeric_value"]]
    assert numbers == [5, 6, 7, 8, 9, 4], "the facts of a row do not hang on the date of birth"


def test_birth_does_not_start_the_record(tmp_path):
    (tmp_path / "m.yaml").write_text(BORN)
    (tmp_path / "people.csv").write_text("id,dob\n1,03.02.1950\n2,04.02.1960\n")
    ingest("table", tmp_path / "people.csv", tmp_path / "cohort", mapping=tmp_path / "m.yaml")
    (tmp_path / "stays.yaml").write_text(
        "subject: id\ntime: at\ncolumns:\n  crp: {code: LAB//crp//mg/L, type: numeric}\n"
        "  died: {code: OUTCOME//died, type: label}\n"
    )
    (tmp_path / "stays.csv").write_text("id,at,crp,died\n1,2023-02-03,5,\n1,2023-02-09,,1\n2,2023-03-03,6,0\n")
    ingest("table", tmp_path / "stays.csv", tmp_path / "cohort", mapping=tmp_path / "stays.yaml")
    cohort = Cohort.open(tmp_path / "cohort")
    assert cohort.events().filter(pl.col("code") == BIRTH).collect().height == 2
    task = Task(name="death", kind="binary", target={"codes": "OUTCOME//died"}, prediction={"offset": "1d"})
    samples = prediction_times(cohort, task)
    assert samples["prediction_time"].to_list() == [datetime(2023, 2, 4), datetime(2023, 3, 4)]
    assert ages_at(cohort, samples.with_row_index("sample")) == [73, 63]


def test_a_folder_of_tables(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "a.csv").write_text(HEADER + "p1,2023-02-03 10:00,1,mmol/L,,,\n")
    (folder / "b.csv").write_text("")
    (folder / "c.csv").write_text("id,at\np1,2023-02-03 10:00\n")
    (folder / "readme.md").write_text("not a table")
    (tmp_path / "m.yaml").write_text(WIDE)
    report = ingest("table", folder, tmp_path / "cohort", mapping=tmp_path / "m.yaml")
    assert report.events == 1
    assert dict(report.rejects) == {"empty file": 1, "column not in the table": 1}


def test_a_table_without_a_mapping_is_an_error(tmp_path):
    with pytest.raises(IngestError, match="--guess"):
        read(tmp_path, None, Options(), SILENT)


def test_rejects_and_errors_contain_no_values(tmp_path):
    secret = "S3CRET"
    lines = [
        f"{secret},2023-02-03 10:00,{secret},mmol/L,{secret},{secret},",
        f"{secret},{secret},1,mmol/L,,,",
        f"{secret},2023-02-03 10:00,1,mmol/L,,,,{secret}",
        f'{secret},2023-02-03 10:00,1,mmol/L,,"{secret}" {secret},',
    ]
    kept = wide(tmp_path, *lines)
    assert len(kept.rejects) == 5
    assert secret not in str(kept.rejects)

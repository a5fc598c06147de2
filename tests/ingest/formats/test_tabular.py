"""Tables in every format, and truncated or damaged files."""

import gzip
import zipfile
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from polyclinic.ingest.formats import workbook as table_workbook
from tests.ingest.sinks import read_table
from tests.properties import examples

MAPPING = """
subject: id
time: at
columns:
  lactate: {code: LAB//lactate//mmol/L, type: numeric}
  note: {code: NOTE//x, type: text}
"""
AT = datetime(2023, 2, 3, 10, 30)
TABLE = pl.DataFrame(
    {
        "id": [17, 18, 19],
        "at": [AT, AT, None],
        "lactate": [1.5, None, 2.0],
        "note": ["ok", "a,b", None],
        "other": [1, 2, 3],
    }
)
EVENTS = [
    ("17", AT, "LAB//lactate//mmol/L", 1.5),
    ("17", AT, "NOTE//x", "ok"),
    ("18", AT, "NOTE//x", "a,b"),
]


def write(path):
    match path.suffix:
        case ".parquet":
            TABLE.write_parquet(path)
        case ".xlsx":
            TABLE.write_excel(path)
        case ".tsv":
            TABLE.write_csv(path, separator="\t")
        case ".gz":
            path.write_bytes(gzip.compress(TABLE.write_csv().encode()))
        case _:
            TABLE.write_csv(path)
    return path


@cache
def encoded(name: str) -> bytes:
    with TemporaryDirectory() as folder:
        return write(Path(folder) / name).read_bytes()


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.csv.gz", "t.parquet", "t.xlsx"])
def test_every_format_gives_the_same_events(tmp_path, name):
    kept = read_table(write(tmp_path / name), MAPPING)
    assert kept.events == EVENTS
    assert kept.reasons == [(3 if name == "t.parquet" else 4, "no time")]


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "t.xlsx"])
@pytest.mark.parametrize("kept_share", [0.0, 0.5])
def test_truncated_files_are_rejected_and_earlier_rows_kept(tmp_path, name, kept_share):
    content = write(tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * kept_share)])
    kept = read_table(tmp_path / name, MAPPING)
    assert set(kept.events) <= set(EVENTS)
    assert kept.rejects
    assert all(reject.file == name for reject in kept.rejects)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(60))
@pytest.mark.parametrize("name", ["t.csv.gz", "t.parquet", "t.xlsx"])
@given(changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=20))
@example(changes=[(0.15780592479225564, 1)])  # the kind of a page of the Parquet file
def test_damaged_files_are_read_or_rejected(tmp_path, name, changes):
    content = bytearray(encoded(name))
    for place, byte in changes:
        content[int(place * len(content))] = byte
    (tmp_path / name).write_bytes(content)
    kept = read_table(tmp_path / name, MAPPING)
    assert kept.rejects  # the whole table has one: a row without a time


def test_workbooks_that_unpack_to_too_much_are_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(table_workbook, "_WORKBOOK_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "t.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(1 << 20))
        archive.writestr("b", bytes(1))
    assert read_table(tmp_path / "t.xlsx", MAPPING).reasons == [(None, "workbook too large")]


def test_typed_dates_need_no_format(tmp_path):
    TABLE.with_columns(at=pl.lit(date(2023, 5, 16))).write_parquet(tmp_path / "t.parquet")
    mapping = MAPPING.replace("time: at", 'time: {column: at, format: "%d.%m.%Y"}')
    assert {event[1] for event in read_table(tmp_path / "t.parquet", mapping).events} == {datetime(2023, 5, 16)}


def test_ids_stored_as_floats_are_kept(tmp_path):
    TABLE.with_columns(pl.col("id").cast(pl.Float64)).write_parquet(tmp_path / "t.parquet")
    assert {event[0] for event in read_table(tmp_path / "t.parquet", MAPPING).events} == {"17", "18"}


def test_mapped_columns_of_lists_are_rejected(tmp_path):
    TABLE.with_columns(pl.concat_list("note"), other=pl.lit(b"x")).write_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet", MAPPING).reasons == [(None, "column of lists, bytes or durations")]
    TABLE.with_columns(pl.concat_list("other")).write_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet", MAPPING).events == EVENTS


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        (pa.array([True]), "true"),
        (pa.array([Decimal("1.50")]), "1.50"),
        (pa.array(["a"]).dictionary_encode(), "a"),
        (pa.array(["a"], pa.string_view()), "a"),
        (pa.array([7], pa.uint64()), "7"),
        (pa.array([0.1], pa.float32()), "0.1"),
        (pa.array([np.float16(0.5)], pa.float16()), "0.5"),
        (pa.array([date(2023, 1, 2)]), "2023-01-02"),
        (pa.array([None], pa.null()), None),
        (pa.array([b"a"], pa.large_binary()), "rejected"),
        (pa.array([b"a"], pa.binary(1)), "rejected"),
        (pa.array([timedelta(1)]), "rejected"),
        (pa.array([{"a": 1}]), "rejected"),
    ],
)
def test_parquet_types_are_text_or_rejected(tmp_path, cells, text):
    pq.write_table(pa.table({"id": ["1"], "x": cells}), tmp_path / "t.parquet")
    kept = read_table(tmp_path / "t.parquet", "subject: id\ncolumns:\n  x: {code: NOTE//x, type: text}\n")
    assert [event[3] for event in kept.events] == ([text] if text not in (None, "rejected") else [])
    assert bool(kept.rejects) == (text == "rejected")


def test_zoned_times_become_utc(tmp_path):
    zoned = pl.col("at").dt.replace_time_zone("Europe/Berlin")
    TABLE.with_columns(zoned).write_parquet(tmp_path / "t.parquet")
    assert {event[1] for event in read_table(tmp_path / "t.parquet", MAPPING).events} == {datetime(2023, 2, 3, 9, 30)}


def test_an_unknown_sheet_is_rejected_with_the_choices(tmp_path):
    kept = read_table(write(tmp_path / "t.xlsx"), MAPPING + "sheet: labs\n")
    [reject] = kept.rejects
    assert (reject.reason, reject.remedy) == ("no such sheet", "name one of: Sheet1")


def test_a_binary_file_named_csv_is_rejected(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    assert read_table(tmp_path / "t.csv", MAPPING).reasons == [(None, "not a text file")]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_missing_column_is_rejected_with_the_choices(tmp_path, suffix):
    table = TABLE.rename({"lactate": "lactat"}).drop("other")
    table.write_csv(tmp_path / "t.csv") if suffix == ".csv" else table.write_parquet(tmp_path / "t.parquet")
    [reject] = read_table(tmp_path / f"t{suffix}", MAPPING).rejects
    assert reject.remedy == "the mapping names lactate; the table's columns are id, at, lactat, note"


def workbook(path, rows, above: int = 0):
    """Write rows of cells, below empty rows; cells like `#DIV/0!` are written as formula errors."""
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(rows, above):
            for column, cell in enumerate(row):
                if str(cell).startswith("#"):
                    sheet.write_formula(number, column, "=1/0", None, cell)
                elif cell is not None:
                    sheet.write(number, column, cell)
    return path


def test_rows_of_a_workbook_have_their_sheet_numbers(tmp_path):
    rows = [
        ["id", "at", "lactate", "note"],
        ["1", "2023-02-03 10:30", 1.5, None],
        [None, None, None, None],
        ["2", "2023-02-03 10:30", "high", None],
        ["3", "yesterday", 1, None],
    ]
    for above in (0, 3):
        kept = read_table(workbook(tmp_path / f"{above}.xlsx", rows, above), MAPPING)
        assert kept.events == [("1", AT, "LAB//lactate//mmol/L", 1.5)]
        assert kept.reasons == [(above + 4, "not a number"), (above + 5, "impossible date")]


@pytest.mark.parametrize("result", [0, ""])
@pytest.mark.parametrize("above", [0, 3])
def test_formulas_that_were_never_computed_are_rejected(tmp_path, result, above):
    """XlsxWriter stores the result that it is given, by default 0, and asks for the computation on opening."""
    with xlsxwriter.Workbook(tmp_path / "t.xlsx") as book:
        sheet = book.add_worksheet()
        for column, name in enumerate(["id", "at", "lactate", "note", "other"]):
            sheet.write(above, column, name)
        for row, lactate in ((1, "=1+1"), (2, 1.5), (3, "=C2*2")):
            sheet.write(above + row, 0, str(row))
            sheet.write(above + row, 1, "2023-02-03 10:30")
            if row == 2:
                sheet.write(above + row, 2, lactate)
            else:
                sheet.write_formula(above + row, 2, lactate, None, result if row == 1 else 3)
            sheet.write_formula(above + row, 4, "=1+1", None, result)
    if result == "":
        emptied(tmp_path / "t.xlsx")
    kept = read_table(tmp_path / "t.xlsx", MAPPING)
    assert kept.events == [("2", AT, "LAB//lactate//mmol/L", 1.5), ("3", AT, "LAB//lactate//mmol/L", 3.0)]
    assert kept.reasons == [(above + 2, "formula without a result")]
    assert "column 'lactate': open the workbook in a spreadsheet program" in kept.rejects[0].remedy


def emptied(path):
    """Remove the results that are empty texts, as openpyxl writes a formula."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = parts[sheet].replace(b' t="str"', b"").replace(b"<v></v>", b"<v />")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


@given(
    st.datetimes(datetime(1910, 1, 2), datetime(2150, 1, 1)).map(lambda at: at.replace(microsecond=0)), st.booleans()
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(30))
def test_dates_of_both_systems_are_read_and_numbers_are_not(tmp_path, at, since_1904):
    with xlsxwriter.Workbook(tmp_path / "t.xlsx", {"date_1904": since_1904}) as book:
        sheet, dated = book.add_worksheet(), book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        sheet.write_row(0, 0, ["id", "at", "lactate", "note"])
        for row in (1, 2, 3):
            sheet.write_row(row, 0, [str(row), None, 1.5])
        sheet.write_datetime(1, 1, at, dated)
        sheet.write_number(2, 1, 45356.34375)
        sheet.write_number(3, 1, 0.34375, dated)
    kept = read_table(tmp_path / "t.xlsx", MAPPING)
    assert kept.events == [("1", at, "LAB//lactate//mmol/L", 1.5)]
    assert kept.reasons == [(3, "impossible date"), (4, "impossible date")]


@pytest.mark.parametrize("since_1904", [False, True])
def test_a_time_of_day_has_no_day(tmp_path, since_1904):
    with xlsxwriter.Workbook(tmp_path / "t.xlsx", {"date_1904": since_1904}) as book:
        sheet, clock = book.add_worksheet(), book.add_format({"num_format": "hh:mm"})
        sheet.write_row(0, 0, ["id", "at", "lactate", "note"])
        sheet.write_row(1, 0, ["1", "2023-02-03 10:30", None])
        sheet.write_number(1, 3, 0.34375, clock)
    assert read_table(tmp_path / "t.xlsx", MAPPING).events == [("1", AT, "NOTE//x", "08:15:00")]


@given(st.integers(2**53, 10**20).map(lambda number: number | 1))  # no floating-point number
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(30))
def test_numbers_that_a_workbook_has_rounded_are_no_ids(tmp_path, number):
    with xlsxwriter.Workbook(tmp_path / "t.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["id", "at", "lactate", "note"])
        sheet.write_row(1, 0, ["", "2023-02-03 10:30", 1.5])
        sheet.write_row(2, 0, ["", "2023-02-03 10:30", 1.5])
        sheet.write_row(3, 0, ["", "2023-02-03 10:30", 1.5])
        sheet.write_number(1, 0, number)
        sheet.write_string(2, 0, str(number))
        sheet.write_number(3, 0, 123456789012345)
    kept = read_table(tmp_path / "t.xlsx", MAPPING)
    assert {subject for subject, *_ in kept.events} == {str(number), "123456789012345"}
    assert sorted(kept.reasons) == [(2, "no subject"), (2, "number that lost its last digits")]
    assert kept.rows == [(3, 1)]


def test_formula_errors_are_rejected_and_not_available_is_missing(tmp_path):
    rows = [
        ["id", "at", "lactate", "note", "other"],
        ["1", "2023-02-03 10:30", "#DIV/0!", "a", "#DIV/0!"],
        ["2", "2023-02-03 10:30", "#N/A", "b", None],
    ]
    kept = read_table(workbook(tmp_path / "t.xlsx", rows), MAPPING)
    assert kept.events == [("1", AT, "NOTE//x", "a"), ("2", AT, "NOTE//x", "b")]
    assert [(reject.line, reject.reason, reject.remedy) for reject in kept.rejects] == [
        (2, "formula error", "column 'lactate': correct the formula, or empty the cell")
    ]
    assert kept.rows == [(2, 1)], "a row with a rejected cell counts once"


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "empty file"),
        ([["id", "at", "id"]], "column named twice"),
        ([["a", "b"], [1, 2]], "column not in the table"),
    ],
)
def test_a_workbook_without_the_table_is_rejected(tmp_path, rows, reason):
    assert [r for _, r in read_table(workbook(tmp_path / "t.xlsx", rows), MAPPING).reasons] == [reason]


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.xlsx"])
def test_empty_rows_of_a_spreadsheet_are_skipped(tmp_path, name):
    empty = dict.fromkeys(TABLE.columns[:4])
    frame = pl.concat([TABLE, pl.DataFrame([empty | {"other": 7}] * 2, TABLE.schema)])
    if name == "t.csv":
        frame.write_csv(tmp_path / name)
    else:
        frame.write_parquet(tmp_path / name) if name == "t.parquet" else frame.write_excel(tmp_path / name)
    kept = read_table(tmp_path / name, MAPPING)
    assert kept.events == EVENTS
    assert [reason for _, reason in kept.reasons] == ["no time"]


def test_complete_lines_of_a_truncated_gzip_file_are_kept(tmp_path):
    rng = np.random.default_rng(0)
    lines = [f"{number},2023-02-03 10:30,{rng.random()},x\n" for number in range(3000)]
    packed = gzip.compress(("id,at,lactate,note\n" + "".join(lines)).encode())
    (tmp_path / "t.csv.gz").write_bytes(packed[: len(packed) // 2])
    kept = read_table(tmp_path / "t.csv.gz", MAPPING)
    subjects = sorted(int(event[0]) for event in kept.events if event[2] == "NOTE//x")
    assert subjects == list(range(len(subjects)))
    assert 1000 < len(subjects) < 2000
    whole = {event[0]: event[3] for event in kept.events if event[2] != "NOTE//x"}
    assert whole == {line.split(",")[0]: pytest.approx(float(line.split(",")[2])) for line in lines[: len(subjects)]}
    assert kept.reasons == [(len(subjects) + 2, "not UTF-8 text"), (None, "truncated file")]


def test_a_gzip_file_with_a_wrong_checksum_is_rejected(tmp_path):
    packed = bytearray(gzip.compress(TABLE.write_csv().encode()))
    packed[-8] ^= 1  # of the checksum
    (tmp_path / "t.csv.gz").write_bytes(packed)
    kept = read_table(tmp_path / "t.csv.gz", MAPPING)
    assert (kept.events, kept.reasons) == ([], [(None, "damaged file")])


def test_a_first_line_that_may_be_data_is_not_quoted(tmp_path):
    for content in ("Jane Doe,1970-01-01,7\n", "Jane Doe,Jane Doe\n"):
        (tmp_path / "t.csv").write_text(content)
        [reject] = read_table(tmp_path / "t.csv", MAPPING).rejects
        assert "Jane" not in reject.remedy

"""A damaged record costs itself: the rows read and the lines rejected are all that was written."""

import csv
import doctest
import io
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.ingest.formats import delimited, record_shapes
from polyclinic.ingest.formats.records import BAD_QUOTES, SWALLOWED, WRONG_COUNT
from tests.ingest.formats.test_delimited import rows

TEXT = st.text(st.sampled_from("abc \u00e9,;\"'5"), min_size=1, max_size=12)
DAMAGES = {
    "not closed": '"{}'.format,
    "opened at the end": '{}, and more"'.format,
    "closed early": '"a" {}'.format,
    "backslash": 'a \\"b\\", {}'.format,
    "quoted with a backslash": '"He said \\"{}\\", and left"'.format,
    "quoted twice": '""{}""x"'.format,
    "quoted with a quote": '"a "{}'.format,
    "only a quote": '"'.format,
}


def line(*cells: str) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


@st.composite
def tables(draw, notes):
    """Draw the lines of records with an id, a time, a note and a number."""
    count = draw(st.integers(8, 30))
    return [line(f"P{n}", f"2024-03-{n % 28 + 1:02} 08:00", draw(notes), str(60 + n)) for n in range(count)]


def read(records: list[str], block: int = 1 << 20):
    with patch.object(delimited, "_BLOCK", block):
        return rows(("id,at,note,hr\n" + "".join(records)).encode())


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@given(records=tables(TEXT), data=st.data(), block=st.integers(1, 2000))
def test_a_damaged_record_of_one_line_costs_no_other(damage, records, data, block):
    number = data.draw(st.integers(0, len(records) - 1))
    whole, _ = read(records)
    text = data.draw(st.text(st.sampled_from("abc \u00e9"), max_size=9))
    records[number] = f"P{number},2024-03-05 08:00,{damage(text)},61\n"
    found, kept = read(records, block)
    others = [row for row in found if row[0] != number + 2]
    assert others == [row for row in whole if row[0] != number + 2]
    assert len(found) + len(kept.rejects) == len(records)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@given(
    records=tables(st.lists(TEXT, min_size=1, max_size=3).map("\n".join)), data=st.data(), block=st.integers(1, 2000)
)
def test_no_line_is_lost_beside_cells_of_several_lines(damage, records, data, block):
    number = data.draw(st.integers(0, len(records) - 1))
    whole, none = read(records)
    assert none.rejects == []
    assert [cells[0] for _, cells in whole] == [f"P{n}" for n in range(len(records))]
    records[number] = f"P{number},2024-03-05 08:00,{damage('x')},61\n"
    found, kept = read(records, block)
    starts = [2 + sum(record.count("\n") for record in records[:n]) for n in range(len(records))]
    rejected = {reject.line for reject in kept.rejects}
    for (at, cells), start, record in zip(whole, starts, records, strict=True):
        del at
        lines = set(range(start, start + record.count("\n")))
        assert (start, cells) in found or lines & rejected or start == starts[number]
    assert {cells[0] for _, cells in found} <= {cells[0] for _, cells in whole}, "no line of a note is a patient"


@given(records=tables(TEXT.filter(lambda text: '"' not in text)), data=st.data())
def test_a_quote_that_swallows_rows_without_an_error_is_found(records, data):
    start = data.draw(st.integers(0, len(records) - 3))
    end = data.draw(st.integers(start + 1, len(records) - 1))
    records[start] = f'P{start},2024-03-05 08:00,"not closed,61\n'
    records[end] = f'P{end},2024-03-05 08:00,5",62\n'
    found, kept = read(records)
    assert len(found) == len(records) - 1
    assert kept.reasons == [(start + 2, BAD_QUOTES)]


def test_a_stray_quote_in_a_large_file_costs_one_row():
    records = [line(f"P{n}", f"2024-03-05 {n % 24:02}:00", "fine", str(n)) for n in range(30_000)]
    records[5] = 'P5,2024-03-05 08:00,"fine,5\n'
    found, kept = read(records, 100_000)
    assert len(found) == 29_999
    assert kept.reasons == [(7, BAD_QUOTES)]


@pytest.mark.parametrize("notes", [("5", "5", ";", ";", ";", ";", "5;", "5;"), ("5",) * 6 + ("5\n5;5,5b,5",) * 2])
def test_notes_that_are_mostly_numbers_do_not_hide_records_after_a_fault(notes):
    records = [line(f"P{n}", f"2024-03-{n + 1:02} 08:00", note, str(60 + n)) for n, note in enumerate(notes)]
    records[0] = 'P0,2024-03-05 08:00,a \\"b\\", x,61\n'
    found, kept = read(records, 1)
    assert [cells[0] for _, cells in found] == [f"P{n}" for n in range(1, len(notes))]
    assert [line for line, _ in kept.reasons] == [2]


def test_where_records_cannot_be_recognised_every_line_is_counted():
    lines = ['1,"liver, fine', "spleen, small", 'kidney" large, fine"', "2,well", "3,unwell"]
    found, kept = rows("\n".join(["id,note", '0,"a', 'b"', *lines]).encode())
    assert found == [(2, ("0", "a\nb"))]
    assert kept.reasons == [(n, BAD_QUOTES) for n in range(4, 9)]
    assert "line 4" in kept.rejects[1].remedy


def test_a_cell_whose_lines_could_be_rows_is_warned_of():
    content = b'id,note,hr\n1,a,60\n2,"b,61\n3,c,62\n4,5",63\n5,d,64\n'
    found, kept = rows(content)
    assert len(found) == 3
    assert kept.warnings == {SWALLOWED: 1}


def test_the_remedy_names_the_fault_and_no_value():
    _, kept = read(
        [line(f"P{n}", "2024-03-05 08:00", "fine", "7") for n in range(5)] + ['P9,x,"S3CRET" x,1\n', "S3CRET\n"]
    )
    assert "S3CRET" not in str(kept.rejects)
    assert "written twice" in kept.rejects[0].remedy
    assert "line 7" in kept.rejects[1].remedy


@pytest.mark.parametrize("quoted", [False, True])
@given(count=st.integers(1, 5), more=st.integers(1, 3), separator=st.sampled_from(",;\t|"))
def test_separators_at_the_end_of_every_row_are_read(quoted, count, more, separator):
    mark = '"' if quoted else ""
    lines = [separator.join([f"{mark}P{n}{mark}", "x"]) + separator * more for n in range(count)]
    for header in (f"a{separator}b", f"a{separator}b{separator * more}"):
        found, kept = rows("\n".join([header, *lines]).encode())
        assert [cells[:2] for _, cells in found] == [(f"P{n}", "x") for n in range(count)]
        assert kept.rejects == []
    found, kept = rows(
        "\n".join([f"a{separator}b{separator * more}", *(text.rstrip(separator) for text in lines)]).encode()
    )
    assert [cells for _, cells in found] == [(f"P{n}", "x") for n in range(count)]


def test_a_cell_after_the_header_is_rejected_where_others_are_empty():
    found, kept = rows(b"a,b\n" + b"1,2,\n" * 20 + b"1,with, comma\n" + b"1,2,\n")
    assert len(found) == 21
    assert kept.reasons == [(22, WRONG_COUNT)]
    found, kept = rows(b"a,b\n1,2,\n3,4\n")
    assert [cells for _, cells in found] == [("3", "4")], "not every row ends with a separator"
    assert kept.reasons == [(2, WRONG_COUNT)]


@pytest.mark.parametrize("stated", ["sep=;", "SEP=;", '"sep=;"', "sep=; "])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_line_that_states_the_separator_is_understood(stated, end):
    found, kept = rows(end.join([stated, "a;b,c", "1;2", "3;4,5"]).encode())
    assert found == [(3, ("1", "2")), (4, ("3", "4,5"))]
    assert kept.rejects == []
    assert rows(f"sep=,{end}a;b{end}1;2{end}".encode(), separator=";")[0] == [(3, ("1", "2"))]


def test_examples():
    result = doctest.testmod(record_shapes)
    assert result.attempted > 0
    assert result.failed == 0


def test_long_notes_are_read_and_longer_ones_rejected_by_line():
    long, longer = "x, y\n" * 60_000, "x" * 1_000_001
    good = [line(f"P{n}", "2024-03-05 08:00", "a, b", "7") for n in range(3)]
    found, kept = read([*good, line("P3", "2024-03-05 08:00", long, "7"), line("P4", "2024-03-05 08:00", longer, "7")])
    assert [cells[2] for _, cells in found][3:] == [long]
    assert kept.reasons == [(60_006, BAD_QUOTES)]

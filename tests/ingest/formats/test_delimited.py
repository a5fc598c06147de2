"""Delimited text: both parsers agree, and every line is a row or a reject."""

import csv
import io
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.ingest.formats import delimited
from polyclinic.ingest.formats.delimited import BAD_QUOTES, WRONG_COUNT, read_delimited
from polyclinic.ingest.formats.text import WRONG_ENCODING, UnreadableText
from polyclinic.ingest.row_filter import RowFilter
from tests.ingest.sinks import RecordingSink

PLAIN = st.text(
    st.characters(codec="utf-8", exclude_characters='\0\r\n",;\t|', exclude_categories=["Cs", "Z"]), min_size=1
)
ANY = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12)


def rows(content: bytes, **options) -> tuple[list[tuple[int, tuple]], RecordingSink]:
    kept = RecordingSink()
    read = read_delimited(io.BytesIO(content), RowFilter("t.csv", kept), **options)
    return [(line, row) for part in read for line, row in zip(part.line, part.cells.iter_rows(), strict=True)], kept


def written(table: list[list[str]], quoting: int) -> bytes:
    text = io.StringIO()
    csv.writer(text, quoting=quoting, lineterminator="\n").writerows(table)
    return text.getvalue().encode()


TABLES = st.integers(2, 4).flatmap(lambda width: st.lists(st.lists(PLAIN, min_size=width, max_size=width), max_size=6))


@given(TABLES)
def test_unneeded_quotes_change_nothing(table):
    header = [f"c{n}" for n in range(len(table[0]) if table else 2)]
    bare, none = rows(written([header, *table], csv.QUOTE_NONE))
    quoted, _ = rows(written([header, *table], csv.QUOTE_ALL))
    assert bare == quoted == [(line, tuple(row)) for line, row in enumerate(table, 2)]
    assert none.rejects == []


@given(st.lists(st.tuples(ANY, ANY), max_size=8))
def test_quoted_cells_are_read_back(table):
    read, kept = rows(written([["a", "b"], *map(list, table)], csv.QUOTE_ALL))
    assert [row for _, row in read] == table
    assert kept.rejects == []


@given(st.lists(st.binary(max_size=20).filter(lambda line: not set(line) & set(b'\0\r\n"')), max_size=12))
def test_unquoted_lines_are_rows_rejects_or_blank(lines):
    read, kept = rows(b"\n".join([b"a,b", *lines]))
    rejected = [reject.line for reject in kept.rejects]
    full = [number for number, line in enumerate(lines, 2) if line.strip(b" ")]
    assert sorted([line for line, _ in read] + rejected) == full


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_read_or_rejected(content):
    try:
        read, kept = rows(b"a,b\n" + content)
    except UnreadableText:
        return
    assert all(len(row) == 2 for _, row in read)
    assert {reject.reason for reject in kept.rejects} <= {WRONG_COUNT, BAD_QUOTES, WRONG_ENCODING}


@pytest.mark.parametrize("block", [1, 7, 1000])
@pytest.mark.parametrize("quote", ["", '"'])
def test_line_numbers_continue_across_blocks(monkeypatch, block, quote):
    monkeypatch.setattr(delimited, "_BLOCK", block)
    monkeypatch.setattr(delimited, "_RECORDS", 3)
    text = "a,b\n\n" + "".join(f"{quote}{n}{quote},x\n" if n % 3 else "short\n" for n in range(20))
    read, kept = rows(text.encode())
    assert read == [(n + 3, (str(n), "x")) for n in range(20) if n % 3]
    assert sorted(reject.line for reject in kept.rejects) == [n + 3 for n in range(20) if not n % 3]


PIECES = st.lists(st.sampled_from(["a", '"', '""', ",", "\n", '"b\nc"', "1,2\n", '"x",y\n', "\0"]), max_size=25).map(
    "".join
)


@given(text=PIECES, block=st.integers(1, 20))
def test_block_size_changes_nothing(text, block):
    content = f"a,b{' ' * 5000}\n{text}".encode()
    whole, expected = rows(content)
    with patch.object(delimited, "_BLOCK", block), patch.object(delimited, "_RECORDS", 2):
        pieces, sink = rows(content)
    assert pieces == whole
    assert sorted(sink.rejects, key=str) == sorted(expected.rejects, key=str)


def test_a_record_of_several_lines_has_the_number_of_its_first():
    read, kept = rows(b'a,b\n1,"x\ny\nz"\n2,"bad" quote"\n3,z\n')
    assert read == [(2, ("1", "x\ny\nz")), (6, ("3", "z"))]
    [reject] = kept.rejects
    assert (reject.line, reject.reason) == (5, BAD_QUOTES)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_line_ends_and_separators_are_detected(end, separator):
    text = separator.join(["a", "b"]) + end + separator.join(["1", "2"]) + end
    assert rows(text.encode())[0] == [(2, ("1", "2"))]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"\n\n", "empty file"),
        (b"a,a\n", "column named twice"),
        (b'a,"b"x\n', BAD_QUOTES),
        (b"a,\xff\n", WRONG_ENCODING),
        (b"a\0b", "not a text file"),
        (b"a" * 16_000_001, "not a text file"),
    ],
)
def test_files_that_are_not_tables_are_rejected(content, reason):
    with pytest.raises(UnreadableText) as error:
        rows(content)
    assert error.value.reason == reason


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_line_with_nul_is_rejected(quote):
    good = b"1," + b"x" * 300 + b"\n"
    read, kept = rows(b"a,b\n" + good + f"{quote}2\0{quote},x\n".encode() + good)
    assert [line for line, _ in read] == [2, 4]
    assert [(reject.line, reject.reason) for reject in kept.rejects] == [(3, WRONG_ENCODING)]


def test_columns_without_a_name_are_numbered():
    kept = RecordingSink()
    for part in read_delimited(io.BytesIO(b'"","b"\n"1","2"\n'), RowFilter("t.csv", kept)):
        assert part.cells.columns == ["column_1", "b"]

"""A file that is not what its name says is refused with what to do."""

import bz2
import gzip
import lzma
import tarfile
import zipfile
from io import BytesIO

import polars as pl
import pytest

from polyclinic.ingest import ingest
from polyclinic.ingest.formats.tabular import is_table
from tests.ingest.sinks import read_table

TABLE = b"id,x\n1,2\n"
MAPPING = "subject: id\ncolumns:\n  x: {code: LAB//x, type: numeric}\n"


def written(kind: str) -> bytes:
    buffer = BytesIO()
    match kind:
        case "zip":
            with zipfile.ZipFile(buffer, "w") as archive:
                archive.writestr("t.csv", TABLE)
        case "tar":
            with tarfile.open(fileobj=buffer, mode="w") as archive:
                member = tarfile.TarInfo("t.csv")
                member.size = len(TABLE)
                archive.addfile(member, BytesIO(TABLE))
        case "excel":
            pl.DataFrame({"id": [1], "x": [2]}).write_excel(buffer)
        case "parquet":
            pl.DataFrame({"id": [1], "x": [2]}).write_parquet(buffer)
        case "page":
            return b"<html><table><tr><td>id</td></tr></table></html>"
        case "text":
            return TABLE
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "reason", "remedy"),
    [
        ("t.csv", gzip.compress(TABLE), "packed file", "add .gz to its name"),
        ("t.csv.gz", TABLE, "not a gzip file", "take .gz off its name"),
        ("t.csv.gz", gzip.compress(gzip.compress(TABLE)), "packed file", "packed twice"),
        ("t.csv.gz", written("zip"), "packed file", "zip archive: unpack it"),
        ("t.csv.zip", written("zip"), "packed file", "zip archive: unpack it"),
        ("t.csv.bz2", bz2.compress(TABLE), "packed file", "bunzip2"),
        ("t.csv.xz", lzma.compress(TABLE), "packed file", "unxz"),
        ("t.csv", written("tar"), "packed file", "tar"),
        ("t.csv", written("excel"), "not a text file", ".xlsx"),
        ("t.csv", written("parquet"), "not a text file", ".parquet"),
        ("t.csv", b"%PDF-1.7\n%\xe2\xe3", "not a text file", "PDF"),
        ("t.parquet", TABLE, "not a readable Parquet file", "such as .csv"),
        ("t.xlsx", TABLE, "not a readable workbook", "such as .csv"),
        ("t.xls", written("page"), "not a readable workbook", "web page"),
        ("t.parquet", written("parquet")[:-9], "not a readable Parquet file", "truncated"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # packed content holds the time of packing
)
def test_the_remedy_says_what_the_file_is(tmp_path, name, content, reason, remedy):
    (tmp_path / name).write_bytes(content)
    assert is_table(tmp_path / name)
    kept = read_table(tmp_path / name, MAPPING)
    assert kept.events == []
    assert kept.reasons == [(None, reason)]
    assert remedy in kept.rejects[0].remedy


def test_gzip_of_several_members_is_read(tmp_path):
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(TABLE) + gzip.compress(b"2,3\n"))
    assert [event[0] for event in read_table(tmp_path / "t.csv.gz", MAPPING).events] == ["1", "2"]


def test_a_packed_table_in_a_folder_is_not_passed_over(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "a.csv").write_bytes(TABLE)
    (folder / "b.csv.zip").write_bytes(written("zip"))
    (tmp_path / "m.yaml").write_text(MAPPING)
    assert ingest("table", folder, tmp_path / "c", mapping=tmp_path / "m.yaml").rejects == {"packed file": 1}

"""Recognise files by their first bytes, and name the format of a file that is not what its name states."""

import re

LENGTH = 4096  # bytes to look at
PACKED = "packed file"
_ZIP = b"PK\x03\x04"
_UNPACK = "unpack it with {}, and give the table within"
_EXPORT = "it is {}: export the table as CSV in UTF-8"
_SUFFIX = "it is {}: give its name the suffix {}"
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", PACKED, "it is packed with gzip: add .gz to its name, or unpack it with gunzip"),
    (b"BZh", PACKED, _UNPACK.format("bunzip2")),
    (b"\xfd7zXZ\0", PACKED, _UNPACK.format("unxz")),
    (b"\x28\xb5\x2f\xfd", PACKED, _UNPACK.format("unzstd")),
    (b"\x1f\x9d", PACKED, _UNPACK.format("uncompress")),
    (b"\x04\x22\x4d\x18", PACKED, _UNPACK.format("unlz4")),
    (b"7z\xbc\xaf\x27\x1c", PACKED, _UNPACK.format("7-Zip")),
    (b"Rar!\x1a\x07", PACKED, _UNPACK.format("unrar")),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "not a text file", _SUFFIX.format("an old Excel workbook", ".xls")),
    (b"PAR1", "not a text file", _SUFFIX.format("a Parquet file", ".parquet")),
    (b"%PDF", "not a text file", _EXPORT.format("a PDF document")),
    (b"$FL2", "not a text file", _EXPORT.format("an SPSS file")),
    (b"$FL3", "not a text file", _EXPORT.format("an SPSS file")),
    (b"<stata_dta>", "not a text file", _EXPORT.format("a Stata file")),
    (b"SQLite format 3\0", "not a text file", _EXPORT.format("a SQLite database")),
    (b"\x89HDF\r\n\x1a\n", "not a text file", _EXPORT.format("an HDF5 file")),
)
_TAR = slice(257, 262)
_PAGE = re.compile(rb"\s*(<!doctype html|<html|<table|<\?xml)", re.IGNORECASE)


def recognised(head: bytes) -> tuple[str, str] | None:
    """Return what is wrong with a file that should be text, and the remedy; None if it may be text."""
    if head.startswith(_ZIP):
        return _zip(head)
    if head[_TAR] == b"ustar":
        return PACKED, _UNPACK.format("tar")
    return next(((reason, remedy) for mark, reason, remedy in _SIGNATURES if head.startswith(mark)), None)


def remedy_for_text(head: bytes) -> str | None:
    """Return what to do with a text file whose name is not that of one; None if the file is not text."""
    if _PAGE.match(head):
        return "it is a web page or XML: open it in a spreadsheet, and save it as .xlsx or as CSV in UTF-8"
    printable = sum(byte >= 32 or byte in b"\t\r\n\f" for byte in head)
    return _SUFFIX.format("text", "of a table, such as .csv") if head and printable == len(head) else None


def _zip(head: bytes) -> tuple[str, str]:
    if b"opendocument.spreadsheet" in head:
        return "not a text file", _SUFFIX.format("an OpenDocument sheet", ".ods")
    if b"[Content_Types].xml" in head or b"xl/" in head:
        return "not a text file", _SUFFIX.format("an Excel workbook", ".xlsx")
    return PACKED, "it is a zip archive: unpack it, and give the table within"

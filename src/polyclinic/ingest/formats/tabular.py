"""Read tables as rows of text cells: delimited text, Parquet or workbooks, by file suffix."""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from polyclinic.ingest.formats.delimited import Rows, read_delimited
from polyclinic.ingest.formats.signatures import LENGTH, PACKED, recognised, remedy_for_text
from polyclinic.ingest.formats.text import DAMAGE, UnreadableText
from polyclinic.ingest.formats.workbook import read_workbook
from polyclinic.ingest.missing import composed
from polyclinic.ingest.row_filter import RowFilter
from polyclinic.progress import SILENT, Progress

if TYPE_CHECKING:
    from typing_extensions import Buffer

DELIMITED = (".csv", ".tsv", ".tab", ".txt", ".psv")
PARQUET = (".parquet", ".pq")
WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
_PACKED = (".zip", ".bz2", ".xz", ".zst", ".7z", ".gz.gz")  # tables that are refused with what to do
SUFFIXES = (*DELIMITED, *(f"{suffix}.gz" for suffix in DELIMITED), *PARQUET, *WORKBOOKS)
_UNSUPPORTED_TYPES = (
    pa.types.is_nested, pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary,
    pa.types.is_binary_view, pa.types.is_duration,
)  # fmt: skip
_GZIP, _PARQUET, _NOT_GZIP = b"\x1f\x8b", b"PAR1", "not a gzip file"
_BATCH = 65_536  # rows of Parquet per batch


def is_table(path: Path) -> bool:
    """Return whether the file has the suffix of a table, also of one in an archive, which is refused."""
    name = path.name.lower()
    return name.endswith((*SUFFIXES, *(f"{suffix}{packed}" for suffix in DELIMITED for packed in _PACKED)))


def holds_values(path: Path) -> bool:
    """Return whether the file format has typed numbers and dates."""
    return path.name.lower().endswith((*PARQUET, *WORKBOOKS))


class Layout(NamedTuple):
    """Settings for reading a file; None means to detect it."""

    separator: str | None = None
    encoding: str | None = None
    sheet: str | None = None
    columns: frozenset[str] | None = None  # to read


def read_rows(path: Path, layout: Layout, row_filter: RowFilter, progress: Progress = SILENT) -> Iterator[Rows]:
    """Yield the rows of a table; bad rows, and the rest of a truncated file, are rejected through `row_filter`.

    Raises:
        UnreadableText: the file cannot be read at all.
    """
    name = path.name.lower()
    try:
        if name.endswith(PARQUET):
            yield from _parquet(path, layout, progress)
        elif name.endswith(WORKBOOKS):
            yield read_workbook(path, layout.sheet, layout.columns, row_filter)
        else:
            yield from _text(path, layout, row_filter, progress)
    except OSError:
        raise UnreadableText("unreadable file", "check the file's permissions and the disk") from None


def _text(path: Path, layout: Layout, row_filter: RowFilter, progress: Progress) -> Iterator[Rows]:
    with path.open("rb") as stored, progress.task(f"Reading {path.name}", path.stat().st_size) as advance:
        _check_packing(path, stored)
        unpacked = _Unpacked(stored) if path.suffix.lower() == ".gz" else None
        done = 0
        try:
            for rows in read_delimited(unpacked or stored, row_filter, layout.separator, layout.encoding):
                yield rows
                advance(stored.tell() - done)
                done = stored.tell()
        except (gzip.BadGzipFile, zlib.error):
            row_filter.reject_file(
                "damaged file", "copy the file again: it cannot be unpacked, or its checksum is wrong"
            )
        except UnreadableText:
            if not (unpacked and unpacked.truncated):
                raise
        if unpacked and unpacked.truncated:
            row_filter.reject_file("truncated file", "copy the file again: it is cut off")


def _check_packing(path: Path, stored: IO[bytes]) -> None:
    """Check that a file is packed as its name says.

    Raises:
        UnreadableText: it is not, or it is packed twice.
    """
    head = stored.read(LENGTH)
    stored.seek(0)
    if path.suffix.lower() != ".gz":
        return
    if head.startswith(_GZIP):
        try:
            inner = gzip.GzipFile(fileobj=stored).read(LENGTH)
        except (OSError, EOFError, zlib.error):
            inner = b""
        stored.seek(0)
        if inner.startswith(_GZIP):
            raise UnreadableText(PACKED, "it is packed twice: unpack it with gunzip once")
    elif head:
        raise UnreadableText(*(recognised(head) or (_NOT_GZIP, "it is not packed: take .gz off its name")))


class _Unpacked(io.RawIOBase):
    """The content of a gzip file; if it is truncated, `DAMAGE` is appended, so that a partial line is rejected."""

    def __init__(self, stored: IO[bytes]) -> None:
        self._file = gzip.GzipFile(fileobj=stored)
        self.truncated = False

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "Buffer") -> int:
        """Fill the buffer with decompressed bytes."""
        view = memoryview(buffer).cast("B")
        try:
            content = b"" if self.truncated else self._file.read1(len(view))
        except EOFError:
            self.truncated, content = True, DAMAGE.encode()
        view[: len(content)] = content
        return len(content)


def _parquet(path: Path, layout: Layout, progress: Progress) -> Iterator[Rows]:
    first = 1
    try:
        with pq.ParquetFile(path) as file, progress.task(f"Reading {path.name}", file.metadata.num_rows) as advance:
            columns = _columns_to_read(file.schema_arrow, layout)
            for batch in file.iter_batches(batch_size=_BATCH, columns=columns):
                batch.validate(full=True)  # polars does not validate text
                frame = pl.DataFrame(
                    [pl.Series(name, cells) for name, cells in zip(batch.schema.names, batch.columns, strict=True)]
                )
                line = pl.Series("line", range(first, first + frame.height), dtype=pl.Int64)
                dated = frozenset(name for name, dtype in frame.schema.items() if dtype.is_temporal())
                texts = frame.select(_as_text(name, dtype) for name, dtype in frame.schema.items())
                yield Rows(line, texts.rename(composed), frozenset(map(composed, dated)))
                first += frame.height
                advance(frame.height)
            if columns and first <= file.metadata.num_rows:  # pages with a damaged header are passed over
                raise pa.ArrowInvalid
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        remedy = _other_format(path) or "write the file again: it is truncated or damaged"
        raise UnreadableText("not a readable Parquet file", remedy) from None


def _other_format(path: Path) -> str | None:
    """Return what to do with a file whose name is that of another format; None if it is not recognised."""
    with path.open("rb") as file:
        head = file.read(LENGTH)
    if head.startswith(_PARQUET):
        return None
    known = recognised(head)
    return known[1] if known else remedy_for_text(head)


def _columns_to_read(schema: pa.Schema, layout: Layout) -> list[str]:
    """Return the columns to read: those of the layout, or all supported ones if it has none or unknown ones."""
    supported = [
        field.name for field in schema if not any(is_unsupported(field.type) for is_unsupported in _UNSUPPORTED_TYPES)
    ]
    if layout.columns is None:
        return supported
    names = {composed(name): name for name in schema.names}
    if not layout.columns <= set(names):
        return supported
    requested = {names[name] for name in layout.columns}
    if not requested <= set(supported):
        unsupported = ", ".join(sorted(requested - set(supported)))
        raise UnreadableText("column of lists, bytes or durations", f"write {unsupported} as texts or numbers")
    return sorted(requested)


def _as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if dtype.is_float():  # keep ids that were stored as floats
        whole = (column == column.round()) & (column.abs() < 2**53)
        return (
            pl.when(whole).then(column.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(column.cast(pl.String))
        )
    if isinstance(dtype, pl.Datetime) and dtype.time_zone:
        return column.dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(pl.String) + "Z"
    return column.cast(pl.String)

"""Files of tables → rows of text cells: delimited text, Parquet, workbooks, by their suffix."""

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
from polyclinic.ingest.formats.text import DAMAGE, UnreadableText
from polyclinic.ingest.formats.workbook import read_workbook
from polyclinic.ingest.row_filter import RowFilter
from polyclinic.progress import SILENT, Progress

if TYPE_CHECKING:
    from typing_extensions import Buffer

DELIMITED = (".csv", ".tsv", ".tab", ".txt", ".psv")
PARQUET = (".parquet", ".pq")
WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
SUFFIXES = (*DELIMITED, *(f"{suffix}.gz" for suffix in DELIMITED), *PARQUET, *WORKBOOKS)
_ODD = (
    pa.types.is_nested, pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary,
    pa.types.is_binary_view, pa.types.is_duration,
)  # fmt: skip
_BATCH = 65_536  # rows of Parquet at once


def is_table(path: Path) -> bool:
    """Whether the name of a file says that it is a table this reader knows."""
    return path.name.lower().endswith(SUFFIXES)


def holds_values(path: Path) -> bool:
    """Whether the file may hold true numbers and dates, beside texts of them."""
    return path.name.lower().endswith((*PARQUET, *WORKBOOKS))


class Layout(NamedTuple):
    """What has to be known of a file to find its cells; None: as the reader finds it."""

    separator: str | None = None
    encoding: str | None = None
    sheet: str | None = None
    columns: frozenset[str] | None = None  # those that are wanted


def read_rows(path: Path, layout: Layout, row_filter: RowFilter, progress: Progress = SILENT) -> Iterator[Rows]:
    """Read the rows of a table; bad ones go to `row_filter`, and so does what is left of a file that breaks off.

    Raises:
        UnusableText: nothing of the file can be read.
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
        unpacked = _Unpacked(stored) if path.suffix.lower() == ".gz" else None
        done = 0
        try:
            for rows in read_delimited(unpacked or stored, row_filter, layout.separator, layout.encoding):
                yield rows
                advance(stored.tell() - done)
                done = stored.tell()
        except (gzip.BadGzipFile, zlib.error):
            row_filter.reject_file(
                "damaged file", "copy the file again: it cannot be unpacked, or not to what was packed"
            )
        except UnreadableText:
            if not (unpacked and unpacked.breaks_off):
                raise
        if unpacked and unpacked.breaks_off:
            row_filter.reject_file("truncated file", "copy the file again: it breaks off")


class _Unpacked(io.RawIOBase):
    """What a gzip file holds; where it breaks off, damage stands, so that half a line is no line."""

    def __init__(self, stored: IO[bytes]) -> None:
        self._file = gzip.GzipFile(fileobj=stored)
        self.breaks_off = False

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: "Buffer") -> int:
        """Fill the buffer with what can be unpacked at once."""
        view = memoryview(buffer).cast("B")
        try:
            content = b"" if self.breaks_off else self._file.read1(len(view))
        except EOFError:
            self.breaks_off, content = True, DAMAGE.encode()
        view[: len(content)] = content
        return len(content)


def _parquet(path: Path, layout: Layout, progress: Progress) -> Iterator[Rows]:
    first = 1
    try:
        with pq.ParquetFile(path) as file, progress.task(f"Reading {path.name}", file.metadata.num_rows) as advance:
            for batch in file.iter_batches(batch_size=_BATCH, columns=_wanted(file.schema_arrow, layout)):
                batch.validate(full=True)  # polars takes text on trust
                frame = pl.DataFrame(
                    [pl.Series(name, cells) for name, cells in zip(batch.schema.names, batch.columns, strict=True)]
                )
                line = pl.Series("line", range(first, first + frame.height), dtype=pl.Int64)
                dated = frozenset(name for name, dtype in frame.schema.items() if dtype.is_temporal())
                yield Rows(line, frame.select(_as_text(name, dtype) for name, dtype in frame.schema.items()), dated)
                first += frame.height
                advance(frame.height)
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        raise UnreadableText(
            "not a readable Parquet file", "write the file again: it is truncated or damaged"
        ) from None


def _wanted(schema: pa.Schema, layout: Layout) -> list[str]:
    """Name the columns to read: those of the layout, or all of plain values where it says none or says others."""
    plain = [field.name for field in schema if not any(is_odd(field.type) for is_odd in _ODD)]
    wanted = layout.columns
    if wanted is None or not wanted <= set(schema.names):
        return plain
    if not wanted <= set(plain):
        odd = ", ".join(sorted(wanted - set(plain)))
        raise UnreadableText("column of lists, bytes or durations", f"write {odd} as texts or numbers")
    return sorted(wanted)


def _as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if dtype.is_float():  # an id that passed through a float is still that id
        whole = (column == column.round()) & (column.abs() < 2**53)
        return (
            pl.when(whole).then(column.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(column.cast(pl.String))
        )
    if isinstance(dtype, pl.Datetime) and dtype.time_zone:
        return column.dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(pl.String)
    return column.cast(pl.String)

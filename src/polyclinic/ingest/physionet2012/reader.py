"""Read the PhysioNet/CinC Challenge 2012: one text file per ICU stay, and the outcomes of all stays.

https://physionet.org/content/challenge-2012/. Hour 0 of every stay is `NOMINAL_ORIGIN`. Thousands of records are
parsed as one frame, with the record and line number of each row.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from polyclinic.cohort import NOMINAL_ORIGIN, Reject
from polyclinic.ingest.formats.text import DAMAGE, WRONG_ENCODING, UnreadableText
from polyclinic.ingest.paths import name_within
from polyclinic.ingest.physionet2012.archive import HEADER, Record, find, records
from polyclinic.ingest.physionet2012.codes import PARAMETERS
from polyclinic.ingest.physionet2012.outcomes import read_outcomes
from polyclinic.ingest.readers import Options, Sink
from polyclinic.ingest.row_filter import RowFilter
from polyclinic.progress import Progress

_CHUNK = 8_000_000  # bytes of records parsed at once
_MISSING = -1.0
_ORIGIN = pl.lit(NOMINAL_ORIGIN, dtype=pl.Datetime("us"))
_TABLE = pl.DataFrame(
    [(name, entry.code, entry.lowest, entry.highest, entry.static) for name, entry in PARAMETERS.items()],
    schema={"parameter": pl.String, "code": pl.String, "low": pl.Float64, "high": pl.Float64, "static": pl.Boolean},
    orient="row",
)
_NAMES = pl.DataFrame(
    [(name, float(value), text) for name, entry in PARAMETERS.items() for value, text in (entry.names or {}).items()],
    schema={"parameter": pl.String, "value": pl.Float64, "text_value": pl.String},
    orient="row",
)


def read(path: Path, sink: Sink, options: Options, progress: Progress) -> None:
    """Read the records in the folder or archive `path`, and the outcomes found there or given in `options`."""
    sources, stays, answered = find(path, options.outcomes, sink), set[str](), set[str]()
    for chunk in _chunks(records(sources, path, sink, progress)):
        sink.add(_events(chunk, sink, stays))
    for outcomes in sources.outcomes:
        row_filter = RowFilter(name_within(path, outcomes), sink)
        try:
            for events in read_outcomes(outcomes, row_filter, stays, answered):
                sink.add(events)
        except UnreadableText as error:
            row_filter.reject_file(error.reason, error.remedy, error.line)


def _chunks(items: Iterable[Record]) -> Iterator[list[Record]]:
    chunk: list[Record] = []
    size = 0
    for record in items:
        chunk.append(record)
        size += len(record.content)
        if size >= _CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


class _RecordFilter(RowFilter):
    """A row filter for frames of many records, with a column `record` for the index of the record."""

    def __init__(self, chunk: list[Record], sink: Sink) -> None:
        super().__init__("", sink)
        self._chunk = chunk

    def files(self, frame: pl.DataFrame) -> Iterable[str]:
        """Return the file name of each row."""
        return [self._chunk[record].name for record in frame.get_column("record")]


def _events(chunk: list[Record], sink: Sink, stays: set[str]) -> pl.DataFrame:
    """Parse records as events; `stays` holds the stays read so far, and is updated."""
    row_filter = _RecordFilter(chunk, sink)
    rows = _with_numbers(_split(_lines(chunk), row_filter), row_filter)
    rows = _with_stays(rows, chunk, row_filter, stays).filter(pl.col("value") != _MISSING)
    rows = rows.join(_TABLE, on="parameter", how="left", maintain_order="left")
    rows = row_filter.keep(rows, pl.col("code").is_not_null(), "unknown parameter", "leave the line out")
    rows = _stated_once(_plausible(rows, row_filter), row_filter)
    return rows.select(
        "source_id",
        pl.when(~pl.col("static")).then(_ORIGIN + pl.duration(minutes="minute")).alias("time"),
        "code",
        pl.when(pl.col("text_value").is_null()).then(pl.col("value").cast(pl.Float32)).alias("numeric_value"),
        "text_value",
    )


def _lines(chunk: list[Record]) -> pl.DataFrame:
    """Return all lines but the headers: `record`, `line`, `text`, and `whole` (whether it ends with a newline)."""
    counts = np.array([record.content.count(b"\n") + (not record.content.endswith(b"\n")) for record in chunk])
    ends = counts.cumsum()
    text = b"".join(r.content if r.content.endswith(b"\n") else r.content + b"\n" for r in chunk)
    lines = text.decode("utf-8", errors="polyclinic.damage")[:-1].split("\n")
    whole = np.ones(len(lines), dtype=bool)
    whole[[end - 1 for end, record in zip(ends, chunk, strict=True) if not record.content.endswith(b"\n")]] = False
    frame = pl.DataFrame(
        {
            "record": np.repeat(np.arange(len(chunk), dtype=np.uint32), counts),
            "line": np.arange(len(lines)) - np.repeat(ends - counts, counts) + 1,
            "text": pl.Series(lines, dtype=pl.String),
            "whole": whole,
        }
    )
    return frame.filter((pl.col("line") > 1) & (pl.col("text") != ""))


def _split(lines: pl.DataFrame, row_filter: RowFilter) -> pl.DataFrame:
    """Return `clock`, `parameter` and `number` (as text) of the valid lines."""
    text = pl.col("text")
    lines = row_filter.keep(lines, ~text.str.contains(DAMAGE, literal=True), WRONG_ENCODING, "fetch the record again")
    remedy = "fetch the record again; if it is complete, end it with a newline"
    lines = row_filter.keep(lines, pl.col("whole"), "truncated file", remedy)
    three = text.str.count_matches(",", literal=True) == 2
    lines = row_filter.keep(lines, three, "wrong number of columns", f"give the line three cells: {HEADER.decode()}")
    cells = text.str.split_exact(",", 2).struct.rename_fields(["clock", "parameter", "number"])
    return lines.select("record", "line", cells).unnest("text")


def _with_numbers(rows: pl.DataFrame, row_filter: RowFilter) -> pl.DataFrame:
    """Parse the clock as `minute` and the number as `value`."""
    clocks = rows.select(pl.col("clock").unique()).with_columns(
        minute=pl.when(pl.col("clock").str.contains(r"^\d{2,3}:[0-5]\d$")).then(
            pl.col("clock").str.split_exact(":", 1).struct.field("field_0").cast(pl.Int64, strict=False) * 60
            + pl.col("clock").str.tail(2).cast(pl.Int64, strict=False)
        )
    )
    rows = rows.join(clocks, on="clock", how="left", maintain_order="left")
    rows = row_filter.keep(rows, pl.col("minute").is_not_null(), "impossible time", "write hours and minutes as 07:30")
    rows = rows.with_columns(value=pl.col("number").cast(pl.Float64, strict=False))
    return row_filter.keep(
        rows, pl.col("value").is_finite(), "not a number", "correct the value, or write -1 if it is missing"
    )


def _with_stays(rows: pl.DataFrame, chunk: list[Record], row_filter: RowFilter, stays: set[str]) -> pl.DataFrame:
    """Return the rows of records with a valid new stay, with its id as `source_id`."""
    values = rows.filter(pl.col("parameter") == "RecordID").group_by("record")
    stated = {
        record: found for record, *found in values.agg(pl.col("value").unique(), pl.col("line").min()).iter_rows()
    }
    names: list[str | None] = []
    for number, record in enumerate(chunk):
        found, line = stated.get(number, ([], None))
        ids = {f"{value:.0f}" for value in found}
        problem = _problem(ids, record.name, stays)
        if problem:
            row_filter.sink.reject(Reject(record.name, line, *problem))
        else:
            stays |= ids
        names.append(None if problem else ids.pop())
    rows = rows.with_columns(source_id=pl.Series(names, dtype=pl.String).gather(rows.get_column("record")))
    return rows.filter(pl.col("source_id").is_not_null() & (pl.col("parameter") != "RecordID"))


def _problem(ids: set[str], name: str, stays: set[str]) -> tuple[str, str] | None:
    stem = name.rsplit("/", 1)[-1].removesuffix(".txt")
    if len(ids) != 1:
        return "no record id", "give the record one line with its RecordID"
    if stem.isdigit() and stem not in ids:
        return "record id is not the file's", "find out which is right, and correct the RecordID or the file's name"
    if ids & stays:
        return "duplicate record", "keep one file of the stay"
    return None


def _plausible(rows: pl.DataFrame, row_filter: RowFilter) -> pl.DataFrame:
    """Return the rows with plausible values, with `text_value` where the value encodes a category."""
    rows = rows.join(_NAMES, on=["parameter", "value"], how="left", maintain_order="left")
    undefined = (
        pl.col("parameter").is_in(_NAMES.get_column("parameter").unique().implode()) & pl.col("text_value").is_null()
    )
    possible = pl.col("value").is_between("low", "high") & ~undefined
    remedy = "correct the value, or write -1 if it is missing; the ranges are those of a living adult"
    return row_filter.keep(rows, possible, "implausible value", remedy)


def _stated_once(rows: pl.DataFrame, row_filter: RowFilter) -> pl.DataFrame:
    """Drop repeated static facts: some records have several ages, of which the first is used."""
    static = rows.filter("static")
    remedy = "leave one line for the fact: the first was taken"
    first = pl.struct("record", "parameter").is_first_distinct()
    return pl.concat([row_filter.keep(static, first, "repeated static fact", remedy), rows.filter(~pl.col("static"))])

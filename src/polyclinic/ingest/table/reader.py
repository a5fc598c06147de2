"""Read a table in wide or long form, by a mapping that the user writes.

Every cell of a mapped column is either missing, an event, or rejected (alone or with its row).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from polyclinic.cohort import BIRTH
from polyclinic.ingest.clock import Clock
from polyclinic.ingest.errors import IngestError
from polyclinic.ingest.formats.delimited import Rows
from polyclinic.ingest.formats.tabular import SUFFIXES, Layout, holds_values, is_table, read_rows
from polyclinic.ingest.formats.text import UnreadableText
from polyclinic.ingest.missing import Missing, stripped, visible
from polyclinic.ingest.paths import files_under, name_within
from polyclinic.ingest.readers import CountsRows, Options, Sink
from polyclinic.ingest.row_filter import RowFilter
from polyclinic.ingest.subject_ids import LOST, REMEDY, RESTORED, restored_ids
from polyclinic.ingest.table import alike
from polyclinic.ingest.table.cells import Cells
from polyclinic.ingest.table.guess import guess_mapping
from polyclinic.ingest.table.mapping import Column, Long, TableMapping, Time, load_mapping
from polyclinic.ingest.table.numbers import Numbers
from polyclinic.ingest.table.times import Times
from polyclinic.progress import Progress

__all__ = ["Table", "guess_mapping", "read"]


def read(path: Path, sink: Sink, options: Options, progress: Progress) -> None:
    """Read the table at `path`, or all tables in the folder `path`, by the mapping in `options`.

    Raises:
        IngestError: the mapping is missing or invalid.
    """
    if options.mapping is None:
        raise IngestError("a table needs a mapping: let --guess write one for you to edit, and give it with --mapping")
    mapping = load_mapping(options.mapping)
    tables = [table for table in files_under(path, sink) if is_table(table)] if path.is_dir() else [path]
    if not tables:
        raise IngestError(f"no table in {path.name}: its name must end in one of {', '.join(SUFFIXES)}")
    for table in tables:
        row_filter = RowFilter(name_within(path, table), sink)
        try:
            Table(table, mapping, row_filter, options.clock).read(progress)
        except UnreadableText as error:
            row_filter.reject_file(error.reason, error.remedy, error.line)


class Table:
    """Reads one file. Internally, the file's columns are named with a leading equals sign."""

    def __init__(self, path: Path, mapping: TableMapping, row_filter: RowFilter, clock: Clock | None = None) -> None:
        self.path, self.mapping, self.row_filter = path, mapping, row_filter
        self._numbers = Numbers(mapping.decimal, holds_values(path), mapping.thousands)
        self._times = Times(mapping.zone, self._numbers, clock or Clock(), row_filter)
        self._reading, self._rows = RowFilter(row_filter.file, row_filter.sink), 0
        self._seen: set[str] = set()

    def read(self, progress: Progress) -> None:
        """Send the table's events to the sink and its rejects to the row filter.

        Raises:
            UnreadableText: the file cannot be read at all.
        """
        mapping = self.mapping
        identity = mapping.id_in_name(self.path)
        columns = mapping.names() if identity is None else mapping.names() - {mapping.subject}
        layout = Layout(mapping.separator, mapping.encoding, mapping.sheet, frozenset(columns))
        for rows in read_rows(self.path, layout, self._reading, progress):
            if identity is not None:
                rows = rows._replace(cells=rows.cells.with_columns(pl.lit(identity).alias(mapping.subject)))
            self._check_columns(rows.cells.columns)
            if rows.cells.is_empty():
                continue
            for events in self._events(rows):
                self.row_filter.sink.add(events.with_columns(file=pl.lit(self.row_filter.file)))
        if isinstance(self.row_filter.sink, CountsRows):
            unread = len(self._reading.lines)
            self.row_filter.sink.count_rows(self._rows + unread, len(self.row_filter.lines) + unread)

    def _check_columns(self, columns: list[str]) -> None:
        missing = sorted(self.mapping.names() - set(columns))
        if missing:
            found = ", ".join(map(visible, columns))
            remedy = f"the mapping names {', '.join(map(visible, missing))}; the table's columns are {found}"
            if not self.mapping.names() & set(columns):  # a line that may not be a header is not quoted
                remedy = f"the mapping names {', '.join(missing)}: give the table a header with these columns, and see"
                remedy += f" whether its separator is the mapping's: {len(columns)} columns were found"
            raise UnreadableText("column not in the table", remedy, 1)

    def _events(self, rows: Rows) -> Iterator[pl.DataFrame]:
        frame = self._identified(rows)
        if self.mapping.birth:
            yield self._births(frame, self.mapping.birth, rows.dated)
        yield from self._wide(frame, rows.dated)
        if self.mapping.long:
            yield from self._long(frame, self.mapping.long, rows.dated)

    def _identified(self, rows: Rows) -> pl.DataFrame:
        """Return the rows whose subject is known, stripped, with `line` and `source_id`."""
        columns = [rows.cells.get_column(name).alias(f"={name}") for name in self.mapping.names()]
        mapped = pl.DataFrame(columns).select(stripped(pl.all()))
        blank = pl.all_horizontal(pl.all().is_null() | (pl.all() == ""))  # spreadsheets leave such rows behind
        frame = mapped.with_columns(line=rows.line, source_id=pl.col(f"={self.mapping.subject}")).filter(
            ~mapped.select(blank).to_series()
        )
        self._count(frame.get_column("line"))
        known = ~self.mapping.words()._replace(fillers=True, persons=True).among(pl.col("source_id"))
        frame = self.row_filter.keep(frame, known, "no subject", f"fill in column {self.mapping.subject!r}")
        frame = self._restored(frame)
        return self._without_repeats(frame) if self.mapping.one_row_per_subject else frame

    def _restored(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the rows with the ids that their texts state, rejecting those that have lost it."""
        written = frame.get_column("source_id")
        frame = frame.with_columns(source_id=restored_ids(written))
        self.row_filter.warn(RESTORED, int((frame.get_column("source_id") != written).sum()))
        remedy = f"column {self.mapping.subject!r}: {REMEDY}"
        return self.row_filter.keep(frame, pl.col("source_id").is_not_null(), LOST, remedy)

    def _count(self, lines: pl.Series) -> None:
        """Count the rows read, including those of which the file's reader rejected a cell."""
        self._rows += len(lines)
        partly_rejected = set(lines.filter(lines.is_in(list(self._reading.lines))))
        self.row_filter.lines |= partly_rejected
        self._reading.lines -= partly_rejected

    def _without_repeats(self, frame: pl.DataFrame) -> pl.DataFrame:
        remedy = "keep one row per subject, or give the rows a time, or set unique: false in the mapping"
        new = pl.Series([self._is_new(subject) for subject in frame.get_column("source_id")], dtype=pl.Boolean)
        return self.row_filter.keep(frame, pl.lit(new), "duplicate subject", remedy)

    def _is_new(self, subject: str) -> bool:
        seen = subject in self._seen
        self._seen.add(subject)
        return not seen

    def _births(self, frame: pl.DataFrame, birth: Time, dated: frozenset[str]) -> pl.DataFrame:
        """Return one birth event per subject and date: a calendar date, which has no clock."""
        known = ~self.mapping.words()._replace(fillers=True).among(pl.col(f"={birth.column}"))
        timed = self._times.read(frame.filter(known), birth, birth.column in dated)
        born = timed.select("line", "source_id", pl.col("time").dt.truncate("1d"))
        return born.unique(["source_id", "time"], keep="first", maintain_order=True).with_columns(code=pl.lit(BIRTH))

    def _wide(self, frame: pl.DataFrame, dated: frozenset[str]) -> Iterator[pl.DataFrame]:
        for time, facts in _by_time(self.mapping.columns, self.mapping.time).items():
            present = {name: ~self._is_missing(f"={name}", column) for name, column in facts.items()}
            timed = self._timed(frame.filter(pl.any_horizontal(*present.values())), time, dated)
            for names in alike.groups(facts, timed.height):
                alone = names
                if len(names) > 1:
                    events, alone = self._alike(facts, names, timed)
                    yield events
                for name in alone:
                    yield self._alone(name, facts[name], timed, present[name])

    def _alike(
        self, facts: Mapping[str, Column], names: list[str], timed: pl.DataFrame
    ) -> tuple[pl.DataFrame, list[str]]:
        """Return the events of columns that differ in name and code only, and the columns to be converted alone."""
        column = facts[names[0]]

        def convert(cells: pl.DataFrame, row_filter: RowFilter) -> pl.DataFrame:
            return Cells("", column, self._numbers, self.path.parent, row_filter).events(cells)

        events, alone = alike.convert(timed, names, self._is_missing("cell", column), convert)
        codes = {name: facts[name].code for name in names}
        return events.with_columns(code=pl.col("name").replace_strict(codes, return_dtype=pl.String)).drop(
            "name"
        ), alone

    def _alone(self, name: str, column: Column, timed: pl.DataFrame, present: pl.Expr) -> pl.DataFrame:
        unit = column.units.column if column.units else None
        used = dict.fromkeys([f"={name}", *([f"={unit}"] if unit else [])])
        cells = timed.select("line", "source_id", "time", *used).filter(present)
        return self._converted(name, column, cells, name, unit)

    def _long(self, frame: pl.DataFrame, long: Long, dated: frozenset[str]) -> Iterator[pl.DataFrame]:
        code = f"={long.code}"
        frame = frame.with_columns(pl.col(code).str.normalize("NFC"))  # as in the mapping
        frame = frame.filter(~self._is_missing_parameter(long), ~pl.col(code).is_in(long.ignore).fill_null(False))
        remedy = f"column {long.code!r}: add the parameter to the mapping's long.codes, or to long.ignore"
        frame = self.row_filter.keep(frame, pl.col(code).is_in(list(long.codes)), "unknown parameter", remedy)
        for time, facts in _by_time(long.codes, self.mapping.time).items():
            timed = self._timed(frame.filter(pl.col(code).is_in(list(facts))), time, dated)
            for (name,), cells in timed.partition_by(code, as_dict=True, maintain_order=True).items():
                yield self._converted(str(name), facts[str(name)], cells, long.value, long.unit)

    def _converted(self, name: str, column: Column, cells: pl.DataFrame, value: str, unit: str | None) -> pl.DataFrame:
        text = pl.col(f"={unit}") if unit else pl.lit(None, dtype=pl.String)
        cells = cells.select("line", "source_id", "time", cell=f"={value}", unit=text)
        return Cells(name, column, self._numbers, self.path.parent, self.row_filter).events(cells)

    def _is_missing(self, name: str, column: Column) -> pl.Expr:
        return self.mapping.words(column).among(pl.col(name))

    def _is_missing_parameter(self, long: Long) -> pl.Expr:
        """Return whether a row's value is missing, by the words of its parameter."""
        value, parameters = pl.col(f"={long.value}"), dict[Missing, list[str]]()
        for name, column in long.codes.items():
            parameters.setdefault(self.mapping.words(column), []).append(name)
        missing = self.mapping.words().among(value)
        for words, names in parameters.items():
            if words != self.mapping.words():
                missing = pl.when(pl.col(f"={long.code}").is_in(names)).then(words.among(value)).otherwise(missing)
        return missing

    def _timed(self, frame: pl.DataFrame, time: Time | None, dated: frozenset[str]) -> pl.DataFrame:
        """Return the rows with a valid time, as column `time`; null for static facts."""
        if time is None:
            return frame.with_columns(time=pl.lit(None, dtype=pl.Datetime("us")))
        remedy = f"column {time.column!r}: fill in the time, or map the fact as static with time: null"
        given = ~Missing(fillers=True).among(pl.col(f"={time.column}"))
        frame = self._times.read(self.row_filter.keep(frame, given, "no time", remedy), time, time.column in dated)
        return frame.drop("offset") if time.unit else self._times.convert(frame, time)


def _by_time(columns: Mapping[str, Column], row: Time | None) -> dict[Time | None, dict[str, Column]]:
    """Group the facts by their time, so that each time is parsed once."""
    grouped: dict[Time | None, dict[str, Column]] = {}
    for name, column in columns.items():
        grouped.setdefault(column.time if column.has_own_time else row, {})[name] = column
    return grouped

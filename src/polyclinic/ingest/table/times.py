"""Read the columns of times of a table, and convert them to the clock of the cohort."""

from datetime import date, datetime

import polars as pl

from polyclinic.ingest.clock import Clock
from polyclinic.ingest.plausible import PLACEHOLDERS
from polyclinic.ingest.row_filter import RowFilter
from polyclinic.ingest.table.datetimes import (
    Written,
    has_clock,
    in_century_before,
    no_offset,
    read_dates,
    since_origin,
)
from polyclinic.ingest.table.mapping import Time
from polyclinic.ingest.table.numbered_dates import NUMBERED
from polyclinic.ingest.table.numbers import Numbers

#: Days that workbooks give to a time of day without a date.
_NO_DAY = (date(1899, 12, 30), date(1899, 12, 31), date(1904, 1, 1))


class Times:
    """Reads times of one table.

    Args:
        zone: of the table's times without an offset; None means that of the ingest.
        numbers: format of the table's numbers.
        clock: of the cohort.
        row_filter: receives the rows whose time cannot be used.
    """

    def __init__(self, zone: str | None, numbers: Numbers, clock: Clock, row_filter: RowFilter) -> None:
        self._zone, self._numbers, self._clock, self._row_filter = zone, numbers, clock, row_filter

    def read(self, frame: pl.DataFrame, time: Time, dated: bool) -> pl.DataFrame:
        """Return the rows with a plausible time, as written, in `time`, and its stated `offset` from UTC.

        Args:
            frame: columns of the table, named with a leading equals sign.
            time: its column, and how it is written.
            dated: whether the file has typed dates, which become ISO 8601.
        """
        written = self._written(frame.get_column(f"={time.column}"), time, dated)
        frame = self._without_impossible(frame.with_columns(time=written.clock, offset=written.offset), time)
        ends = f"earliest ({time.earliest}) and latest ({time.latest})"
        remedy = f"column {time.column!r}: correct it, or widen {ends} of the time"
        plausible = pl.col("time").is_between(time.earliest, time.latest)
        return self._row_filter.keep(frame, plausible, "implausible date", remedy)

    def convert(self, frame: pl.DataFrame, time: Time) -> pl.DataFrame:
        """Return the rows of `read` with `time` on the cohort's clock, and no `offset`; placeholders are rejected."""
        remedy = f"column {time.column!r}: leave it empty: programs store this day where the date is unknown"
        stored = pl.col("time").is_in([datetime(day.year, day.month, day.day) for day in PLACEHOLDERS])
        frame = self._row_filter.keep(frame, ~stored, "placeholder date", remedy)
        moments = self._clock.convert(frame.get_column("time"), frame.get_column("offset"), time.zone or self._zone)
        frame = frame.with_columns(time=moments.time, problem=moments.problem)
        for reason, remedy in moments.remedies().items():
            other = pl.col("problem").is_null() | (pl.col("problem") != reason)
            frame = self._row_filter.keep(frame, other, reason, f"column {time.column!r}: {remedy}")
        return frame.drop("offset", "problem")

    def _without_impossible(self, frame: pl.DataFrame, time: Time) -> pl.DataFrame:
        read, column = pl.col("time").is_not_null(), f"column {time.column!r}"
        if time.format and time.format.startswith("%Y-%m-%d"):
            iso = read_dates(frame.get_column(f"={time.column}")).clock.is_not_null()
            remedy = f"{column}: write it as {time.format}, or omit the format: a date alone is then read as midnight"
            frame = self._row_filter.keep(frame, read | ~pl.lit(iso), "impossible date", remedy)
        return self._row_filter.keep(frame, read, "impossible date", f"{column}: {_remedy(time)}")

    def _written(self, texts: pl.Series, time: Time, dated: bool) -> Written:
        if time.unit:
            numbers = texts.to_frame().select(self._numbers.read(pl.all())).to_series()
            return Written(since_origin(numbers, time.unit), no_offset(texts))
        clock, offset = read_dates(texts, time.format)
        if time.short_years:
            clock = in_century_before(clock, time.latest)
        if not dated:
            return Written(clock, offset)
        if time.format:
            typed = read_dates(texts)
            clock, offset = clock.fill_null(typed.clock), offset.fill_null(typed.offset)
        return Written(clock.set(clock.dt.date().is_in(_NO_DAY).fill_null(False), None), offset)


def _remedy(time: Time) -> str:
    """Return how to write a time, as a remedy."""
    if time.unit:
        return f"write it as a number of {time.unit}"
    if time.format is None:
        return "write it as ISO 8601 (2023-01-31 13:45, midnight as 00:00), or name its format in the mapping"
    if time.format in NUMBERED:
        return f"write it as a number, of the format {time.format}"
    only_dates = "" if has_clock(time.format) else ", or add the time (%H:%M) to the format if the column has times"
    return f"write it as {time.format}{only_dates}"

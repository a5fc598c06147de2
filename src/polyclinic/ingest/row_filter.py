"""Filter the rows of a file, rejecting unusable ones by line."""

from collections.abc import Iterable

import polars as pl

from polyclinic.cohort import Reject
from polyclinic.ingest.readers import Sink, Warns


class RowFilter:
    """Rejects rows of frames with a column `line` (null: the whole file); `lines` are the rejected lines."""

    def __init__(self, file: str, sink: Sink) -> None:
        self.file, self.sink = file, sink
        self.lines: set[int] = set()

    def keep(self, frame: pl.DataFrame, good: pl.Expr, reason: str, remedy: str) -> pl.DataFrame:
        """Return the rows where `good` is true, and reject the others (false or null)."""
        mask = frame.select(good.fill_null(False)).to_series()
        if mask.all():
            return frame
        self.reject(frame.filter(~mask), reason, remedy)
        return frame.filter(mask)

    def reject(self, frame: pl.DataFrame, reason: str, remedy: str) -> None:
        """Reject every row of `frame`."""
        lines = frame.get_column("line")
        self.lines.update(lines.drop_nulls())
        self.sink.reject(
            *(Reject(file, line, reason, remedy) for file, line in zip(self.files(frame), lines, strict=True))
        )

    def warn(self, warning: str, records: int) -> None:
        """Count records to which a warning applies."""
        if records and isinstance(self.sink, Warns):
            self.sink.warn(warning, records)

    def files(self, frame: pl.DataFrame) -> Iterable[str]:
        """Return the file name of each row."""
        return [self.file] * frame.height

    def reject_file(self, reason: str, remedy: str, line: int | None = None) -> None:
        """Reject the file, or one line of it."""
        self.lines.update([] if line is None else [line])
        self.sink.reject(Reject(self.file, line, reason, remedy))

"""A buffer of single events, sent to the sink as frames, for sources that are not tables."""

from datetime import datetime
from types import TracebackType
from typing import Self

import polars as pl

from polyclinic.ingest.readers import Sink

_SCHEMA: dict[str, pl.DataType] = {
    "source_id": pl.String(),
    "time": pl.Datetime("us"),
    "code": pl.String(),
    "numeric_value": pl.Float32(),
    "text_value": pl.String(),
    "blob": pl.String(),
    "file": pl.String(),
    "line": pl.Int64(),
}
_Row = tuple[str, datetime | None, str, float | None, str | None, str | None, str | None, int | None]


class EventBuffer:
    """A context manager that sends events to the sink, at most `rows` at a time.

    The remaining events are dropped if the block raises an exception.
    """

    def __init__(self, sink: Sink, rows: int = 100_000) -> None:
        self._sink, self._limit = sink, rows
        self._rows: list[_Row] = []

    def add(
        self,
        source_id: str,
        time: datetime | None,
        code: str,
        *,
        number: float | None = None,
        text: str | None = None,
        blob: str | None = None,
        file: str | None = None,
        line: int | None = None,
    ) -> None:
        """Add one event; a null `time` means a static fact. `file` and `line` give where a fact about the person is."""
        self._rows.append((source_id, time, code, number, text, blob, file, line))
        if len(self._rows) >= self._limit:
            self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._sink.add(pl.DataFrame(self._rows, schema=_SCHEMA, orient="row"))
            self._rows = []

"""Convert columns that differ in name and code only at once, so that a table of thousands of columns is read quickly.

The result is the same as column by column: a column of which a cell is rejected is converted again alone, so that its
rejects name it; so are all of them if there are warnings.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import polars as pl

from polyclinic.ingest.row_filter import RowFilter
from polyclinic.ingest.table.mapping import Column

_TYPES = ("numeric", "categorical", "text", "label")  # images and waveforms are read file by file
_CELLS = 1_000_000  # converted at once
_INDEX = ("line", "source_id", "time")


def groups(columns: Mapping[str, Column], rows: int) -> Iterator[list[str]]:
    """Yield the names of columns that can be converted at once; `rows` is the height of the table's batch."""
    alike: dict[str, list[str]] = {}
    for name, column in columns.items():
        key = column.model_dump_json(exclude={"code"}) if column.type in _TYPES and column.units is None else name
        alike.setdefault(key, []).append(name)
    most = max(1, _CELLS // max(1, rows))
    for names in alike.values():
        yield from (names[start : start + most] for start in range(0, len(names), most))


def convert(
    frame: pl.DataFrame,
    names: Sequence[str],
    missing: pl.Expr,
    events: Callable[[pl.DataFrame, RowFilter], pl.DataFrame],
) -> tuple[pl.DataFrame, list[str]]:
    """Return the events of the columns `names`, with a column `name`, and the columns that have rejects.

    Args:
        frame: rows with `line`, `source_id`, `time` and the columns, each with an equals sign before its name.
        names: of the columns.
        missing: whether the column `cell` is missing.
        events: converts a frame of cells.
    """
    long = frame.unpivot([f"={name}" for name in names], index=_INDEX, variable_name="name", value_name="cell")
    cells = long.filter(~missing).with_columns(pl.col("name").str.slice(1), unit=pl.lit(None, dtype=pl.String))
    rejected = _RejectedNames()
    converted = events(cells, rejected)
    if rejected.unnamed:
        return converted.clear(), list(names)
    return converted.filter(~pl.col("name").is_in(list(rejected.names))), sorted(rejected.names)


class _RejectedNames(RowFilter):
    """Collects the names of columns with rejects instead of the rejects.

    `unnamed` is set by anything that does not name its column: then all are converted alone.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.unnamed = False

    def reject(self, frame: pl.DataFrame, reason: str, remedy: str) -> None:  # noqa: ARG002
        """Collect the names of the rejected cells' columns."""
        self.names.update(frame.get_column("name"))

    def warn(self, warning: str, records: int) -> None:  # noqa: ARG002
        """Note that records are warned of."""
        self.unnamed |= records > 0

    def reject_file(self, reason: str, remedy: str, line: int | None = None) -> None:  # noqa: ARG002
        """Note that a line is rejected."""
        self.unnamed = True

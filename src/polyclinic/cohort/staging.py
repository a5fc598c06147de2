"""Events on their way into a cohort: buffered, sorted by subject, and put down in runs that fit the memory."""

from pathlib import Path

import polars as pl

from polyclinic.cohort.errors import CohortError
from polyclinic.cohort.identity import subject_id_of
from polyclinic.cohort.schema import POLARS_EVENTS
from polyclinic.cohort.shards import EVENT_BYTES

#: A run is put down when this much is buffered.
RUN_BYTES = 96 << 20
#: Rows read at once of a run, when the events of a range of subjects are looked for.
ROW_GROUP = 1 << 14


class Staging:
    """Runs of added events, each a file sorted by subject, and a count of what was added for each subject."""

    def __init__(self, folder: Path) -> None:
        self.runs: list[Path] = []
        self.received = 0
        self._folder = folder
        self._buffer: list[pl.DataFrame] = []
        self._buffered = 0
        self._ids: dict[str, int] = {}
        self._sizes: list[pl.DataFrame] = []

    def add(self, events: pl.DataFrame) -> None:
        """Take events with the columns `frames.STAGED`."""
        self.received += events.height
        self._buffer.append(events)
        self._buffered += int(events.estimated_size())
        if self._buffered >= RUN_BYTES:
            self.flush()

    def flush(self) -> None:
        """Put what is buffered down as a run."""
        if not self._buffer:
            return
        events = self._identified(pl.concat(self._buffer))
        self._buffer, self._buffered = [], 0
        size = pl.len() * EVENT_BYTES + pl.col("text_value").str.len_bytes().sum().cast(pl.Int64)
        self._sizes.append(events.group_by("subject_id").agg(pl.col("source_id").first(), bytes=size))
        path = self._folder / f"{len(self.runs)}.parquet"
        events.select(list(POLARS_EVENTS)).sort("subject_id").write_parquet(
            path, compression="lz4", row_group_size=ROW_GROUP
        )
        self.runs.append(path)

    def subjects(self) -> pl.DataFrame:
        """Give the subjects with added events: `subject_id`, `source_id` (null where unknown) and their `bytes`."""
        schema = {"subject_id": pl.Int64(), "source_id": pl.String(), "bytes": pl.Int64()}
        added = pl.concat(self._sizes) if self._sizes else pl.DataFrame(schema=schema)
        names = added.drop_nulls("source_id").group_by("subject_id").agg(pl.col("source_id").unique())
        if names.filter(pl.col("source_id").list.len() > 1).height:
            raise CohortError("two source ids map to one subject: rename one of them in the source")
        return (
            added.group_by("subject_id")
            .agg(pl.col("source_id").drop_nulls().first(), pl.col("bytes").sum())
            .sort("subject_id")
        )

    def _identified(self, events: pl.DataFrame) -> pl.DataFrame:
        """Fill in the subject ids of events that name their subject by `source_id`."""
        names = events.get_column("source_id").unique().drop_nulls()
        for name in names.to_list():
            if name not in self._ids:
                self._ids[name] = subject_id_of(name)
        numbers = pl.Series([self._ids[name] for name in names.to_list()], dtype=pl.Int64)
        mapped = pl.col("source_id").replace_strict(names, numbers, default=None, return_dtype=pl.Int64)
        return events.with_columns(subject_id=pl.coalesce("subject_id", mapped)) if len(names) else events

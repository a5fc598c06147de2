"""Stage added events: gather them, sort by subject, and write runs that fit in memory."""

from collections import Counter
from pathlib import Path
from typing import ClassVar

import polars as pl

from polyclinic.cohort.rejects import Reject
from polyclinic.cohort.schema import POLARS_EVENTS
from polyclinic.cohort.storage.normalise import check, normalised, without_negative_zero
from polyclinic.cohort.storage.shards import EVENT_BYTES, weight
from polyclinic.cohort.storage.subject_ids import SubjectIds

#: Weight to which small frames are gathered before normalisation.
BATCH_BYTES = 4 << 20
#: Weight at which a run is written.
RUN_BYTES = 48 << 20
#: Rows per row group of a run: the least read to find the events of a range of subjects.
ROW_GROUP = 1 << 14


class Staging:
    """Runs of added events, each a file sorted by subject, and the added weight per subject.

    Attributes:
        runs: the files written so far.
        received: number of events added, excluding those left out.
        left_out: number of rows left out, by reason.
        blobs: the names in the `blob` column of the runs.
    """

    #: Columns of `subjects`.
    NO_SUBJECTS: ClassVar = pl.DataFrame(
        schema={"subject_id": pl.Int64(), "bytes": pl.Int64(), "source_id": pl.String()}
    )

    def __init__(self, folder: Path) -> None:
        self.runs: list[Path] = []
        self.received = 0
        self.left_out: Counter[Reject] = Counter()
        self.blobs: set[str] = set()
        self._folder = folder
        self._frames: dict[tuple[tuple[str, pl.DataType], ...], list[pl.DataFrame]] = {}
        self._gathered = 0
        self._buffer: list[pl.DataFrame] = []
        self._buffered = 0
        self._ids = SubjectIds()
        self._weights = pl.DataFrame(schema={"subject_id": pl.Int64(), "bytes": pl.Int64()})

    def add(self, frame: pl.DataFrame) -> None:
        """Add a frame from a reader.

        Raises:
            CohortError: see `normalise.check` and `normalise.normalised`.
        """
        check(frame)
        self._frames.setdefault(tuple(frame.schema.items()), []).append(frame)
        self._gathered += _weight(frame)
        if self._gathered >= BATCH_BYTES:
            self._normalise_frames()
        if self._buffered >= RUN_BYTES:
            self._write_run()

    def flush(self) -> None:
        """Write all added events to runs."""
        self._normalise_frames()
        self._write_run()

    def subjects(self) -> pl.DataFrame:
        """Return the subjects with added events, sorted: `subject_id`, `bytes`, `source_id` (null if not given).

        Raises:
            CohortError: two source ids map to one subject.
        """
        return self._weights.join(self._ids.names(), on="subject_id", how="left", maintain_order="left")

    def _normalise_frames(self) -> None:
        """Normalise the gathered frames."""
        for frames in self._frames.values():
            events, left_out = normalised(pl.concat(frames))
            self.left_out.update(left_out)
            self.received += events.height
            self._buffer.append(events)
            self._buffered += _weight(events)
        self._frames, self._gathered = {}, 0

    def _write_run(self) -> None:
        if not self._buffered:
            return
        events = self._identified(pl.concat(self._buffer)).sort("subject_id")
        self._buffer, self._buffered = [], 0
        self.blobs.update(events.get_column("blob").drop_nulls().unique().to_list())
        weights = events.group_by("subject_id", maintain_order=True).agg(bytes=weight())
        self._weights = pl.concat([self._weights, weights]).group_by("subject_id").sum().sort("subject_id")
        path = self._folder / f"{len(self.runs)}.parquet"
        events.write_parquet(path, compression="lz4", row_group_size=ROW_GROUP)
        self.runs.append(path)

    def _identified(self, events: pl.DataFrame) -> pl.DataFrame:
        """Return the columns `POLARS_EVENTS`, with subject ids in place of source ids."""
        source_ids = events.get_column("source_id")
        if source_ids.null_count() < events.height:
            events = events.with_columns(subject_id=pl.coalesce("subject_id", self._ids.of(source_ids)))
        return events.select(list(POLARS_EVENTS)).with_columns(without_negative_zero())


def _weight(frame: pl.DataFrame) -> int:
    """Return the weight of a frame whose text may be missing, null or categorical."""
    text = frame.schema.get("text_value") == pl.String
    return int(frame.select(weight()).item()) if text else frame.height * EVENT_BYTES

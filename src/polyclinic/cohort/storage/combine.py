"""Combine the events that a shard holds with added ones, and take away those of a source, a subject or a blob."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import polars as pl

from polyclinic.cohort.schema import POLARS_EVENTS
from polyclinic.cohort.storage import provenance
from polyclinic.cohort.storage.shards import Piece, ordered_keys

EVENT = list(POLARS_EVENTS)
PLACE = ["subject_id", "time", "code"]


@dataclass(frozen=True)
class Drop:
    """What to take away: the events of these sources alone, these subjects, the events of these blobs."""

    sources: tuple[int, ...] = ()
    subjects: tuple[int, ...] = ()
    blobs: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.sources or self.subjects or self.blobs)

    @property
    def rows(self) -> pl.Expr:
        """Whether to take away a row of `POLARS_EVENTS` and `source`."""
        by_source = pl.col("source").is_in(list(self.sources))
        gone = by_source | pl.col("subject_id").is_in(list(self.subjects))
        return (gone | pl.col("blob").is_in(list(self.blobs))).fill_null(value=False)

    def touches(self, shard: Path) -> bool:
        """Return whether a shard holds such a row."""
        events = pl.scan_parquet(shard).select("subject_id", "blob")
        if self.sources:
            number = int(events.select(pl.len()).collect().item())
            return bool(provenance.read(shard, number).get_column("source").is_in(list(self.sources)).any())
        return bool(events.select(self._without_source().any()).collect().item())

    def _without_source(self) -> pl.Expr:
        by_subject = pl.col("subject_id").is_in(list(self.subjects))
        return (by_subject | pl.col("blob").is_in(list(self.blobs))).fill_null(value=False)


class Added(NamedTuple):
    """Runs of added events, and the number of the source that contains them."""

    runs: Sequence[Path]
    source: int


class Combined(NamedTuple):
    """The events of a piece, with categorical codes, and what changed.

    Attributes:
        events: distinct and sorted.
        provenance: columns `event` (the row) and `source`.
        gone: events that the piece held before, and no longer does.
        added: number of events that it did not hold before.
        changed: what the added events contradict.
        repeated: number of added events that their source contained before.
    """

    events: pl.DataFrame
    provenance: pl.DataFrame
    gone: pl.DataFrame
    added: int
    changed: "Changed"
    repeated: int


class Changed(NamedTuple):
    """Where added events hold another value than those held.

    Attributes:
        places: number of subjects, times and codes.
        withdrawn: number of events there that the same source contained before and no longer contains.
    """

    places: int = 0
    withdrawn: int = 0


def combined(old: Path | None, piece: Piece, added: Added, drop: Drop) -> Combined:
    """Return the events of a piece: those in the `old` shard without `drop`, and those added."""
    held, new = _held(old, piece), _new(piece, added)
    kept = held.filter(~drop.rows) if drop else held
    merged = _distinct(pl.concat([kept, new]))
    first = _differs(merged, ordered_keys(merged))
    events = merged.filter(first).drop("source")
    rows = merged.select("source", event=(first.cast(pl.UInt32).cum_sum() - 1))
    earlier = held.filter(_differs(held, ordered_keys(held))).drop("source")
    gone = _without(earlier, events) if drop and kept.height < held.height else earlier.clear()
    changed = changed_places(held, new, added.source, replaced=added.source in drop.sources)
    added_events = events.height - (earlier.height - gone.height)
    return Combined(events, rows, gone, added_events, changed, _repeated(held, new, merged, added.source))


def _repeated(held: pl.DataFrame, new: pl.DataFrame, merged: pl.DataFrame, source: int) -> int:
    """Return the number of new events that the same source contained before."""
    own = pl.col("source") == source
    before = held.filter(own).height
    if not before:
        return 0
    return before + new.n_unique() - merged.filter(own).height


def changed_places(held: pl.DataFrame, new: pl.DataFrame, source: int, replaced: bool) -> Changed:
    """Return the subjects, times and codes at which the new events hold another value than those held.

    Of the same source, that is where one value is missing now and another is new. Of other sources only numbers are
    compared, since several notes, categories and pictures of one moment are usual.
    """
    if held.is_empty() or new.is_empty():
        return Changed()
    appeared = _without(new, held)
    own, number = pl.col("source") == source, pl.col("numeric_value").is_not_null()
    groups = [(held.filter(~own & number), appeared.filter(number))]
    if not replaced:
        groups.append((held.filter(own), appeared))
    places = [
        _without(candidates.join(here.select(PLACE).unique(), on=PLACE, how="semi", nulls_equal=True), new)
        for candidates, here in groups
    ]
    withdrawn = 0 if replaced else places[-1].height
    return Changed(pl.concat([place.select(PLACE) for place in places]).unique().height, withdrawn)


def _held(old: Path | None, piece: Piece) -> pl.DataFrame:
    """Return the rows of a piece in its old shard: an event for each source that contains it."""
    if old is None:
        empty = pl.DataFrame(schema=dict(POLARS_EVENTS) | {"source": pl.UInt32()})
        return empty.with_columns(pl.col("code").cast(pl.Categorical))
    events = pl.read_parquet(old).select(EVENT).with_columns(pl.col("code").cast(pl.Categorical))
    rows = provenance.read(old, events.height)
    held = events[rows.get_column("event")].with_columns(rows.get_column("source"))
    return held.filter(_inside(piece))


def _new(piece: Piece, added: Added) -> pl.DataFrame:
    empty = pl.LazyFrame(schema=dict(POLARS_EVENTS)).with_columns(pl.col("code").cast(pl.Categorical))
    found = [pl.scan_parquet(list(added.runs)).filter(_inside(piece))] if added.runs else []
    coded = [frame.select(EVENT).with_columns(pl.col("code").cast(pl.Categorical)) for frame in found]
    return pl.concat([empty, *coded]).collect().with_columns(source=pl.lit(added.source, pl.UInt32))


def _inside(piece: Piece) -> pl.Expr:
    return pl.col("subject_id").is_between(piece.start, piece.stop, closed="left")


def _distinct(rows: pl.DataFrame) -> pl.DataFrame:
    """Sort by event and source, and drop exact duplicates."""
    keys = [*ordered_keys(rows), "source"]
    ordered = rows.sort(keys, nulls_last=False)
    return ordered.filter(_differs(ordered, keys))


def _differs(rows: pl.DataFrame, keys: list[str]) -> pl.Series:
    """Return whether each row differs from the one before it."""
    differs = pl.any_horizontal(pl.col(key).ne_missing(pl.col(key).shift(1)) for key in keys)
    return rows.select(differs=differs | (pl.int_range(pl.len()) == 0)).to_series()


def _without(events: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    return events.join(others, on=EVENT, how="anti", nulls_equal=True)

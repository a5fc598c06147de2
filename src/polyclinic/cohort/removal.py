"""Remove a source, a subject or a blob from a cohort, in one atomic new version, and from the disk."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from polyclinic.cohort.cohort import Cohort
from polyclinic.cohort.errors import CohortError
from polyclinic.cohort.storage import labels, merge, tables, versions
from polyclinic.cohort.storage.blobs import BlobStore
from polyclinic.cohort.storage.combine import Added, Drop, combined
from polyclinic.cohort.storage.sources import UNRECORDED, UNRECORDED_NAME
from polyclinic.progress import SILENT, Progress

Kind = Literal["source", "subject", "blob"]

#: Least length of the beginning of a blob's name that stands for it.
BEGINNING = 8


@dataclass(frozen=True)
class Removal:
    """What a removal takes away.

    Attributes:
        events: that no other source contains.
        subjects: that lose events.
        gone_subjects: that have no event left, and leave the cohort.
        blobs: images and waveforms that no event names any more.
        labels: saved labels of subjects that lose events.
    """

    events: int
    subjects: int
    gone_subjects: int
    blobs: int
    labels: int

    def to_dict(self) -> dict[str, int]:
        """Return the counts as JSON-serialisable values."""
        return asdict(self)


def count_removal(path: Path | str, kind: Kind, names: Sequence[str]) -> Removal:
    """Return what `remove` would take away; nothing is changed.

    Raises:
        CohortError: as `remove`.
    """
    cohort = _own(Path(path))
    drop = _drop(cohort, kind, names)
    before = merge.PreviousVersion.read(cohort.version)
    pieces = [piece for piece in merge.plan(before, merge.Changes(drop=drop)) if piece.changed]
    parts = [combined(before.file(piece), piece, Added((), UNRECORDED), drop) for piece in pieces]
    kept = pl.concat([part.events.select("subject_id", "blob") for part in parts]) if parts else _NOTHING
    gone = pl.concat([part.gone.select("subject_id", "blob") for part in parts]) if parts else _NOTHING
    lost = gone.get_column("subject_id").unique()
    others = pl.scan_parquet(cohort.version / "data").filter(~pl.col("subject_id").is_in(lost.implode()))
    used = pl.concat([kept.lazy().select("blob"), others.select("blob")]).drop_nulls().unique().collect()
    return Removal(
        events=gone.height,
        subjects=lost.len(),
        gone_subjects=lost.filter(~lost.is_in(kept["subject_id"].unique().implode())).len(),
        blobs=gone.select("blob").drop_nulls().unique().join(used, on="blob", how="anti").height,
        labels=labels.count(cohort.path, lost),
    )


def remove(path: Path | str, kind: Kind, names: Sequence[str], progress: Progress = SILENT) -> Removal:
    """Remove sources, subjects or blobs from the cohort at `path`.

    An event that another source also contains stays. The new version replaces all earlier ones, and blobs that no event
    names are deleted, so that nothing that was removed stays in the folder; cohorts that are open must be opened
    again. Labels of subjects that lose events are deleted. The splits of the others stay.

    Args:
        path: of the cohort.
        kind: of what to remove.
        names: of sources (`Cohort.sources`); ids of subjects, as for `Cohort.find_subject`; names of blobs, or their
            beginnings.
        progress: shows the progress.

    Raises:
        CohortError: one of the names is unknown or ambiguous, or the cohort is a MEDS data set of another tool.
    """
    root = Path(path)
    _own(root)
    with versions.locked(root / ".lock"):
        cohort = _own(root)
        drop = _drop(cohort, kind, names)
        with versions.new_version(root) as version:
            written = merge.write_events(cohort.version, version, merge.Changes(drop=drop), progress)
            _forget_sources(version, drop)
            kept = _kept_rejects(cohort, names if kind == "source" else ())
            seed = tables.seed_for(cohort.version, None)
            clock = cohort.clock if merge.totals(version).events else None
            merge.write_splits_and_rejects(cohort.version, version, kept, seed, clock)
        lost = written.gone.get_column("subject_id").unique()
        dropped = labels.drop_subjects(root, lost)
        versions.publish(root, version, keep_previous=False)
        used = pl.scan_parquet(version / "data").select("blob").drop_nulls().unique().collect()
        blobs = BlobStore(root / "blobs").remove_unless(used.get_column("blob").to_list())
    return Removal(written.gone.height, lost.len(), written.gone_subjects, blobs, dropped)


_NOTHING = pl.DataFrame(schema={"subject_id": pl.Int64(), "blob": pl.String()})


def _own(root: Path) -> Cohort:
    cohort = Cohort.open(root)
    if versions.current(root) is None:
        raise CohortError(f"{root} is a MEDS data set of another tool, or a copy: Polyclinic does not change it")
    return cohort


def _drop(cohort: Cohort, kind: Kind, names: Sequence[str]) -> Drop:
    if kind == "source":
        return Drop(sources=tuple(_number(cohort, name) for name in names))
    if kind == "subject":
        return Drop(subjects=tuple(cohort.find_subject(name) for name in names))
    return Drop(blobs=tuple(_blob(cohort, name) for name in names))


def _number(cohort: Cohort, name: str) -> int:
    known = cohort.sources
    found = known.filter(pl.col("name") == name)
    if found.is_empty():
        raise CohortError(f"no source {name!r} in {cohort.path}: choose from {', '.join(known['name']) or 'none'}")
    return int(found["number"][0])


def _blob(cohort: Cohort, name: str) -> str:
    named = pl.col("blob").str.starts_with(name)
    found = cohort.events().filter(named).select(pl.col("blob").unique()).collect().get_column("blob").to_list()
    if len(name) < BEGINNING or not found:
        raise CohortError(
            f"no event of {cohort.path} names such a blob: give the name of its file in blobs, or at least "
            f"{BEGINNING} characters of its beginning"
        )
    if len(found) > 1:
        raise CohortError(f"{len(found)} blobs begin like that: give more characters of the name")
    return str(found[0])


def _forget_sources(version: Path, drop: Drop) -> None:
    known = tables.read(version, "sources")
    tables.write(version, "sources", known.filter(~pl.col("number").is_in(list(drop.sources))))


def _kept_rejects(cohort: Cohort, sources: Sequence[str]) -> pl.DataFrame:
    """Return the rejects without those of removed sources; those of an unrecorded one have no origin."""
    gone = pl.col("origin").is_in([name for name in sources if name != UNRECORDED_NAME])
    if UNRECORDED_NAME in sources:
        gone = gone | pl.col("origin").is_null()
    return cohort.rejects.filter(~gone.fill_null(value=False))

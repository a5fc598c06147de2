"""The next version of a cohort: the shards that gained events are written anew, the others are linked."""

import hashlib
import os
import shutil
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version as version_of
from pathlib import Path
from typing import NamedTuple

import polars as pl

from polyclinic.cohort import digest, shards, splits, statistics, tables, versions
from polyclinic.cohort.errors import CohortError
from polyclinic.cohort.rejects import Reject, as_frame
from polyclinic.cohort.staging import Staging
from polyclinic.files import write_json
from polyclinic.progress import Progress


class Totals(NamedTuple):
    """Counts of a version."""

    events: int
    subjects: int


class Counted(NamedTuple):
    """One row of `shards`, and the counts of its subjects and codes."""

    shard: pl.DataFrame
    subjects: pl.DataFrame
    codes: pl.DataFrame


def totals(version: Path | None) -> Totals:
    """Count a version's events and subjects."""
    listed = tables.read(version, "shards")
    return Totals(int(listed["events"].sum()), int(listed["subjects"].sum()))


def write_events(before: Path | None, version: Path, staging: Staging, source: str, progress: Progress) -> None:
    """Write the shards of `version` and the tables that count them."""
    known, old = tables.read(before, "subjects"), tables.read(before, "shards")
    staged = staging.subjects()
    named = _named(known, staged, source)
    weights = (
        pl.concat([known.select("subject_id", "bytes"), staged.select("subject_id", "bytes")])
        .group_by("subject_id")
        .sum()
        .sort("subject_id")
    )
    pieces = shards.plan(old, weights, staged.get_column("subject_id"))
    counted: list[Counted] = []
    old_codes = tables.read(before, "shard_codes")
    with progress.task("Writing events", len(pieces)) as advance:
        for index, piece in enumerate(pieces):
            path = version / "data" / f"{index:05}.parquet"
            if piece.changed:
                sources = staging.runs + ([before / "data" / piece.file] if before and piece.file else [])
                counted.append(_written(path, piece, sources))
            else:
                counted.append(_linked(path, piece, before, old, known, old_codes))
            advance(1)
    tables.write(version, "shards", pl.concat([c.shard for c in counted]))
    tables.write(version, "shard_codes", pl.concat([c.codes for c in counted]))
    subjects = pl.concat([c.subjects for c in counted]).join(named, on="subject_id", how="left", maintain_order="left")
    tables.write(version, "subjects", subjects.select(list(tables.TABLES["subjects"])))


def write_metadata(before: Path | None, version: Path, source: str, rejects: Counter[Reject], seed: int) -> None:
    """Write the tables of `version` that follow from its events, and `dataset.json`."""
    counts = tables.read(version, "shard_codes")
    subjects = tables.read(version, "subjects").get_column("subject_id")
    earlier = tables.read(before, "subject_splits")
    assigned = dict(zip(earlier["subject_id"].to_list(), earlier["split"].to_list(), strict=True))
    side = splits.assign(subjects.to_list(), _pictures(version), seed, assigned)
    tables.write(version, "subject_splits", side)
    codes = statistics.add_codes(counts.drop("start")).with_columns(
        pl.lit(None, pl.String).alias("description"), pl.lit(None, pl.List(pl.String)).alias("parent_codes")
    )
    tables.write(
        version,
        "codes",
        codes.select("code", "description", "parent_codes", pl.all().exclude("code", "description", "parent_codes")),
    )
    refused = pl.concat([tables.read(before, "rejects"), as_frame(source, rejects)])
    keys = [name for name in tables.TABLES["rejects"] if name != "records"]
    refused = refused.group_by(keys, maintain_order=True).agg(pl.col("records").max())
    tables.write(version, "rejects", refused)
    content = digest.add([int(d, 16) for d in tables.read(version, "shards")["digest"].to_list()])
    stamp = hashlib.sha256(f"{versions.LAYOUT} {seed} {content:032x}".encode())
    stamp.update("".join(side.get_column("split").str.slice(0, 1).to_list()).encode())
    write_json(
        version / "metadata" / "dataset.json",
        {
            "dataset_name": "polyclinic cohort",
            "dataset_version": version.name,
            "etl_name": "polyclinic",
            "etl_version": version_of("polyclinic"),
            "meds_version": version_of("meds"),
            "created_at": datetime.now(UTC).isoformat(),
            "additional_value_modality_columns": ["blob"],
            "polyclinic": {"layout": versions.LAYOUT, "seed": seed, "fingerprint": stamp.hexdigest()},
        },
    )


def _named(known: pl.DataFrame, staged: pl.DataFrame, source: str) -> pl.DataFrame:
    """Give `source` and `source_id` of old and added subjects."""
    both = staged.join(known.select("subject_id", known="source_id"), on="subject_id", how="left")
    if both.filter(pl.col("known") != pl.col("source_id")).height:
        raise CohortError("two source ids map to one subject: rename one of them in the source")
    own = pl.coalesce("source_id", pl.col("subject_id").cast(pl.String))
    new = both.filter(pl.col("known").is_null()).select("subject_id", source=pl.lit(source), source_id=own)
    return pl.concat([known.select("subject_id", "source", "source_id"), new])


def _written(path: Path, piece: shards.Piece, sources: list[Path]) -> Counted:
    events = shards.merged(sources, piece)
    shards.write(path, events)
    pairs = statistics.by_pair(events)
    subjects = statistics.by_subject(pairs)
    row = (path.name, piece.start, subjects.height, events.height, f"{digest.digest(events):032x}")
    codes = statistics.by_code(pairs).with_columns(start=pl.lit(piece.start, pl.Int64))
    return Counted(
        pl.DataFrame([row], schema=tables.TABLES["shards"], orient="row"),
        subjects,
        codes.select(list(tables.TABLES["shard_codes"])),
    )


def _linked(
    path: Path, piece: shards.Piece, before: Path | None, old: pl.DataFrame, known: pl.DataFrame, codes: pl.DataFrame
) -> Counted:
    if before is None or piece.file is None:
        raise AssertionError("only an old shard can be unchanged")
    try:
        os.link(before / "data" / piece.file, path)
    except OSError:
        shutil.copyfile(before / "data" / piece.file, path)
    mine = (pl.col("subject_id") >= piece.start) & (pl.col("subject_id") < piece.stop)
    return Counted(
        old.filter(pl.col("start") == piece.start).with_columns(file=pl.lit(path.name)),
        known.filter(mine).select("subject_id", *statistics.COUNTS),
        codes.filter(pl.col("start") == piece.start),
    )


def _pictures(version: Path) -> pl.DataFrame:
    return (
        pl.scan_parquet(version / "data")
        .filter(pl.col("blob").is_not_null())
        .select("subject_id", "blob")
        .unique()
        .collect()
    )

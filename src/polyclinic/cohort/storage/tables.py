"""Metadata tables of a version, under `metadata/`, validated by MEDS' schemas where MEDS defines them."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from meds.schema import CodeMetadataSchema, DatasetMetadataSchema, SubjectSplitSchema

from polyclinic.cohort.errors import CohortError
from polyclinic.cohort.rejects import REJECTS
from polyclinic.cohort.schema import LOCAL
from polyclinic.cohort.storage.sources import SOURCES
from polyclinic.cohort.storage.statistics import CODE_COUNTS, SUBJECT_COUNTS
from polyclinic.cohort.storage.versions import LAYOUT
from polyclinic.files import write_json

#: Columns of each table. `shards` lists the files of `data/`; `start` is the least subject id a file may hold.
TABLES: dict[str, dict[str, pl.DataType]] = {
    "subjects": {"subject_id": pl.Int64(), "source": pl.String(), "source_id": pl.String()} | SUBJECT_COUNTS,
    "subject_splits": {"subject_id": pl.Int64(), "split": pl.String()},
    "codes": {"code": pl.String(), "description": pl.String(), "parent_codes": pl.List(pl.String)} | CODE_COUNTS,
    "rejects": dict(REJECTS),
    "shards": {
        "file": pl.String(),
        "start": pl.Int64(),
        "subjects": pl.Int64(),
        "events": pl.Int64(),
        "digest": pl.String(),
    },
    "sources": dict(SOURCES),
    "shard_codes": {"start": pl.Int64(), "code": pl.String()} | CODE_COUNTS,
}

_STANDARD: dict[str, Any] = {"codes": CodeMetadataSchema, "subject_splits": SubjectSplitSchema}


def read(version: Path | None, name: str) -> pl.DataFrame:
    """Return a table of a version; empty if `version` is None."""
    if version is None:
        return pl.DataFrame(schema=TABLES[name])
    path = version / "metadata" / f"{name}.parquet"
    if name == "sources" and not path.is_file():  # written before sources were recorded
        return pl.DataFrame(schema=TABLES[name])
    frame = pl.read_parquet(path)
    return with_missing(frame, name) if name == "rejects" else frame


def copied_version(root: Path) -> Path | None:
    """Return `root` if it holds one version of a cohort as plain folders, as a copy without links does; else None."""
    files = (root / "data").glob("**/*.parquet")
    try:
        listed = read(root, "shards")
        information(root)
        sizes = {file.name: pq.read_metadata(file).num_rows for file in files}
    except (OSError, CohortError, pl.exceptions.PolarsError, pa.ArrowException):
        return None
    return root if sizes == dict(listed.select("file", "events").iter_rows()) else None


def write(version: Path, name: str, frame: pl.DataFrame) -> None:
    """Write a table of a version, with text as Arrow `string`, as MEDS' schemas require."""
    table = with_missing(frame, name).to_arrow(compat_level=pl.CompatLevel.oldest())
    table = table.cast(pa.schema([field.with_type(_plain(field.type)) for field in table.schema]))
    if name in _STANDARD:
        _STANDARD[name].validate(table)
    pq.write_table(table, version / "metadata" / f"{name}.parquet", compression="zstd")


def with_missing(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """Return the columns of a table, null where `frame` lacks them."""
    missing = [pl.lit(None, dtype).alias(column) for column, dtype in TABLES[name].items() if column not in frame]
    return frame.with_columns(missing).select(list(TABLES[name]))


def write_information(version: Path, information: dict[str, Any]) -> None:
    """Write `metadata/dataset.json`."""
    DatasetMetadataSchema.validate(information)
    write_json(version / "metadata" / "dataset.json", information)


def information(version: Path) -> dict[str, Any]:
    """Return the `polyclinic` entry of `metadata/dataset.json`: layout, seed and fingerprint.

    Raises:
        CohortError: the file cannot be read, or has a newer layout.
    """
    path = version / "metadata" / "dataset.json"
    try:
        own: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["polyclinic"]
        layout = int(own["layout"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CohortError(f"{path} is not that of a cohort: ingest its sources into an empty folder") from error
    if layout > LAYOUT:
        raise CohortError(f"the cohort has layout {layout}, newer than {LAYOUT}: update polyclinic to open it")
    return own


def seed_for(version: Path | None, requested: int | None) -> int:
    """Return the seed of the splits: that of the version, or for a new cohort the requested one (None: 0).

    Raises:
        CohortError: the version was split with another seed.
    """
    if version is None:
        return requested or 0
    seed: int = information(version)["seed"]
    if requested not in (None, seed):
        raise CohortError(f"this cohort was split with seed {seed}: use it, or ingest into another folder")
    return seed


def clock_of(version: Path | None, found: str | None = None) -> str | None:
    """Return the clock of a version's times and of added ones, with the clock `found`; None if there are no times.

    Versions written before clocks were stated have local times.

    Raises:
        CohortError: the two have different clocks.
    """
    known = None if version is None else information(version).get("clock", LOCAL)
    if None not in (known, found) and known != found:
        raise CohortError(f"the cohort's clock is {known}, and that of the added times {found}: ingest them again")
    return known or found


def _plain(dtype: pa.DataType) -> pa.DataType:
    if pa.types.is_large_list(dtype):
        return pa.list_(_plain(dtype.value_type))
    return pa.string() if pa.types.is_large_string(dtype) else dtype

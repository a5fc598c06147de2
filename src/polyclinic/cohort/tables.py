"""The tables beside a version's events: the subjects, their splits, the shards, the codes, the rejects."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from polyclinic.cohort.errors import CohortError
from polyclinic.cohort.rejects import REJECTS
from polyclinic.cohort.statistics import COUNTS
from polyclinic.cohort.versions import LAYOUT

#: Columns of each table; `codes` of the whole cohort is written from `shard_codes`.
TABLES: dict[str, dict[str, pl.DataType]] = {
    "subjects": {"subject_id": pl.Int64(), "source": pl.String(), "source_id": pl.String()}
    | {name: pl.Int64() for name in COUNTS},
    "subject_splits": {"subject_id": pl.Int64(), "split": pl.String()},
    "shards": {
        "file": pl.String(),
        "start": pl.Int64(),
        "subjects": pl.Int64(),
        "events": pl.Int64(),
        "digest": pl.String(),
    },
    "shard_codes": {
        "start": pl.Int64(),
        "code": pl.String(),
        "events": pl.Int64(),
        "subjects": pl.Int64(),
        "values": pl.Int64(),
        "total": pl.Float64(),
        "minimum": pl.Float32(),
        "maximum": pl.Float32(),
        "first": pl.Datetime("us"),
        "last": pl.Datetime("us"),
    },
    "rejects": dict(REJECTS),
}


def read(version: Path | None, name: str) -> pl.DataFrame:
    """Give a table of a version; an empty one where there is no version yet."""
    if version is None:
        return pl.DataFrame(schema=TABLES[name])
    return pl.read_parquet(version / "metadata" / f"{name}.parquet")


def write(version: Path, name: str, frame: pl.DataFrame) -> None:
    """Write a table of a version, text as Arrow's `string`, which MEDS' schemas ask for."""
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    fields = [field.with_type(_plain(field.type)) for field in table.schema]
    pq.write_table(table.cast(pa.schema(fields)), version / "metadata" / f"{name}.parquet", compression="zstd")


def information(version: Path) -> dict[str, Any]:
    """Give `metadata/dataset.json` of a version.

    Raises:
        CohortError: it cannot be read, or was written by a newer Polyclinic.
    """
    path = version / "metadata" / "dataset.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        own: dict[str, Any] = found["polyclinic"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CohortError(f"{path} cannot be read as that of a cohort: ingest anew into an empty folder") from error
    if own["layout"] > LAYOUT:
        raise CohortError(f"{version} has layout {own['layout']}, newer than {LAYOUT}: update polyclinic to open it")
    return own


def _plain(dtype: pa.DataType) -> pa.DataType:
    if pa.types.is_large_list(dtype) or pa.types.is_list(dtype):
        return pa.list_(_plain(dtype.value_type))
    return pa.string() if pa.types.is_large_string(dtype) else dtype


def seed_for(version: Path | None, asked: int | None) -> int:
    """Give the seed of the splits: that of the version, or the one asked for in a new cohort (None: 0).

    Raises:
        CohortError: the version was split with another seed.
    """
    if version is None:
        return asked or 0
    seed: int = information(version)["seed"]
    if asked not in (None, seed):
        raise CohortError(f"this cohort was split with seed {seed}: use it, or ingest into another folder")
    return seed

"""Write MEDS data sets with `meds` and pyarrow, as other tools do."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import meds
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq


def write_meds(
    root: Path,
    shards: Mapping[str, pl.DataFrame],
    splits: Mapping[int, str] | None = None,
    about: Mapping[str, Any] | None = None,
) -> Path:
    """Write a data set with these shards (name such as `train/0`), splits and description; return its folder."""
    for name, events in shards.items():
        table = meds.DataSchema.align(events.to_arrow())
        file = root / meds.data_subdirectory / f"{name}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, file)
    codes = pl.concat([events.select(pl.col("code").cast(pl.String)) for events in shards.values()]).unique()
    listed = codes.with_columns(description=pl.lit("x"), parent_codes=pl.lit(None, pl.List(pl.String)))
    (root / "metadata").mkdir(parents=True, exist_ok=True)
    pq.write_table(meds.CodeMetadataSchema.align(listed.to_arrow()), root / meds.code_metadata_filepath)
    if splits is not None:
        pairs: dict[str, Sequence[Any]] = {"subject_id": list(splits), "split": list(splits.values())}
        table = meds.SubjectSplitSchema.align(pa.table(pairs))
        pq.write_table(table, root / meds.subject_splits_filepath)
    if about is not None:
        (root / meds.dataset_metadata_filepath).write_text(json.dumps(about))
    return root

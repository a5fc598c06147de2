"""Labels that tasks saved in a cohort, under `labels/`: those of subjects whose events were taken away are removed."""

from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from polyclinic.files import replacing


def drop_subjects(root: Path, subjects: pl.Series) -> int:
    """Remove the labels of subjects from every task of the cohort at `root`, and return how many there were.

    What is no longer recorded may have decided a label; the next `polyclinic tasks` writes it again.
    """
    affected = subjects.unique()
    if affected.is_empty():
        return 0
    return sum(_drop(file, affected) for file in sorted((root / "labels").glob("**/*.parquet")))


def count(root: Path, subjects: pl.Series) -> int:
    """Return the number of labels of subjects in all tasks of the cohort at `root`."""
    return sum(_of(file, subjects.unique()).height for file in sorted((root / "labels").glob("**/*.parquet")))


def _of(file: Path, subjects: pl.Series) -> pl.DataFrame:
    return pl.read_parquet(file).filter(pl.col("subject_id").is_in(subjects.implode()))


def _drop(file: Path, subjects: pl.Series) -> int:
    table = pq.read_table(file)
    keep = ~pl.Series(table["subject_id"].to_numpy()).is_in(subjects.implode())
    if keep.all():
        return 0
    with replacing(file) as temporary:
        pq.write_table(table.filter(keep.to_arrow()), temporary)
    return int((~keep).sum())

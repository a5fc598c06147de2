"""Find the files of a MEDS data set: shards anywhere under `data/`, and tables under `metadata/`.

https://github.com/Medical-Event-Data-Standard/meds (version 0.4).
"""

import os
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
from meds.schema import data_subdirectory, held_out_split, train_split, tuning_split

from polyclinic.cohort.errors import CohortError

#: Names of splits, as MEDS writes them and as it says that they are also called.
SPLIT_NAMES = {
    "train": train_split,
    "training": train_split,
    "tuning": tuning_split,
    "validation": tuning_split,
    "val": tuning_split,
    "dev": tuning_split,
    "held_out": held_out_split,
    "heldout": held_out_split,
    "test": held_out_split,
}

_REQUIRED = {"subject_id", "time", "code"}
_ABOVE = 6  # folders of shards within shards


def data_files(root: Path) -> list[Path]:
    """Return the Parquet files under `data/`, sorted; hidden files and folders are skipped."""
    found: list[Path] = []
    for folder, folders, files in os.walk(root / data_subdirectory, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        found.extend(Path(folder) / name for name in files if name.endswith(".parquet") and name[0] not in "._")
    return sorted(found)


def is_meds(root: Path) -> bool:
    """Return whether `root` holds a MEDS data set, written by any tool."""
    files = data_files(root) if (root / data_subdirectory).is_dir() else []
    return bool(files) and set(_columns(files[0])) >= _REQUIRED


def meds_root(path: Path) -> Path | None:
    """Return the MEDS data set that `path` is, or is the data folder or a shard of; None if it is of none."""
    if path.is_file() and path.suffix != ".parquet":
        return None
    places = [*(path, *path.parents)[:_ABOVE], *(path.absolute(), *path.absolute().parents)[:_ABOVE]]
    above = [folder.parent for folder in places if folder.name == data_subdirectory]
    return next((root for root in (path, *above) if is_meds(root)), None)


def splits_of(root: Path, places: pl.DataFrame) -> pl.DataFrame:
    """Return the data set's own splits: `subject_id` and `split` (train, tuning or held_out).

    They are those of `metadata/subject_splits.parquet`, or else of the folders under `data/` if all are named by
    splits; empty if the data set has none.

    Args:
        root: of the data set.
        places: columns `subject_id` and `file`, the path of the subject's shard under `data/`.

    Raises:
        CohortError: the table cannot be read, names another split, or gives a subject two.
    """
    path = root / "metadata" / "subject_splits.parquet"
    if not path.is_file():
        folders = places.select("subject_id", split=pl.col("file").str.split("/").list.first())
        named = folders.get_column("split").str.to_lowercase().is_in(list(SPLIT_NAMES)).all()
        return _in_our_words(folders if named else folders.clear(), root / "data")
    try:
        table = pl.read_parquet(path, columns=["subject_id", "split"])
        typed = table.select(pl.col("subject_id").cast(pl.Int64), pl.col("split").cast(pl.String)).drop_nulls()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise CohortError(f"{path} has no columns subject_id and split: correct or remove it") from error
    return _in_our_words(typed, path)


def _in_our_words(splits: pl.DataFrame, path: Path) -> pl.DataFrame:
    words = splits.get_column("split").str.strip_chars().str.to_lowercase()
    if not words.is_in(list(SPLIT_NAMES)).all():
        raise CohortError(f"{path} names other splits than {', '.join(SPLIT_NAMES)}: rename them")
    named = splits.with_columns(split=words.replace_strict(SPLIT_NAMES, return_dtype=pl.String)).unique()
    if named.get_column("subject_id").is_duplicated().any():
        raise CohortError(f"{path} gives a subject two splits: give each one")
    return named.sort("subject_id")


def _columns(file: Path) -> list[str]:
    try:
        return list(pq.read_schema(file).names)
    except (OSError, ValueError):  # not Parquet
        return []

"""What a cohort of our own stores beside its events, computed for a MEDS data set of another tool.

The tables are kept in `$POLYCLINIC_CACHE/meds` (by default under `~/.cache/polyclinic`), readable by its owner only,
and used while the paths, sizes and times of the shards stay the same. The data set itself is never written.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import polars as pl

from polyclinic.cohort import splits
from polyclinic.cohort.errors import CohortError
from polyclinic.cohort.foreign import layout, shards
from polyclinic.cohort.rejects import REJECTS, Rejects
from polyclinic.cohort.storage import digest, statistics
from polyclinic.cohort.storage.fingerprint import fingerprint
from polyclinic.cohort.storage.shards import distinct
from polyclinic.cohort.storage.tables import TABLES
from polyclinic.files import sha256, write_json

#: Raise it when the tables change.
FORMAT = 2
#: Shards changed within this time may change again without a change of their time.
SETTLED_S = 2.0
#: Seed of the splits of subjects to whom the data set gives none.
SEED = 0


@dataclass(frozen=True, eq=False)
class Index:
    """Tables of a MEDS data set, as `storage.tables` names them.

    `places` gives the shard of each subject (`subject_id`, `file`); `repeated` counts the rows that repeat another
    in all columns that are read, in the same shard or another; `ignored` names the columns that are not read.
    """

    subjects: pl.DataFrame
    subject_splits: pl.DataFrame
    codes: pl.DataFrame
    rejects: pl.DataFrame
    places: pl.DataFrame
    fingerprint: str
    repeated: int
    ignored: tuple[str, ...]

    def events(self, root: Path) -> pl.LazyFrame:
        """Return all events of the data set at `root` lazily, sorted and without exact duplicates."""
        found = shards.scan(layout.data_files(root))
        return (found.unique() if self.repeated else found).sort(shards.ORDER, nulls_last=False)

    def subject(self, root: Path, subject_id: int) -> pl.DataFrame:
        """Return the events of one subject, sorted; empty if the data set does not have it."""
        files = self.places.filter(pl.col("subject_id") == subject_id).get_column("file").to_list()
        found = shards.scan([root / "data" / file for file in files]).filter(pl.col("subject_id") == subject_id)
        return found.unique().sort(shards.ORDER, nulls_last=False).collect()

    @classmethod
    def of(cls, root: Path) -> "Index":
        """Return the index of the data set at `root`, from the cache or by reading its shards.

        Raises:
            CohortError: a shard or the table of splits is not as MEDS defines it.
        """
        state = _state(root)
        folder = cache_folder() / "meds" / sha256(str(root.resolve()).encode())[:16] / state
        with suppress(OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError):  # absent or damaged
            return _load(folder)
        index = _read(root)
        if _is_settled(root):
            with suppress(OSError):  # a cache that cannot be written is done without
                _save(index, folder)
        return index


def cache_folder() -> Path:
    """Return the folder of caches: `$POLYCLINIC_CACHE`, or `~/.cache/polyclinic`."""
    return Path(os.environ.get("POLYCLINIC_CACHE") or Path.home() / ".cache" / "polyclinic")


def _described(root: Path) -> Iterator[Path]:
    """Yield the files on which the index depends."""
    yield from layout.data_files(root)
    for name in ("subject_splits.parquet", "dataset.json", "subjects.parquet"):
        if (path := root / "metadata" / name).is_file():
            yield path


def _state(root: Path) -> str:
    described = [(file.relative_to(root).as_posix(), file.stat()) for file in _described(root)]
    found = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in described]
    return sha256(json.dumps([FORMAT, found]).encode())[:32]


def _is_settled(root: Path) -> bool:
    return all(file.stat().st_mtime < time.time() - SETTLED_S for file in _described(root))


def _read(root: Path) -> Index:
    files = layout.data_files(root)
    ignored = sorted({column for file in files for column in shards.check(file, root)})
    groups, places = _groups(root, files)
    counted = [_Counted.of(group) for group in groups]
    subjects = pl.concat([one.subjects for one in counted]).sort("subject_id")
    blobs = pl.concat([one.blobs for one in counted])
    assigned = splits.assign(subjects["subject_id"], blobs, SEED, _own_splits(root, places, subjects))
    codes = statistics.add_codes(pl.concat([one.codes for one in counted]))
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in TABLES["codes"].items() if name not in codes.columns]
    return Index(
        subjects=_named(root, subjects),
        subject_splits=assigned,
        codes=codes.with_columns(absent).select(list(TABLES["codes"])),
        rejects=_rejects(root, groups),
        places=places,
        fingerprint=fingerprint([one.digest for one in counted], assigned),
        repeated=sum(one.repeated for one in counted),
        ignored=tuple(ignored),
    )


@dataclass(frozen=True, eq=False)
class _Counted:
    """Counts of the shards that are read together."""

    subjects: pl.DataFrame
    codes: pl.DataFrame
    blobs: pl.DataFrame
    digest: int
    repeated: int

    @classmethod
    def of(cls, files: list[Path]) -> "_Counted":
        found = shards.scan(files).with_columns(pl.col("code").cast(pl.Categorical)).collect()
        events = distinct(found)
        pairs = events.filter(pl.col("blob").is_not_null()).select("subject_id", "blob").unique()
        subjects, codes = statistics.by_subject(events), statistics.by_code(events)
        return cls(subjects, codes, pairs, digest.digest(events), found.height - events.height)


def _groups(root: Path, files: list[Path]) -> tuple[list[list[Path]], pl.DataFrame]:
    """Return the files to read together, and the shards of each subject.

    MEDS keeps a subject in one file; if a data set does not, all its files are read together.
    """
    parts = [
        shards.scan([file])
        .select("subject_id", file=pl.lit(file.relative_to(root / "data").as_posix()))
        .unique()
        .collect()
        for file in files
    ]
    places = pl.concat(parts).sort("subject_id", "file")
    if places.get_column("subject_id").is_duplicated().any():
        return [files], places
    return [[file] for file in files], places


def _own_splits(root: Path, places: pl.DataFrame, subjects: pl.DataFrame) -> pl.DataFrame:
    return layout.splits_of(root, places).filter(pl.col("subject_id").is_in(subjects["subject_id"].implode()))


def _named(root: Path, subjects: pl.DataFrame) -> pl.DataFrame:
    """Add `source` and `source_id`: those of a copy of our own cohort, or else the data set's name and the number."""
    known = _known_names(root / "metadata" / "subjects.parquet")
    named = subjects.join(known, on="subject_id", how="left", maintain_order="left").with_columns(
        source=pl.coalesce("source", pl.lit(dataset_name(root))),
        source_id=pl.coalesce("source_id", pl.col("subject_id").cast(pl.String)),
    )
    return named.select(list(TABLES["subjects"]))


def _known_names(path: Path) -> pl.DataFrame:
    columns = {name: TABLES["subjects"][name] for name in ("subject_id", "source", "source_id")}
    try:
        return pl.read_parquet(path, columns=list(columns)).cast(pl.Schema(columns)).unique("subject_id")
    except (OSError, pl.exceptions.PolarsError):  # another tool's, or none
        return pl.DataFrame(schema=columns)


def dataset_name(root: Path) -> str:
    """Return the data set's name in `metadata/dataset.json`, or `meds`."""
    try:
        return str(json.loads((root / "metadata" / "dataset.json").read_text(encoding="utf-8"))["dataset_name"])
    except (OSError, ValueError, KeyError, TypeError):
        return "meds"


def _rejects(root: Path, groups: list[list[Path]]) -> pl.DataFrame:
    found = Rejects(dataset_name(root))
    for file in (file for group in groups for file in group):
        for reject, number in shards.left_out([file]).items():
            found.add(type(reject)(file.relative_to(root).as_posix(), None, reject.reason, reject.remedy), number)
    return found.table()


_FRAMES = [field.name for field in fields(Index) if field.type is pl.DataFrame]


def _load(folder: Path) -> Index:
    about: dict[str, Any] = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    frames: dict[str, Any] = {name: pl.read_parquet(folder / f"{name}.parquet") for name in _FRAMES}
    if frames["rejects"].columns != list(REJECTS):
        raise CohortError("written by another version")
    return Index(**frames, **about | {"ignored": tuple(about["ignored"])})


def _save(index: Index, folder: Path) -> None:
    """Write the index, in place of those of earlier states of the data set."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent))
    for name in _FRAMES:
        getattr(index, name).write_parquet(temporary / f"{name}.parquet")
    about = {"fingerprint": index.fingerprint, "repeated": index.repeated, "ignored": list(index.ignored)}
    write_json(temporary / "index.json", about)
    for earlier in folder.parent.iterdir():
        if earlier != temporary:
            shutil.rmtree(earlier, ignore_errors=True)
    temporary.rename(folder)

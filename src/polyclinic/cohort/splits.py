"""Assign subjects to splits by a hash of the subject id, so adding subjects does not move existing ones."""

import hashlib

import polars as pl
from meds.schema import held_out_split, train_split, tuning_split

#: Shares of the subjects, in order of increasing hash.
SHARES = {train_split: 0.70, tuning_split: 0.15, held_out_split: 0.15}

SPLITS = tuple(SHARES)

SCHEMA = {"subject_id": pl.Int64(), "split": pl.String()}


def position(subject_id: int, seed: int) -> float:
    """Return a subject's hash in [0, 1): uniform over ids, equal in all cohorts with this seed."""
    digest = hashlib.sha256(f"{seed}:{subject_id}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / (1 << 48)


def split_at(position: float) -> str:
    """Return the split of a `position` in [0, 1).

    >>> [split_at(position) for position in (0, 0.69, 0.71, 0.86)]
    ['train', 'train', 'tuning', 'held_out']
    """
    upper = 0.0
    for split, share in SHARES.items():
        upper += share
        if position < upper:
            return split
    return held_out_split


def assign(subjects: pl.Series, blobs: pl.DataFrame, seed: int, earlier: pl.DataFrame) -> pl.DataFrame:
    """Return the split of each subject: columns `subject_id` and `split`, sorted by subject.

    Subjects that share a blob, directly or through other subjects, get the same split: that of earlier members
    (train before tuning before held_out, so that no training subject becomes a test subject), or else that of the
    smallest hash in the group.

    Args:
        subjects: the ids of all subjects.
        blobs: columns `subject_id` and `blob`, one row per blob of a subject.
        seed: of the hash.
        earlier: columns `subject_id` and `split` of the previous version of the cohort.
    """
    listed = pl.DataFrame({"subject_id": subjects}, schema={"subject_id": pl.Int64()})
    grouped = listed.join(connected(blobs), on="subject_id", how="left")
    known = grouped.join(earlier, on="subject_id", how="left")
    single, shared = known.filter(pl.col("group").is_null()), known.filter(pl.col("group").is_not_null())
    unchanged = single.filter(pl.col("split").is_not_null()).select("subject_id", "split")
    new = single.filter(pl.col("split").is_null()).get_column("subject_id").to_list()
    rows = [(subject, split_at(position(subject, seed))) for subject in new]
    for _, group in shared.group_by("group"):
        split = _split_of_group(group, seed)
        rows.extend((subject, split) for subject in group.get_column("subject_id").to_list())
    return pl.concat([unchanged, pl.DataFrame(rows, schema=SCHEMA, orient="row")]).sort("subject_id")


def connected(blobs: pl.DataFrame) -> pl.DataFrame:
    """Return the subjects that share a blob: `subject_id` and `group`, the smallest id of its connected component."""
    shared = (
        blobs.select("subject_id", "blob")
        .unique()
        .group_by("blob")
        .agg(pl.col("subject_id"))
        .filter(pl.col("subject_id").list.len() > 1)
    )
    parents: dict[int, int] = {}

    def root(subject: int) -> int:
        while (parent := parents.setdefault(subject, subject)) != subject:
            parents[subject] = subject = parents[parent]
        return subject

    for first, *others in shared.get_column("subject_id").to_list():
        for other in others:
            left, right = root(first), root(other)
            parents[max(left, right)] = min(left, right)
    rows = [(subject, root(subject)) for subject in list(parents)]
    return pl.DataFrame(rows, schema={"subject_id": pl.Int64(), "group": pl.Int64()}, orient="row")


def _split_of_group(group: pl.DataFrame, seed: int) -> str:
    """Return the split of a group (columns `subject_id` and `split`, null for new members)."""
    taken = set(group.get_column("split").to_list())
    for split in SPLITS:
        if split in taken:
            return split
    return split_at(min(position(subject, seed) for subject in group.get_column("subject_id").to_list()))

"""Which subjects a model learns from: decided by a hash of the subject's id, so that added subjects move nobody."""

import hashlib

import polars as pl
from meds.schema import held_out_split, train_split, tuning_split

#: Shares of the subjects, from the lowest hashes to the highest.
SHARES = {train_split: 0.70, tuning_split: 0.15, held_out_split: 0.15}

SPLITS = tuple(SHARES)

SCHEMA = {"subject_id": pl.Int64(), "split": pl.String()}


def position(subject_id: int, seed: int) -> float:
    """Give a subject's place in [0, 1): uniform over ids, the same in every cohort with this seed."""
    digest = hashlib.sha256(f"{seed}:{subject_id}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / (1 << 48)


def split_at(place: float) -> str:
    """Give the split that holds `place`.

    >>> [split_at(place) for place in (0, 0.69, 0.71, 0.86)]
    ['train', 'train', 'tuning', 'held_out']
    """
    upper = 0.0
    for split, share in SHARES.items():
        upper += share
        if place < upper:
            return split
    return held_out_split


def assign(subjects: pl.Series, pictures: pl.DataFrame, seed: int, earlier: pl.DataFrame) -> pl.DataFrame:
    """Give the split of every subject: columns `subject_id` and `split`, sorted by subject.

    Subjects that share a picture, directly or through others, fall on one side. Such a group goes where a member
    already was, to training before tuning before held-out, so that nobody a model may have learnt from becomes a
    test; a group that is all new goes where its smallest hash lies.

    Args:
        subjects: the ids of all subjects.
        pictures: columns `subject_id` and `blob`, one row for each picture of a subject.
        seed: chooses the hash.
        earlier: columns `subject_id` and `split`, of an earlier version of the cohort.
    """
    listed = pl.DataFrame({"subject_id": subjects}, schema={"subject_id": pl.Int64()})
    grouped = listed.join(connected(pictures), on="subject_id", how="left")
    everyone = grouped.join(earlier, on="subject_id", how="left")
    alone, together = everyone.filter(pl.col("group").is_null()), everyone.filter(pl.col("group").is_not_null())
    settled = alone.filter(pl.col("split").is_not_null()).select("subject_id", "split")
    new = alone.filter(pl.col("split").is_null()).get_column("subject_id").to_list()
    rows = [(subject, split_at(position(subject, seed))) for subject in new]
    for _, group in together.group_by("group"):
        side = _side(group, seed)
        rows.extend((subject, side) for subject in group.get_column("subject_id").to_list())
    return pl.concat([settled, pl.DataFrame(rows, schema=SCHEMA, orient="row")]).sort("subject_id")


def connected(pictures: pl.DataFrame) -> pl.DataFrame:
    """Give the subjects that share a picture: `subject_id`, and `group`, the smallest id of those connected with it."""
    shared = (
        pictures.select("subject_id", "blob")
        .unique()
        .group_by("blob")
        .agg(pl.col("subject_id"))
        .filter(pl.col("subject_id").list.len() > 1)
    )
    above: dict[int, int] = {}

    def top(subject: int) -> int:
        while (parent := above.setdefault(subject, subject)) != subject:
            above[subject] = subject = above[parent]
        return subject

    for first, *others in shared.get_column("subject_id").to_list():
        for other in others:
            one, two = top(first), top(other)
            above[max(one, two)] = min(one, two)
    rows = [(subject, top(subject)) for subject in list(above)]
    return pl.DataFrame(rows, schema={"subject_id": pl.Int64(), "group": pl.Int64()}, orient="row")


def _side(group: pl.DataFrame, seed: int) -> str:
    """Choose the split of a group: columns `subject_id`, and `split`, null for new members."""
    taken = set(group.get_column("split").to_list())
    for split in SPLITS:
        if split in taken:
            return split
    return split_at(min(position(subject, seed) for subject in group.get_column("subject_id").to_list()))

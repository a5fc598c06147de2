"""Which subjects a model learns from: decided by a hash of the subject's id, so that added subjects move nobody."""

import hashlib
from collections.abc import Iterable, Mapping

import polars as pl
from meds.schema import held_out_split, train_split, tuning_split

#: Shares of the subjects, from the lowest hashes to the highest.
SHARES = {train_split: 0.70, tuning_split: 0.15, held_out_split: 0.15}

SPLITS = tuple(SHARES)


def position(subject_id: int, seed: int) -> float:
    """Give a subject's place in [0, 1): uniform over ids, the same for every cohort with this seed."""
    digest = hashlib.sha256(f"{seed}:{subject_id}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / (1 << 56)


def split_at(place: float) -> str:
    """Give the split that holds `place`."""
    upper = 0.0
    for split, share in SHARES.items():
        upper += share
        if place < upper:
            return split
    return held_out_split


def assign(
    subjects: Iterable[int], pictures: pl.DataFrame, seed: int, assigned: Mapping[int, str] | None = None
) -> pl.DataFrame:
    """Give the split of every subject: columns `subject_id` and `split`, sorted by subject.

    `pictures` holds the pairs (`subject_id`, `blob`); subjects that share a picture, directly or through others, fall
    on one side. Such a group goes where a member in `assigned` (an earlier version of the cohort) already was, to
    training before tuning before held-out, so that nobody a model may have learnt from becomes a test; a group that
    is all new goes where its smallest hash lies.
    """
    assigned = assigned or {}
    root = connected(pictures)
    members: dict[int, list[int]] = {}
    for subject in subjects:
        members.setdefault(root.get(subject, subject), []).append(subject)
    rows: list[tuple[int, str]] = []
    for group in members.values():
        earlier = {assigned[subject] for subject in group if subject in assigned}
        split = min(earlier, key=SPLITS.index) if earlier else split_at(min(position(s, seed) for s in group))
        rows.extend((subject, split) for subject in group)
    schema = {"subject_id": pl.Int64(), "split": pl.String()}
    return pl.DataFrame(rows, schema=schema, orient="row").sort("subject_id")


def connected(pictures: pl.DataFrame) -> dict[int, int]:
    """Give, for each subject that shares a picture, one subject that stands for its whole group."""
    shared = (
        pictures.select("subject_id", "blob")
        .unique()
        .group_by("blob")
        .agg(pl.col("subject_id").sort())
        .filter(pl.col("subject_id").list.len() > 1)
    )
    parent: dict[int, int] = {}

    def find(subject: int) -> int:
        while (above := parent.setdefault(subject, subject)) != subject:
            parent[subject] = subject = parent[above]
        return subject

    for group in shared.get_column("subject_id").to_list():
        first = find(group[0])
        for other in group[1:]:
            parent[find(other)] = first
    return {subject: find(subject) for subject in list(parent)}

"""Splits: by subject, stable, with subjects that share a blob in one split."""

from collections import defaultdict

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.cohort import SPLITS
from polyclinic.cohort.splits import SCHEMA, SHARES, assign, connected
from tests.cohort.samples import steady

NO_EARLIER_SPLITS = pl.DataFrame(schema=SCHEMA)
SUBJECTS = st.integers(0, 30)
BLOBS = st.lists(st.tuples(SUBJECTS, st.sampled_from("abcdefgh")), max_size=40)


def blob_table(pairs: list[tuple[int, str]]) -> pl.DataFrame:
    return pl.DataFrame(pairs, schema={"subject_id": pl.Int64(), "blob": pl.String()}, orient="row")


def split_by_subject(
    subjects: list[int], pairs: list[tuple[int, str]], earlier: pl.DataFrame = NO_EARLIER_SPLITS
) -> dict[int, str]:
    split = assign(pl.Series(subjects, dtype=pl.Int64), blob_table(pairs), 0, earlier)
    assert split.get_column("subject_id").to_list() == sorted(subjects)
    return dict(split.iter_rows())


def groups_by_search(pairs: list[tuple[int, str]]) -> set[frozenset[int]]:
    """Return the connected groups of more than one subject, by graph search from each."""
    by_subject, by_blob = defaultdict(set), defaultdict(set)
    for subject, blob in pairs:
        by_subject[subject].add(blob)
        by_blob[blob].add(subject)
    groups = set()
    for start in by_subject:
        seen, todo = set(), [start]
        while todo:
            subject = todo.pop()
            if subject not in seen:
                seen.add(subject)
                todo.extend(other for blob in by_subject[subject] for other in by_blob[blob])
        groups.add(frozenset(seen))
    return {group for group in groups if len(group) > 1}


@steady
@given(BLOBS)
def test_groups_are_the_connected_components(pairs: list[tuple[int, str]]) -> None:
    found = defaultdict(set)
    for subject, group in connected(blob_table(pairs)).iter_rows():
        found[group].add(subject)
    assert {frozenset(group) for group in found.values()} == groups_by_search(pairs)
    assert all(key == min(group) for key, group in found.items())


@steady
@given(BLOBS)
def test_subjects_that_share_a_blob_are_in_one_split(pairs: list[tuple[int, str]]) -> None:
    split = split_by_subject(list(range(31)), pairs)
    for group in groups_by_search(pairs):
        assert len({split[subject] for subject in group}) == 1


@steady
@given(st.sets(st.integers(0, 10_000)), st.sets(st.integers(0, 10_000)))
def test_added_subjects_do_not_move_others(first: set[int], more: set[int]) -> None:
    before, after = split_by_subject(list(first), []), split_by_subject(list(first | more), [])
    assert all(after[subject] == split for subject, split in before.items())


@steady
@given(BLOBS, BLOBS)
def test_training_subjects_never_become_test_subjects(
    pairs: list[tuple[int, str]], more: list[tuple[int, str]]
) -> None:
    """Later blobs move subjects only towards training."""
    before = assign(pl.Series(range(20)), blob_table([p for p in pairs if p[0] < 20]), 0, NO_EARLIER_SPLITS)
    after = split_by_subject(list(range(31)), pairs + more, before)
    for subject, split in before.iter_rows():
        assert SPLITS.index(after[subject]) <= SPLITS.index(split)


def test_shares_of_the_splits() -> None:
    split = list(split_by_subject(list(range(20_000)), []).values())
    for name, share in SHARES.items():
        assert abs(split.count(name) / 20_000 - share) < 0.01


def test_the_seed_changes_the_split() -> None:
    subjects = pl.Series(range(200))
    assert not assign(subjects, blob_table([]), 0, NO_EARLIER_SPLITS).equals(
        assign(subjects, blob_table([]), 1, NO_EARLIER_SPLITS)
    )


def test_split_is_stable() -> None:
    assert "".join(split[0] for split in split_by_subject(list(range(20)), []).values()) == "thtttttttttttttttttt"

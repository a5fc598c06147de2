"""Splits: by subject, stable, and with identical pictures on one side."""

from collections import defaultdict

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.cohort import SPLITS
from polyclinic.cohort.splits import SCHEMA, SHARES, assign, connected
from tests.cohort.samples import steady

NO_EARLIER_SPLITS = pl.DataFrame(schema=SCHEMA)
SUBJECTS = st.integers(0, 30)
PICTURES = st.lists(st.tuples(SUBJECTS, st.sampled_from("abcdefgh")), max_size=40)


def pictured(pairs: list[tuple[int, str]]) -> pl.DataFrame:
    return pl.DataFrame(pairs, schema={"subject_id": pl.Int64(), "blob": pl.String()}, orient="row")


def sides(
    subjects: list[int], pairs: list[tuple[int, str]], earlier: pl.DataFrame = NO_EARLIER_SPLITS
) -> dict[int, str]:
    split = assign(pl.Series(subjects, dtype=pl.Int64), pictured(pairs), 0, earlier)
    assert split.get_column("subject_id").to_list() == sorted(subjects)
    return dict(split.iter_rows())


def groups_by_search(pairs: list[tuple[int, str]]) -> set[frozenset[int]]:
    """Find the connected groups of more than one subject, by walking from each."""
    by_subject, by_picture = defaultdict(set), defaultdict(set)
    for subject, picture in pairs:
        by_subject[subject].add(picture)
        by_picture[picture].add(subject)
    groups = set()
    for start in by_subject:
        seen, todo = set(), [start]
        while todo:
            subject = todo.pop()
            if subject not in seen:
                seen.add(subject)
                todo.extend(other for picture in by_subject[subject] for other in by_picture[picture])
        groups.add(frozenset(seen))
    return {group for group in groups if len(group) > 1}


@steady
@given(PICTURES)
def test_groups_are_the_connected_components(pairs: list[tuple[int, str]]) -> None:
    found = defaultdict(set)
    for subject, group in connected(pictured(pairs)).iter_rows():
        found[group].add(subject)
    assert {frozenset(group) for group in found.values()} == groups_by_search(pairs)
    assert all(key == min(group) for key, group in found.items())


@steady
@given(PICTURES)
def test_identical_pictures_fall_on_one_side(pairs: list[tuple[int, str]]) -> None:
    split = sides(list(range(31)), pairs)
    for group in groups_by_search(pairs):
        assert len({split[subject] for subject in group}) == 1


@steady
@given(st.sets(st.integers(0, 10_000)), st.sets(st.integers(0, 10_000)))
def test_added_subjects_move_nobody(first: set[int], more: set[int]) -> None:
    before, after = sides(list(first), []), sides(list(first | more), [])
    assert all(after[subject] == split for subject, split in before.items())


@steady
@given(PICTURES, PICTURES)
def test_nobody_leaves_training(pairs: list[tuple[int, str]], more: list[tuple[int, str]]) -> None:
    """A subject that a model may have learnt from is never tested on, whatever pictures come later."""
    before = assign(pl.Series(range(20)), pictured([p for p in pairs if p[0] < 20]), 0, NO_EARLIER_SPLITS)
    after = sides(list(range(31)), pairs + more, before)
    for subject, split in before.iter_rows():
        assert SPLITS.index(after[subject]) <= SPLITS.index(split)


def test_shares() -> None:
    split = list(sides(list(range(20_000)), []).values())
    for name, share in SHARES.items():
        assert abs(split.count(name) / 20_000 - share) < 0.01


def test_the_seed_changes_the_split() -> None:
    subjects = pl.Series(range(200))
    assert not assign(subjects, pictured([]), 0, NO_EARLIER_SPLITS).equals(
        assign(subjects, pictured([]), 1, NO_EARLIER_SPLITS)
    )


def test_the_split_never_changes() -> None:
    assert "".join(split[0] for split in sides(list(range(20)), []).values()) == "thtttttttttttttttttt"

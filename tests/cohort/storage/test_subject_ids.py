"""Subject ids: numbers are kept, names are hashed to a disjoint range."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.cohort import CohortError
from polyclinic.cohort.storage import subject_ids
from polyclinic.cohort.storage.subject_ids import END, MAPPED, SubjectIds, subject_id_of
from tests.cohort.samples import steady


@steady
@given(st.integers(0, MAPPED - 1))
def test_numbers_are_kept(number: int) -> None:
    assert subject_id_of(str(number)) == number


@steady
@given(st.text().filter(lambda text: not text.isdigit()) | st.integers(0, 99).map("{:03}".format))
def test_names_are_hashed_above_all_numbers(name: str) -> None:
    assert MAPPED <= subject_id_of(name) < END


@pytest.mark.parametrize("name", ["-1", "1.0", " 1", "+1", "٣", "²", str(MAPPED), "9" * 19, "9" * 30])
def test_non_canonical_numbers_are_hashed(name: str) -> None:
    assert subject_id_of(name) >= MAPPED


def test_the_mapping_never_changes() -> None:
    assert subject_id_of("patient A") == 5026476906718273137


@steady
@given(st.lists(st.lists(st.none() | st.text(max_size=3) | st.integers(0, 50).map(str))))
def test_lookup_agrees_with_the_mapping(batches: list[list[str | None]]) -> None:
    ids = SubjectIds()
    for batch in batches:
        found = ids.of(pl.Series(batch, dtype=pl.String)).to_list()
        assert found == [None if name is None else subject_id_of(name) for name in batch]
    names = {name for batch in batches for name in batch if name is not None}
    assert dict(ids.names().iter_rows()) == {subject_id_of(name): name for name in names}


def test_colliding_source_ids_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject_ids, "subject_id_of", lambda name: MAPPED)
    ids = SubjectIds()
    ids.of(pl.Series(["one", "two"]))
    with pytest.raises(CohortError, match="two source ids"):
        ids.names()

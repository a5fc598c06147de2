"""The writer: every added event is read back once, in whatever order it was added."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyclinic.cohort import Cohort, CohortError, CohortWriter, Commit, Reject
from polyclinic.cohort.storage import merge, shards, staging
from polyclinic.cohort.storage.subject_ids import subject_id_of
from tests.cohort.samples import EVENTS, Event, frame, rows

BATCHES = st.lists(st.lists(EVENTS, max_size=12), min_size=1, max_size=3)


@contextmanager
def small_limits() -> Iterator[None]:
    """Shrink runs and shards so that a few events fill several."""
    with (
        patch.object(staging, "BATCH_BYTES", 150),
        patch.object(staging, "RUN_BYTES", 300),
        patch.object(shards, "TARGET_BYTES", 3 * shards.EVENT_BYTES),
    ):
        yield


def add_frames(path: Path, *frames: pl.DataFrame) -> Commit:
    """Add each frame, and commit once."""
    with CohortWriter(path, source="test") as writer:
        for events in frames:
            writer.add(events)
    assert writer.committed
    return writer.committed


def ingest(path: Path, *batches: list[Event]) -> Commit:
    """Add each batch as a separate frame, and commit once."""
    return add_frames(path, *map(frame, batches))


def stored(cohort: Cohort) -> dict[Event, int]:
    """Return the counts of a cohort's events, with source ids."""
    named = cohort.events().join(cohort.subjects.lazy().select("subject_id", "source_id"), on="subject_id", how="left")
    columns = ["source_id", "time", "code", "numeric_value", "text_value", "blob"]
    return dict(rows(named.select(columns).collect()))


def check_shards(cohort: Cohort) -> None:
    """Check that each subject is in one file, and that files and rows are sorted."""
    previous = -1
    for file in sorted((cohort.version / "data").iterdir()):
        subjects = pl.read_parquet(file).get_column("subject_id")
        assert subjects.is_sorted()
        if len(subjects):
            assert int(subjects[0]) > previous
            previous = int(subjects[-1])
    order = cohort.events().select("subject_id", "time").collect()
    assert order.equals(order.sort("subject_id", "time", nulls_last=False, maintain_order=True))


@settings(max_examples=15, deadline=None)
@given(BATCHES)
@pytest.mark.slow
def test_every_event_is_stored_once(batches: list[list[Event]]) -> None:
    with small_limits(), TemporaryDirectory() as folder:
        for batch in batches:
            ingest(Path(folder), batch)
            check_shards(Cohort.open(folder))
        cohort = Cohort.open(folder)
        everything = {event for batch in batches for event in batch}
        assert stored(cohort) == dict.fromkeys(everything, 1)
        assert cohort.subjects.get_column("subject_id").to_list() == sorted({subject_id_of(e[0]) for e in everything})
        for (subject,), events in cohort.events().collect().group_by("subject_id"):
            assert cohort.subject(int(str(subject))).equals(events.sort("time", nulls_last=False, maintain_order=True))


@settings(max_examples=10, deadline=None)
@given(BATCHES)
@pytest.mark.slow
def test_content_is_independent_of_the_order_of_ingests(batches: list[list[Event]]) -> None:
    """One ingest or several, in any order, repeated or not, give the same content and fingerprint."""
    with small_limits(), TemporaryDirectory() as folder:
        at_once, step_by_step = Path(folder) / "1", Path(folder) / "2"
        ingest(at_once, *batches)
        for batch in reversed(batches):
            ingest(step_by_step, list(reversed(batch)))
        repeated = ingest(step_by_step, *batches)
        assert (repeated.new_events, repeated.new_subjects) == (0, 0)
        left, right = Cohort.open(at_once), Cohort.open(step_by_step)
        assert left.events().collect().equals(right.events().collect())
        assert left.subjects.equals(right.subjects)
        assert left.splits.equals(right.splits)
        assert left.fingerprint == right.fingerprint
        assert left.summary().to_dict() == right.summary().to_dict()


def test_fingerprint_changes_with_the_events(tmp_path: Path) -> None:
    event: Event = ("a", None, "LAB//x", 1.0, None, None)
    ingest(tmp_path, [event])
    before = Cohort.open(tmp_path).fingerprint
    ingest(tmp_path, [("a", None, "LAB//x", 2.0, None, None)])
    assert Cohort.open(tmp_path).fingerprint != before


def test_an_exception_leaves_the_cohort_unchanged(tmp_path: Path) -> None:
    ingest(tmp_path, [("a", None, "LAB//x", 1.0, None, None)])
    before = Cohort.open(tmp_path)
    good, bad = frame([("b", None, "LAB//x", 1.0, None, None)]), pl.DataFrame({"colour": ["red"]})
    with pytest.raises(CohortError, match="unknown columns"):
        add_frames(tmp_path, good, bad)
    assert Cohort.open(tmp_path) == before
    assert not (tmp_path / ".staging").exists()


def test_an_exception_creates_no_cohort(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for into in (tmp_path / "new" / "cohort", tmp_path / "mine"):
        with suppress(RuntimeError), CohortWriter(into, source="test") as writer:
            writer.add(frame([("a", None, "IMAGE//CR//PA", None, None, writer.add_blob(b"image", "png"))]))
            raise RuntimeError
    assert [path.name for path in tmp_path.rglob("*")] == ["mine"]


def test_a_failed_first_commit_creates_no_cohort(tmp_path: Path) -> None:
    with (
        patch.object(merge, "write_splits_and_rejects", side_effect=OSError("disk full")),
        pytest.raises(OSError, match="disk full"),
    ):
        ingest(tmp_path / "cohort", [("b", None, "LAB//x", 1.0, None, None)])
    assert not list(tmp_path.iterdir())


def test_a_failed_commit_leaves_the_cohort_unchanged(tmp_path: Path) -> None:
    ingest(tmp_path, [("a", None, "LAB//x", 1.0, None, None)])
    before = Cohort.open(tmp_path)
    with (
        patch.object(merge, "write_splits_and_rejects", side_effect=OSError("disk full")),
        pytest.raises(OSError, match="disk full"),
    ):
        ingest(tmp_path, [("b", None, "LAB//x", 1.0, None, None)])
    assert Cohort.open(tmp_path) == before
    assert ingest(tmp_path, [("b", None, "LAB//x", 1.0, None, None)]).subjects == 2


def test_commit_counts(tmp_path: Path) -> None:
    ingest(tmp_path, [("a", None, "LAB//x", 1.0, None, None)])
    with CohortWriter(tmp_path, source="test") as writer:
        writer.add(frame([("a", None, "LAB//x", 1.0, None, None), ("b", None, "LAB//x", 2.0, None, None)]))
        writer.add(frame([("b", None, "LAB//x", float("nan"), None, None)]))
        name = writer.add_blob(b"image", "png")
        writer.add(frame([("b", None, "IMAGE//CR//PA", None, None, name)]))
        writer.reject(Reject("labs.csv", 3, "unknown unit", "add the unit to the mapping"))
        commit = writer.commit()
    assert commit == Commit(
        version=2,
        events=3,
        subjects=2,
        received=3,
        new_events=2,
        new_subjects=1,
        new_blobs=1,
        rejects={"not a finite number": 1, "unknown unit": 1},
    )


def test_subject_ids_and_source_ids_can_be_mixed(tmp_path: Path) -> None:
    with CohortWriter(tmp_path, source="test") as writer:
        writer.add(pl.DataFrame({"subject_id": [17], "code": ["LAB//x"]}))
        writer.add(pl.DataFrame({"source_id": ["17"], "code": ["LAB//y"]}))
    events = Cohort.open(tmp_path).events().collect()
    assert events.select("subject_id", "code").rows() == [(17, "LAB//x"), (17, "LAB//y")]


def test_events_can_be_added_by_the_subject_id_of_a_hashed_source_id(tmp_path: Path) -> None:
    ingest(tmp_path, [("a", None, "LAB//x", 1.0, None, None)])
    number = subject_id_of("a")
    with CohortWriter(tmp_path, source="derived") as writer:
        writer.add(pl.DataFrame({"subject_id": [number], "code": ["SCORE//risk"], "numeric_value": [0.5]}))
    subjects = Cohort.open(tmp_path).subjects
    assert subjects.select("subject_id", "source", "source_id", "events").rows() == [(number, "test", "a", 2)]


def test_colliding_source_ids_are_rejected(tmp_path: Path) -> None:
    number = subject_id_of("a")
    with CohortWriter(tmp_path, source="other") as writer:
        writer.add(pl.DataFrame({"subject_id": [number], "code": ["LAB//x"]}))
    with pytest.raises(CohortError, match="two source ids"):
        ingest(tmp_path, [("a", None, "LAB//x", 1.0, None, None)])


def test_an_empty_ingest_creates_an_empty_cohort(tmp_path: Path) -> None:
    ingest(tmp_path)
    cohort = Cohort.open(tmp_path)
    assert cohort.events().collect().is_empty()
    assert cohort.subject(17).is_empty()
    assert cohort.summary().to_dict()["subjects"] == 0


def test_unknown_blobs_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="no blob"):
        ingest(tmp_path, [("a", None, "IMAGE//CR//PA", None, None, "0" * 64 + ".png")])
    with pytest.raises(CohortError, match="not the name of a blob"):
        ingest(tmp_path, [("a", None, "IMAGE//CR//PA", None, None, "../secret.png")])


def test_seed_is_fixed_by_the_first_ingest(tmp_path: Path) -> None:
    with CohortWriter(tmp_path, source="test", seed=3) as writer:
        writer.add(frame([("a", None, "LAB//x", 1.0, None, None)]))
    ingest(tmp_path, [("b", None, "LAB//x", 1.0, None, None)])
    with pytest.raises(CohortError, match="split with seed 3"), CohortWriter(tmp_path, source="test", seed=4):
        raise AssertionError("not reached")


def test_using_a_closed_writer_is_an_error(tmp_path: Path) -> None:
    writer = CohortWriter(tmp_path, source="test")
    with pytest.raises(CohortError, match="with block"):
        writer.add_blob(b"", "png")
    with writer:
        writer.commit()
        with pytest.raises(CohortError, match="closed"):
            writer.add(frame([]))


@pytest.mark.parametrize("name", ["data", "metadata", "current"])
def test_a_folder_with_other_content_is_rejected(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(CohortError, match="choose another folder"):
        ingest(tmp_path)


def test_a_file_as_folder_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CohortError, match="is a file"):
        ingest(tmp_path / "file")

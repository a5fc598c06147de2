"""Removing and replacing a source gives what the other sources alone give, whatever events they share."""

import json
import shutil
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyclinic.cohort import Cohort, CohortError, CohortWriter, Commit, Reject
from polyclinic.cohort.removal import Removal, count_removal, remove
from polyclinic.cohort.storage import merge
from polyclinic.cohort.storage.sources import UNRECORDED_NAME
from tests.cohort.samples import EVENTS, Event, frame
from tests.cohort.storage.test_writer import check_shards, small_limits, stored

DAY = datetime(2024, 3, 5)
SOURCE = st.lists(EVENTS, max_size=12)


def add(path: Path, source: str, *events: Event, replace: bool = False) -> Commit:
    """Ingest events as one source."""
    with CohortWriter(path, source="table", name=source, replace=replace) as writer:
        writer.add(frame(events))
    assert writer.committed
    return writer.committed


def assert_equal(left: Cohort, right: Cohort) -> None:
    """Check that two cohorts have the same content, tables and fingerprint."""
    assert left.events().collect().equals(right.events().collect())
    assert left.subjects.equals(right.subjects)
    assert left.splits.equals(right.splits)
    assert left.fingerprint == right.fingerprint
    assert left.summary().to_dict()["codes"] == right.summary().to_dict()["codes"]
    check_shards(left)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(SOURCE, SOURCE, SOURCE, st.booleans())
def test_removing_a_source_leaves_what_the_others_contain(
    a: list[Event], b: list[Event], c: list[Event], last: bool
) -> None:
    with small_limits(), TemporaryDirectory() as folder:
        without, path = Path(folder) / "without", Path(folder) / "path"
        for name, events in (("a", a), ("c", c)):
            add(without, name, *events)
        order = (("a", a), ("c", c), ("b", b)) if last else (("b", b), ("a", a), ("c", c))
        for name, events in order:
            add(path, name, *events)
        before = Cohort.open(path)
        events, subjects = before.summary().events, before.subjects.height
        planned = count_removal(path, "source", ["b"])
        assert Cohort.open(path) == before
        removed = remove(path, "source", ["b"])
        assert removed == planned
        after = Cohort.open(path)
        assert (events - removed.events, subjects - removed.gone_subjects) == (
            after.summary().events,
            after.subjects.height,
        )
        assert_equal(after, Cohort.open(without))
        assert after.sources["name"].to_list() == ["a", "c"]
        assert after.sources["events"].to_list() == Cohort.open(without).sources["events"].to_list()


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(SOURCE, SOURCE, SOURCE)
def test_replacing_a_source_forgets_what_it_contained_and_is_idempotent(
    wrong: list[Event], right: list[Event], other: list[Event]
) -> None:
    with small_limits(), TemporaryDirectory() as folder:
        expected, path = Path(folder) / "expected", Path(folder) / "path"
        for root, events in ((expected, right), (path, wrong)):
            add(root, "a", *events)
            add(root, "b", *other)
        before = stored(Cohort.open(path))
        replaced = add(path, "a", *right, replace=True)
        assert_equal(Cohort.open(path), Cohort.open(expected))
        after = stored(Cohort.open(path))
        assert (replaced.removed, replaced.new_events) == (
            len(before.keys() - after.keys()),
            len(after.keys() - before.keys()),
        )
        again = add(path, "a", *right, replace=True)
        assert (again.removed, again.new_events, again.changed) == (0, 0, 0)
        assert_equal(Cohort.open(path), Cohort.open(expected))


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=15), st.data())
def test_removing_a_subject_leaves_the_others(events: list[Event], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted({event[0] for event in events})))
    with small_limits(), TemporaryDirectory() as folder:
        without, path = Path(folder) / "without", Path(folder) / "path"
        add(path, "a", *events)
        add(without, "a", *(event for event in events if event[0] != name))
        number = str(Cohort.open(path).find_subject(name))
        removed = remove(path, "subject", [data.draw(st.sampled_from([name, number]))])
        assert (removed.subjects, removed.gone_subjects) == (1, 1)
        assert_equal(Cohort.open(path), Cohort.open(without))


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(SOURCE, SOURCE)
def test_a_source_read_again_is_reported_where_its_values_differ(a: list[Event], b: list[Event]) -> None:
    """The number of subjects, times and codes where one value is missing now and another is new."""

    def places(events: list[Event]) -> dict[tuple[object, ...], set[tuple[object, ...]]]:
        found: dict[tuple[object, ...], set[tuple[object, ...]]] = {}
        for event in events:
            found.setdefault(event[:3], set()).add(event[3:])
        return found

    former, now = places(a), places(b)
    differing = sum(bool(former[key] - now[key]) and bool(now[key] - former[key]) for key in former.keys() & now.keys())
    with small_limits(), TemporaryDirectory() as folder:
        add(Path(folder), "a", *a)
        assert add(Path(folder), "a", *a).changed == 0
        again = add(Path(folder), "a", *b)
        assert again.changed == differing
        gone = sum(len(former[key] - now.get(key, set())) for key in former if not (now.get(key, set()) - former[key]))
        assert again.withdrawn == gone


def value(
    subject: str, number: float | None, text: str | None = None, code: str = "LAB//x", blob: str | None = None
) -> Event:
    return (subject, DAY, code, number, text, blob)


def test_another_source_contradicts_by_numbers_only(tmp_path: Path) -> None:
    add(
        tmp_path, "a", value("1", 1.0), value("1", None, "no effusion", "NOTE//findings"), value("1", None, "I10", "DX")
    )
    assert (
        add(tmp_path, "b", value("1", None, "effusion", "NOTE//findings"), value("1", None, "E11", "DX")).changed == 0
    )
    assert add(tmp_path, "c", value("1", 10.0)).changed == 1
    assert Cohort.open(tmp_path).events().collect().filter(pl.col("code") == "LAB//x").height == 2


def image_of(path: Path, source: str, content: bytes, *subjects: str, replace: bool = False) -> str:
    """Ingest an image of some subjects as one source, and return its name."""
    with CohortWriter(path, source="dicom", name=source, replace=replace) as writer:
        name = writer.add_blob(content, "png")
        writer.add(frame(value(subject, None, None, "IMAGE//CR//PA", name) for subject in subjects))
    return name


def test_removing_a_blob_deletes_its_file_and_events(tmp_path: Path) -> None:
    add(tmp_path, "labs", value("1", 1.0), value("2", 1.0))
    black, film = image_of(tmp_path, "a", b"black", "1", "2", "3"), image_of(tmp_path, "b", b"film", "1")
    assert count_removal(tmp_path, "blob", [black]) == Removal(3, 3, 1, 1, 0)
    assert remove(tmp_path, "blob", [black[:12]]) == Removal(3, 3, 1, 1, 0)
    cohort = Cohort.open(tmp_path)
    assert cohort.events().collect()["blob"].drop_nulls().to_list() == [film]
    assert [path.name for path in (tmp_path / "blobs").iterdir()] == [film]
    assert cohort.subjects["source_id"].to_list() == ["1", "2"]
    for name in (black, black[:4], "", "../labels"):
        with pytest.raises(CohortError, match="names such a blob"):
            remove(tmp_path, "blob", [name])


def test_blobs_of_a_removed_source_or_subject_are_deleted_unless_others_name_them(tmp_path: Path) -> None:
    image_of(tmp_path, "a", b"one", "1")
    shared = image_of(tmp_path, "a2", b"two", "1")
    image_of(tmp_path, "b", b"two", "2")
    assert remove(tmp_path, "subject", ["1"]).blobs == 1
    assert [path.name for path in (tmp_path / "blobs").iterdir()] == [shared]
    assert remove(tmp_path, "source", ["b"]).blobs == 1
    assert not list((tmp_path / "blobs").iterdir())
    assert Cohort.open(tmp_path).subjects.is_empty()


def test_nothing_that_was_removed_stays_in_the_folder(tmp_path: Path) -> None:
    add(tmp_path, "a", value("1", 1.0, "Smith"))
    add(tmp_path, "b", value("2", 1.0))
    remove(tmp_path, "subject", ["1"])
    assert [path.name for path in (tmp_path / "versions").iterdir()] == ["3"]
    files = [path for path in tmp_path.rglob("*.parquet") if path.is_file()]
    assert not any(b"Smith" in path.read_bytes() for path in files)


def test_no_one_leaves_training_by_a_removal(tmp_path: Path) -> None:
    """Two subjects of one picture share a split; when the picture is removed, both keep it."""
    subjects = [str(number) for number in range(40)]
    add(tmp_path, "a", *(value(subject, 1.0) for subject in subjects))
    alone = dict(Cohort.open(tmp_path).splits.iter_rows())
    name = image_of(tmp_path, "b", b"film", *subjects)
    shared = Cohort.open(tmp_path).splits
    assert set(shared["split"]) == {"train"} != set(alone.values())
    remove(tmp_path, "blob", [name])
    assert Cohort.open(tmp_path).splits.equals(shared)


def test_labels_of_those_who_lose_events_are_deleted(tmp_path: Path) -> None:
    add(tmp_path, "a", value("1", 1.0), value("2", 1.0))
    add(tmp_path, "b", value("2", 5.0), value("3", 1.0))
    file = tmp_path / "labels" / "died" / "labels.parquet"
    file.parent.mkdir(parents=True)
    labels = pl.DataFrame({"subject_id": [1, 2, 3], "prediction_time": [DAY] * 3, "boolean_value": [True] * 3})
    labels.write_parquet(file)
    assert count_removal(tmp_path, "source", ["b"]).labels == remove(tmp_path, "source", ["b"]).labels == 2
    assert pl.read_parquet(file).equals(labels.head(1))
    add(tmp_path, "a", value("1", 2.0), value("2", 1.0), replace=True)
    assert pl.read_parquet(file).is_empty()


def test_rejects_go_with_their_source(tmp_path: Path) -> None:
    for name, line in (("a", 1), ("b", 2)):
        with CohortWriter(tmp_path, source="table", name=name) as writer:
            writer.add(frame([value(name, 1.0)]))
            writer.reject(Reject("labs.csv", line, "unknown unit", "add it"))
    with CohortWriter(tmp_path, source="table", name="a", replace=True) as writer:
        writer.add(frame([value("a", 1.0)]))
        writer.reject(Reject("labs.csv", 9, "unknown unit", "add it"))
    assert sorted(Cohort.open(tmp_path).rejects["line"]) == [2, 9]
    remove(tmp_path, "source", ["b"])
    assert Cohort.open(tmp_path).rejects["line"].to_list() == [9]


def older(path: Path) -> None:
    """Make a cohort look like one of a version that did not record sources."""
    version = Cohort.open(path).version
    shutil.rmtree(version / "provenance")
    (version / "metadata" / "sources.parquet").unlink()
    rejects = version / "metadata" / "rejects.parquet"
    pl.read_parquet(rejects).drop("origin").write_parquet(rejects)


def test_older_cohorts_open_and_their_events_can_be_removed(tmp_path: Path) -> None:
    with CohortWriter(tmp_path, source="table") as writer:
        writer.add(frame([value("1", 1.0), value("2", 2.0)]))
        writer.reject(Reject("labs.csv", 3, "unknown unit", "add it"))
    before = Cohort.open(tmp_path)
    fingerprint = before.fingerprint
    older(tmp_path)
    cohort = Cohort.open(tmp_path)
    assert cohort.fingerprint == fingerprint
    assert cohort.sources.select("name", "events").rows() == [(UNRECORDED_NAME, 2)]
    with CohortWriter(tmp_path, source="table", name="labs") as writer:
        writer.add(frame([value("1", 1.0)]))
        writer.reject(Reject("labs.csv", 3, "unknown unit", "add it"))
    assert Cohort.open(tmp_path).fingerprint == fingerprint
    assert Cohort.open(tmp_path).rejects["origin"].to_list() == ["labs"]
    assert remove(tmp_path, "source", [UNRECORDED_NAME]) == Removal(1, 1, 1, 0, 0)
    assert Cohort.open(tmp_path).subjects["source_id"].to_list() == ["1"]
    assert Cohort.open(tmp_path).sources.select("name", "events").rows() == [("labs", 1)]


def test_sources_are_named_by_the_end_of_their_path_unless_another_has_it(tmp_path: Path) -> None:
    def named(file: str, **options: str) -> str:
        with CohortWriter(tmp_path / "c", source="table", path_read=tmp_path / file, **options) as writer:  # type: ignore[arg-type]
            writer.add(frame([value("1", 1.0)]))
        return writer.source_name

    assert named("january/labs.csv") == "labs.csv"
    assert named("february/labs.csv") == "february/labs.csv"
    assert named("january/labs.csv") == "labs.csv"
    assert named("vitals.csv", name="pulse") == "pulse"
    assert named("vitals.csv") == "pulse"
    assert Cohort.open(tmp_path / "c").sources["name"].to_list() == ["labs.csv", "february/labs.csv", "pulse"]
    with pytest.raises(CohortError, match="cannot name a source"):
        named("x.csv", name=UNRECORDED_NAME)
    assert str(tmp_path) not in json.dumps(Cohort.open(tmp_path / "c").sources.to_dicts())


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    add(tmp_path, "a", value("1", 1.0))
    before = Cohort.open(tmp_path)
    with pytest.raises(CohortError, match=r"no source 'b' in .*: choose from a"):
        remove(tmp_path, "source", ["a", "b"])
    with pytest.raises(CohortError, match="no such subject"):
        count_removal(tmp_path, "subject", ["2"])
    assert Cohort.open(tmp_path) == before


def test_a_failed_removal_leaves_the_cohort_unchanged(tmp_path: Path) -> None:
    add(tmp_path, "a", value("1", 1.0))
    before = Cohort.open(tmp_path)
    with (
        patch.object(merge, "write_splits_and_rejects", side_effect=OSError("disk full")),
        pytest.raises(OSError, match="disk full"),
    ):
        remove(tmp_path, "source", ["a"])
    assert Cohort.open(tmp_path) == before
    assert before.events().collect().height == 1

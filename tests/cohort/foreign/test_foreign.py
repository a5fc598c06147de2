"""MEDS data sets of other tools: opened as they are, whatever their shards, or refused in words."""

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import meds
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyclinic.cohort import POLARS_EVENTS, Cohort, CohortError, CohortWriter
from polyclinic.cohort.foreign import index, layout
from tests.cohort.foreign.writing import write_meds
from tests.cohort.samples import EVENTS, Event, frame

SAMPLE = Path(__file__).parent / "written_by_meds_testing_helpers"
DAY = [datetime(2150, 1, day) for day in range(1, 6)]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the tables of these data sets in the test's own folder."""
    monkeypatch.setenv("POLYCLINIC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def events_of(*subjects: int) -> pl.DataFrame:
    """Return three events of each subject, sorted, without `text_value` and `blob`."""
    rows = [
        row
        for subject in subjects
        for row in ((subject, None, "GENDER//F", None), (subject, DAY[0], "HR", 80.0), (subject, DAY[1], "LAB//x", 1.5))
    ]
    schema = {name: POLARS_EVENTS[name] for name in ("subject_id", "time", "code", "numeric_value")}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_a_data_set_written_by_the_tools_of_meds_opens() -> None:
    cohort = Cohort.open(SAMPLE)
    raw = pl.concat([pl.read_parquet(file) for file in sorted(SAMPLE.glob("data/**/*.parquet"))])
    columns = ["subject_id", "time", "code", "numeric_value"]
    found = cohort.events().collect()
    assert dict(found.schema) == POLARS_EVENTS
    assert found.select(columns).equals(raw.select(columns).sort(columns, nulls_last=False))
    splits = pl.read_parquet(SAMPLE / "metadata" / "subject_splits.parquet").sort("subject_id")
    assert cohort.splits.rows() == splits.select("subject_id", "split").rows()
    assert cohort.find_subject("239684") == 239684
    summary = cohort.summary()
    assert (summary.subjects, summary.events, summary.codes, dict(summary.rejects)) == (6, 62, 11, {})
    for subject in cohort.splits["subject_id"]:
        assert cohort.subject(subject).equals(found.filter(pl.col("subject_id") == subject))


@st.composite
def shardings(draw: st.DrawFn) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """Draw events of some subjects, and the same events in some shards; a subject's rows stay together or do not."""
    events: list[Event] = draw(st.lists(EVENTS, min_size=1, max_size=30, unique=True))
    named = frame(events)
    ids = {name: number for number, name in enumerate(named["source_id"].unique(maintain_order=True))}
    table = named.with_columns(subject_id=pl.col("source_id").replace_strict(ids, return_dtype=pl.Int64))
    table = table.select("subject_id", "time", "code", "numeric_value", "text_value")
    whole = draw(st.booleans())
    folders = ["train/0", "train/1", "held_out/a/b"] if whole else ["a/0", "a/1", "b/a/b"]  # of one split each
    names = draw(st.permutations(["0", *folders, "x y"]))
    key = pl.col("subject_id") if whole else pl.int_range(pl.len())
    shards = table.with_columns(shard=key * draw(st.sampled_from([1, 7, 11])) % draw(st.integers(1, len(names))))
    return table, {names[int(number[0])]: part.drop("shard") for number, part in shards.group_by("shard")}


def counts(cohort: Cohort) -> dict[str, Any]:
    """Return the counts of a cohort but means, which depend on the order of summation."""
    summary = cohort.summary().to_dict()
    return summary | {"sources": None, "per_code": [row | {"mean": None} for row in summary["per_code"]]}


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(shardings())
def test_any_sharding_opens_to_the_same_events(drawn: tuple[pl.DataFrame, dict[str, pl.DataFrame]]) -> None:
    """As ingesting the same events does: the same rows, subjects, splits and fingerprint."""
    table, shards = drawn
    with TemporaryDirectory() as folder:
        cohort = Cohort.open(write_meds(Path(folder) / "meds", shards))
        with CohortWriter(Path(folder) / "own", source="test") as writer:
            writer.add(table)
        own = Cohort.open(Path(folder) / "own")
        assert cohort.events().collect().equals(own.events().collect())
        assert set(cohort.splits.columns) == {"subject_id", "split"}
        assert cohort.subjects.drop("source").equals(own.subjects.drop("source"))
        if cohort.splits.equals(own.splits):  # not those of the folders' names
            assert cohort.fingerprint == own.fingerprint
        once = Cohort.open(write_meds(Path(folder) / "once", {"0": table}, dict(cohort.splits.iter_rows())))
        assert (once.fingerprint, once.splits.rows()) == (cohort.fingerprint, cohort.splits.rows())
        assert counts(once) == counts(cohort)
        for subject in (*cohort.subjects["subject_id"], 10**12):
            assert cohort.subject(subject).equals(own.subject(subject))


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(shardings(), st.data())
def test_identical_rows_are_one_event_and_counted(
    drawn: tuple[pl.DataFrame, dict[str, pl.DataFrame]], data: st.DataObject
) -> None:
    """In one shard or in several, however often: as ingesting them does, where they are the same facts."""
    table, shards = drawn
    copies = data.draw(st.lists(st.integers(0, table.height - 1), max_size=10))
    places = [data.draw(st.sampled_from(sorted(shards))) for _ in copies]
    for row, place in zip(copies, places, strict=True):
        shards[place] = pl.concat([shards[place], table[row]])
    with TemporaryDirectory() as folder:
        splits = dict.fromkeys(table["subject_id"].unique(), "train")
        cohort = Cohort.open(write_meds(Path(folder) / "meds", shards, splits))
        once = Cohort.open(write_meds(Path(folder) / "once", {"0": table}, splits))
        with CohortWriter(Path(folder) / "own", source="test") as writer:
            writer.add(pl.concat(list(shards.values())))
        assert (cohort.repeated_events, once.repeated_events) == (len(copies), 0)
        assert cohort.fingerprint == once.fingerprint
        assert cohort.events().collect().equals(Cohort.open(Path(folder) / "own").events().collect())
        assert counts(cohort) == counts(once)


def test_splits_are_the_tables_the_folders_or_those_of_the_hash(tmp_path: Path) -> None:
    events = {"a": events_of(1, 2), "b": events_of(3)}
    written = {1: "train", 2: "validation", 3: "TEST"}
    own = Cohort.open(write_meds(tmp_path / "table", events, written)).splits
    assert dict(own.iter_rows()) == {1: "train", 2: "tuning", 3: "held_out"}
    folders = {"train/0": events_of(1), "tuning/0": events_of(2), "held_out/0": events_of(3)}
    assert Cohort.open(write_meds(tmp_path / "folders", folders)).splits.rows() == own.rows()
    hashed = Cohort.open(write_meds(tmp_path / "none", events)).splits
    with CohortWriter(tmp_path / "own", source="test") as writer:
        writer.add(events_of(1, 2, 3))
    assert hashed.equals(Cohort.open(tmp_path / "own").splits)
    part = Cohort.open(write_meds(tmp_path / "part", events, {1: "held_out", 99: "train"})).splits
    assert dict(part.iter_rows()) == dict(hashed.iter_rows()) | {1: "held_out"}


def test_types_that_other_tools_write_are_converted(tmp_path: Path) -> None:
    write_meds(tmp_path, {"0": events_of(1)}, about={"dataset_name": "MIMIC-IV", "etl_name": "x"})
    table = pl.read_parquet(tmp_path / "data" / "0.parquet").with_columns(
        pl.col("subject_id").cast(pl.Int32),
        pl.col("time").cast(pl.Datetime("ns")),
        pl.col("code").cast(pl.Categorical),
        pl.col("numeric_value").cast(pl.Float64),
        text_value=pl.lit("note", pl.Categorical),
        unit=pl.lit("mg/dL"),
    )
    table.write_parquet(tmp_path / "data" / "0.parquet")
    cohort = Cohort.open(tmp_path)
    assert dict(cohort.events().collect_schema()) == POLARS_EVENTS
    assert cohort.events().collect()["time"].to_list() == [None, DAY[0], DAY[1]]
    assert cohort.ignored_columns == ("unit",)
    assert dict(cohort.summary().sources) == {"MIMIC-IV": 1}


def test_events_that_cannot_be_used_are_counted_and_cost_no_other(tmp_path: Path) -> None:
    write_meds(tmp_path, {"a/0": events_of(1, 2)})
    bad: dict[str, list[Any]] = {"subject_id": [None, 3, 3, 3], "code": ["HR", None, "HR", ""]}
    bad |= {"time": [DAY[0]] * 4, "numeric_value": [1.0, 1.0, float("nan"), 1.0]}
    pq.write_table(pa.table(bad), tmp_path / "data" / "b.parquet")
    cohort = Cohort.open(tmp_path)
    assert cohort.subjects["subject_id"].to_list() == [1, 2]
    assert cohort.events().collect().height == 6
    assert dict(cohort.summary().rejects) == {"no code": 2, "no subject": 1, "not a finite number": 1}
    assert cohort.rejects["file"].unique().to_list() == ["data/b.parquet"]


def damaged() -> Iterator[Any]:
    """Yield data sets that are not MEDS, and the refusals."""
    good = events_of(1)
    zoned = pl.col("time").dt.replace_time_zone("Europe/Berlin")
    yield pytest.param(good.with_columns(zoned), "column time is .*Berlin.*; MEDS has a timestamp without", id="zone")
    yield pytest.param(
        good.with_columns(pl.col("subject_id").cast(pl.String)), "column subject_id is String", id="text"
    )
    yield pytest.param(good.with_columns(pl.col("numeric_value").cast(pl.String)), "column numeric_value", id="number")
    yield pytest.param(good.drop("time"), "b.parquet of .* lacks the column time of MEDS", id="no time")
    yield pytest.param(None, "b.parquet of .* is not a Parquet file", id="not Parquet")


@pytest.mark.parametrize(("shard", "message"), list(damaged()))
def test_shards_that_are_not_meds_are_named(shard: pl.DataFrame | None, message: str, tmp_path: Path) -> None:
    write_meds(tmp_path, {"a": events_of(1)})
    file = tmp_path / "data" / "b.parquet"
    if shard is None:
        file.write_text("nothing")
    else:
        shard.write_parquet(file)
    with pytest.raises(CohortError, match=message):
        Cohort.open(tmp_path)


@pytest.mark.parametrize(
    ("splits", "message"),
    [({1: "pretraining"}, "names other splits than train"), ({}, None)],
    ids=["other name", "empty"],
)
def test_unknown_splits_are_refused(splits: dict[int, str], message: str | None, tmp_path: Path) -> None:
    write_meds(tmp_path, {"a": events_of(1)}, splits)
    if message is None:
        assert Cohort.open(tmp_path).splits.height == 1
        return
    with pytest.raises(CohortError, match=message):
        Cohort.open(tmp_path)


def test_a_subject_with_two_splits_is_refused(tmp_path: Path) -> None:
    write_meds(tmp_path / "folders", {"train/0": events_of(1), "held_out/0": events_of(1, 2)})
    with pytest.raises(CohortError, match="gives a subject two splits"):
        Cohort.open(tmp_path / "folders")
    write_meds(tmp_path, {"a": events_of(1)})
    twice = pa.table({"subject_id": [1, 1], "split": ["train", "held_out"]})
    pq.write_table(meds.SubjectSplitSchema.align(twice), tmp_path / "metadata" / "subject_splits.parquet")
    with pytest.raises(CohortError, match="gives a subject two splits"):
        Cohort.open(tmp_path)


def test_the_data_set_is_not_written(tmp_path: Path) -> None:
    root = shutil.copytree(SAMPLE, tmp_path / "meds")
    before = sorted((path, path.stat().st_mtime_ns) for path in root.rglob("*"))
    Cohort.open(root).summary()
    assert sorted((path, path.stat().st_mtime_ns) for path in root.rglob("*")) == before
    with (
        pytest.raises(CohortError, match="a MEDS data set of another tool, which opens as it is"),
        CohortWriter(root, source="test"),
    ):
        raise AssertionError("not reached")


def test_tables_are_cached_until_a_shard_changes(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "SETTLED_S", -1e9)
    root = write_meds(tmp_path / "meds", {"0": events_of(1), "1": events_of(2)})
    first = Cohort.open(root)
    assert len(list(own_cache.rglob("index.json"))) == 1
    with monkeypatch.context() as patched:
        patched.setattr(index, "_read", lambda _: pytest.fail("the shards were read again"))
        again = Cohort.open(root)
    assert again == first
    assert again.subjects.equals(first.subjects)
    assert again.summary().to_dict() == first.summary().to_dict()
    write_meds(root, {"1": events_of(2, 3)})
    assert Cohort.open(root).subjects.height == 3
    assert len(list(own_cache.rglob("index.json"))) == 1
    for file in own_cache.rglob("subjects.parquet"):
        file.write_bytes(b"damaged")
    assert Cohort.open(root).subjects.height == 3


def test_the_cache_is_not_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "SETTLED_S", -1e9)
    (tmp_path / "file").touch()
    monkeypatch.setenv("POLYCLINIC_CACHE", str(tmp_path / "file"))
    assert Cohort.open(SAMPLE).subjects.height == 6


def test_parts_of_a_data_set_are_recognised(tmp_path: Path) -> None:
    root = shutil.copytree(SAMPLE, tmp_path / "meds")
    for part in (root, root / "data", root / "data" / "train", root / "data" / "train" / "0.parquet"):
        assert layout.meds_root(part) == root
    for other in (tmp_path, root / "metadata", root / "README.md", tmp_path / "nowhere"):
        assert layout.meds_root(other) is None
    with pytest.raises(CohortError, match=f"part of a MEDS data set; name {root}"):
        Cohort.open(root / "data")


def test_a_copy_of_a_cohort_without_links_opens(tmp_path: Path) -> None:
    """As archives and other file systems make it; the ids of the source are kept."""
    with CohortWriter(tmp_path / "own", source="test") as writer:
        image = writer.add_blob(b"image", "png")
        writer.add(
            pl.DataFrame({"source_id": ["P1", "P2"], "code": ["LAB//x", "IMAGE//CR//PA"], "blob": [None, image]})
        )
    own = Cohort.open(tmp_path / "own")
    copy = tmp_path / "copy"
    for name in ("data", "metadata", "blobs"):
        shutil.copytree(tmp_path / "own" / name, copy / name)
    for rewritten in (False, True):
        if rewritten:  # by another tool, into other shards
            pl.read_parquet(copy / "data" / "*.parquet").write_parquet(copy / "data" / "all.parquet")
            (copy / "data" / "00000.parquet").unlink()
        found = Cohort.open(copy)
        assert (found.index is not None) == rewritten
        assert found.fingerprint == own.fingerprint
        assert found.subjects.equals(own.subjects)
        assert found.blob(image).read_bytes() == b"image"

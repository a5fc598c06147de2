"""Reading a cohort, with Polyclinic and with other tools."""

import json
import pickle
from datetime import datetime
from pathlib import Path

import meds
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from polyclinic.cohort import EVENTS, POLARS_EVENTS, SPLITS, Cohort, CohortError, CohortWriter

DAY = [datetime(2020, 1, day) for day in range(1, 6)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a cohort of three subjects; the first two share an image."""
    with CohortWriter(tmp_path / "cohort", source="table") as writer:
        image = writer.add_blob(b"image", "png")
        events = [
            ("a", None, "DEMOGRAPHIC//sex", None, "female", None),
            ("a", DAY[0], "LAB//lactate//mmol/L", 1.0, None, None),
            ("a", DAY[2], "LAB//lactate//mmol/L", 4.0, None, None),
            ("a", DAY[3], "IMAGE//CR//PA", None, None, image),
            ("b", DAY[1], "IMAGE//CR//PA", None, None, image),
            ("b", DAY[2], "NOTE//findings", None, "no effusion", None),
            ("b", DAY[4], "OUTCOME//died", 1.0, None, None),
            ("3", None, "LAB//lactate//mmol/L", 2.5, None, None),
        ]
        columns = ["source_id", *list(POLARS_EVENTS)[1:]]
        writer.add(pl.DataFrame(events, schema=columns, orient="row"))
    return tmp_path / "cohort"


def test_files_match_the_meds_schemas(folder: Path) -> None:
    for file in (folder / meds.data_subdirectory).glob("*.parquet"):
        table = pq.read_table(file)
        meds.DataSchema.validate(table)
        assert table.schema.equals(EVENTS)
    meds.CodeMetadataSchema.validate(pq.read_table(folder / meds.code_metadata_filepath))
    meds.SubjectSplitSchema.validate(pq.read_table(folder / meds.subject_splits_filepath))
    meds.DatasetMetadataSchema.validate(json.loads((folder / meds.dataset_metadata_filepath).read_text()))


def test_pyarrow_and_polars_read_equal_events(folder: Path) -> None:
    events = Cohort.open(folder).events().collect()
    assert dict(events.schema) == POLARS_EVENTS
    assert pl.read_parquet(folder / "data" / "*.parquet").equals(events)
    assert pl.DataFrame(ds.dataset(folder / "data").to_table()).equals(events)


def test_every_code_is_listed(folder: Path) -> None:
    codes = pl.read_parquet(folder / meds.code_metadata_filepath)
    counts = Cohort.open(folder).events().group_by("code").len().collect()
    assert dict(codes.select("code", "events").rows()) == dict(counts.rows())


def test_subjects_splits_and_events_agree(folder: Path) -> None:
    cohort = Cohort.open(folder)
    ids = cohort.events().select(pl.col("subject_id").unique().sort()).collect().get_column("subject_id")
    assert cohort.subjects.get_column("subject_id").equals(ids)
    assert cohort.splits.get_column("subject_id").equals(ids)
    assert sorted(subject for split in SPLITS for subject in cohort.subjects_in(split)) == ids.to_list()
    split_of = dict(cohort.splits.join(cohort.subjects, on="subject_id").select("source_id", "split").rows())
    assert split_of["a"] == split_of["b"]
    assert cohort.subjects.select("source_id", "structured", "series", "note", "image").rows_by_key("source_id") == {
        "3": [(1, 0, 0, 0)],
        "a": [(3, 2, 0, 1)],
        "b": [(0, 0, 1, 1)],
    }


def test_events_as_of_a_time(folder: Path) -> None:
    known = Cohort.open(folder).as_of(DAY[1]).collect()
    assert sorted(known.get_column("code").to_list()) == [
        "DEMOGRAPHIC//sex",
        "IMAGE//CR//PA",
        "LAB//lactate//mmol/L",
        "LAB//lactate//mmol/L",
    ]


def test_summary(folder: Path) -> None:
    summary = Cohort.open(folder).summary()
    assert (summary.subjects, summary.events, summary.codes) == (3, 8, 5)
    assert (summary.first, summary.last) == (DAY[0], DAY[4])
    counts = {name: (count.subjects, count.events) for name, count in summary.modalities.items()}
    assert counts == {"structured": (2, 4), "series": (1, 2), "note": (1, 1), "image": (2, 2), "waveform": (0, 0)}
    missing = {"structured": 1 / 3, "series": 2 / 3, "note": 2 / 3, "image": 1 / 3, "waveform": 1}
    assert {name: summary.missingness[name] for name in missing} == pytest.approx(missing)
    assert summary.missingness["LAB//lactate//mmol/L"] == pytest.approx(1 / 3)
    lactate = summary.per_code.row(by_predicate=pl.col("code") == "LAB//lactate//mmol/L", named=True)
    assert (lactate["events"], lactate["subjects"], lactate["values"]) == (3, 2, 3)
    assert (lactate["minimum"], lactate["mean"], lactate["maximum"]) == (1.0, 2.5, 4.0)
    assert sum(summary.splits.values()) == 3
    assert dict(summary.sources) == {"table": 3}
    assert json.loads(json.dumps(summary.to_dict()))["modalities"]["note"] == {"subjects": 1, "events": 1}


def test_missingness_excludes_rare_codes(tmp_path: Path) -> None:
    with CohortWriter(tmp_path, source="table") as writer:
        writer.add(pl.DataFrame({"subject_id": [*range(100), 0], "code": ["LAB//common"] * 100 + ["LAB//rare"]}))
    assert set(Cohort.open(tmp_path).summary().missingness) >= {"LAB//common"}
    assert "LAB//rare" not in Cohort.open(tmp_path).summary().missingness


def test_an_unknown_split_is_rejected(folder: Path) -> None:
    with pytest.raises(CohortError, match="choose from train, tuning, held_out"):
        Cohort.open(folder).subjects_in("test")


def test_an_open_cohort_keeps_its_version(folder: Path) -> None:
    before = Cohort.open(folder)
    with CohortWriter(folder, source="table") as writer:
        writer.add(pl.DataFrame({"subject_id": [4], "code": ["LAB//x"]}))
    assert before.events().collect().height == 8
    assert Cohort.open(folder).events().collect().height == 9


def test_opening_something_else_is_an_error(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(CohortError, match="no cohort at"):
        Cohort.open(tmp_path / "nowhere")
    with pytest.raises(CohortError, match="no cohort at"):
        Cohort.open(tmp_path)
    information = folder / "metadata" / "dataset.json"
    content = json.loads(information.read_text())
    content["polyclinic"]["layout"] = 99
    information.write_text(json.dumps(content))
    with pytest.raises(CohortError, match="update polyclinic"):
        Cohort.open(folder)
    with pytest.raises(CohortError, match="update polyclinic"), CohortWriter(folder, source="test"):
        raise AssertionError("not reached")
    information.write_text("{")
    with pytest.raises(CohortError, match="not that of a cohort"):
        Cohort.open(folder)


def test_a_patient_is_found_by_the_sources_id_and_by_the_number(folder: Path) -> None:
    cohort = Cohort.open(folder)
    ids = dict(cohort.subjects.select("source_id", "subject_id").iter_rows())
    for name, number in ids.items():
        assert cohort.find_subject(f" {name} ") == cohort.find_subject(str(number)) == number
        assert cohort.source_id(number) == name
    for unknown in ("", "4", "03", "-3", "²", "9" * 30):
        with pytest.raises(CohortError, match="no such subject"):
            cohort.find_subject(unknown)


def test_an_id_that_may_mean_two_patients_is_refused(folder: Path) -> None:
    number = Cohort.open(folder).find_subject("a")
    with CohortWriter(folder, source="table") as writer:
        writer.add(pl.DataFrame({"source_id": [str(number)], "code": ["LAB//x"]}))
    with pytest.raises(CohortError, match="one patient in the source and the number of another"):
        Cohort.open(folder).find_subject(str(number))
    assert Cohort.open(folder).find_subject("a") == number


def test_a_copy_for_another_process_holds_no_table(folder: Path) -> None:
    cohort = Cohort.open(folder)
    before = pickle.dumps(cohort.blob)
    assert cohort.subjects.height == cohort.splits.height == 3
    assert pickle.dumps(cohort.blob) == before
    assert pickle.loads(before).__self__.subjects.equals(cohort.subjects)

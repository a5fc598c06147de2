"""Ingest of any source: atomic, idempotent, counted."""

import json

import polars as pl
import pytest

from polyclinic.cohort import Cohort
from polyclinic.ingest import READERS, IngestError, ingest
from polyclinic.ingest.readers import source_named

MAPPING = "subject: id\ncolumns:\n  age: {code: DEMOGRAPHIC//age//years, type: numeric}\n"


@pytest.fixture
def table(tmp_path):
    (tmp_path / "m.yaml").write_text(MAPPING)
    (tmp_path / "people.csv").write_text("id,age\n1,70\nx2,50\n3,old\n")
    return tmp_path / "people.csv"


def run(table, **options):
    return ingest("table", table, table.parent / "cohort", **({"mapping": table.parent / "m.yaml"} | options))


def test_report_counts_events_and_rejects(table):
    report = run(table)
    assert (report.events, report.subjects, report.blobs, report.rejected) == (2, 2, 0, 1)
    assert dict(report.rejects) == {"not a number": 1}
    assert report.events_per_second > 0
    assert json.loads(json.dumps(report.to_dict()))["rejects"] == {"not a number": 1}


def test_rejects_are_listed_in_the_cohort(table):
    run(table)
    [reject] = Cohort.open(table.parent / "cohort").rejects.select("source", "file", "line", "reason").rows()
    assert reject == ("table", "people.csv", 4, "not a number")


def test_repeated_ingest_changes_nothing(table):
    run(table)
    before = Cohort.open(table.parent / "cohort").events().collect()
    run(table)
    assert Cohort.open(table.parent / "cohort").events().collect().equals(before)


def test_strict_ingest_with_rejects_leaves_the_cohort_unchanged(table):
    with pytest.raises(IngestError, match=r"people\.csv has rejects \(not a number: 1\)"):
        run(table, strict=True)
    table.write_text("id,age\n1,70\n")
    assert run(table, strict=True).events == 1
    table.write_text("id,age\n2,70\n3,old\n")
    with pytest.raises(IngestError):
        run(table, strict=True)
    assert Cohort.open(table.parent / "cohort").subjects.get_column("subject_id").to_list() == [1]


@pytest.mark.parametrize("text", ["", "id,age\n", "id,age\n1,\n", "id,age\n1,old\n", "age\n1\n", "\0\0"])
def test_nothing_readable_is_an_error(table, text):
    table.write_text(text)
    with pytest.raises(IngestError, match=r"nothing readable in people\.csv"):
        run(table)


def test_errors_give_location_and_remedy(table):
    with pytest.raises(IngestError, match=r"the first: line 4: not a number: column 'age': correct the cell"):
        run(table, strict=True)
    table.write_text("id,ages\n1,70\n")
    with pytest.raises(IngestError, match=r"line 1: .*: the mapping names age; the table's columns are id, ages$"):
        run(table)


def test_errors_do_not_name_files_of_a_folder(table):
    folder = table.parent / "images"
    folder.mkdir()
    (folder / "Doe^Jane.dcm").write_text("no DICOM")
    with pytest.raises(IngestError, match="the first: not a DICOM file: ") as refused:
        ingest("dicom", folder, table.parent / "cohort")
    assert "Doe" not in str(refused.value)


@pytest.mark.parametrize("into", [".", "cohort", "a/b/cohort", "link/cohort"])
def test_a_cohort_inside_the_source_is_an_error(table, into, tmp_path_factory):
    (table.parent / "link").symlink_to(table.parent)
    before = sorted(table.parent.rglob("*"))
    for source, options in (("table", {"mapping": table.parent / "m.yaml"}), ("dicom", {})):
        with pytest.raises(IngestError, match="is inside the source's folder"):
            ingest(source, table.parent, table.parent / into, **options)
    with pytest.raises(IngestError, match="is inside the source's folder"):
        ingest("indiana", tmp_path_factory.mktemp("reports"), table.parent / into, images=table.parent)
    assert sorted(table.parent.rglob("*")) == before


def test_source_ids_of_many_subjects_are_kept(table):
    rows = 60_000
    ids = [f"p{n}" if n % 2 else str(n) for n in range(rows)]
    pl.DataFrame({"id": ids, "age": [n % 90 for n in range(rows)]}).write_csv(table)
    assert run(table).subjects == rows
    cohort = Cohort.open(table.parent / "cohort")
    ages = cohort.events().collect().join(cohort.subjects, on="subject_id", how="left")
    found = dict(ages.select("source_id", "numeric_value").rows())
    assert found == {name: n % 90 for n, name in enumerate(ids)}


def test_an_unknown_source_is_an_error_with_the_choices(tmp_path):
    with pytest.raises(IngestError, match="unknown source 'mimic': choose from covid-cxr, dicom, indiana"):
        ingest("mimic", tmp_path, tmp_path / "cohort")


def test_an_option_of_another_reader_is_an_error(tmp_path):
    with pytest.raises(IngestError, match="source 'dicom' has no option mapping: its options are: none"):
        ingest("dicom", tmp_path, tmp_path / "cohort", mapping=tmp_path / "m.yaml")


def test_a_missing_path_is_an_error(tmp_path):
    with pytest.raises(IngestError, match="nowhere does not exist"):
        ingest("dicom", tmp_path / "nowhere", tmp_path / "cohort")
    assert not (tmp_path / "cohort").exists()


@pytest.mark.parametrize("name", READERS)
def test_every_reader_rejects_an_empty_folder(name, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "m.yaml").write_text(MAPPING)
    mapping = tmp_path / "m.yaml" if "mapping" in source_named(name).options else None
    with pytest.raises(IngestError):
        ingest(name, tmp_path / "empty", tmp_path / "cohort", mapping=mapping)

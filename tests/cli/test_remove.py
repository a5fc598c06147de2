"""`polyclinic remove`, and `ingest` of a source that was corrected."""

import polars as pl
import pytest
from PIL import Image

from polyclinic.cohort import Cohort
from tests.images import film

MAPPING = """
subject: patient
time: taken_at
columns:
  lactate: {code: LAB//lactate//mmol/L, type: numeric}
"""


@pytest.fixture
def ward(tmp_path, monkeypatch, polyclinic):
    """A cohort of two tables; the working folder holds them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.yaml").write_text(MAPPING)
    write(tmp_path / "labs.csv", ("P1", "1.1"), ("P2", "2.2"), ("P3", "3.3"))
    write(tmp_path / "more.csv", ("P3", "3.3"), ("P4", "4.4"))
    for table in ("labs.csv", "more.csv"):
        assert ingest(polyclinic, table).code == 0
    return tmp_path / "c"


def write(path, *rows):
    path.parent.mkdir(exist_ok=True)
    lines = [f"{patient},2024-03-05 08:00,{value}" for patient, value in rows]
    path.write_text("\n".join(["patient,taken_at,lactate", *lines]) + "\n")


def ingest(polyclinic, table, *options):
    return polyclinic("ingest", "table", table, "--mapping", "m.yaml", "--into", "c", *options)


def values(cohort):
    cohort = Cohort.open(cohort)
    named = cohort.events().collect().join(cohort.subjects.select("subject_id", "source_id"), on="subject_id")
    return sorted((name, round(value, 3)) for name, value in named.select("source_id", "numeric_value").iter_rows())


def test_help_says_what_it_removes(polyclinic):
    helped = polyclinic("--help").out
    assert "remove" in helped
    assert "Remove a source, a subject or a blob from a cohort" in " ".join(helped.replace("│", " ").split())


def test_sources_are_listed(ward, polyclinic):
    done = polyclinic("remove", ward)
    assert done.code == 0
    assert "labs.csv" in done.out
    listed = polyclinic("remove", ward, "--json").json["sources"]
    assert listed == [
        {"name": "labs.csv", "reader": "table", "events": 3},
        {"name": "more.csv", "reader": "table", "events": 2},
    ]


def test_nothing_is_removed_unasked(ward, polyclinic):
    before = values(ward)
    done = polyclinic("remove", ward, "--source", "labs.csv")
    assert done.code == 2
    assert "removes 2 events of 2 subjects (2 of whom leave the cohort)" in done.err
    assert "nothing was removed: add --yes" in done.err
    assert values(ward) == before
    assert polyclinic("remove", ward, "--source", "labs.csv", "--json").code == 2


def test_an_answer_is_asked_for_at_a_terminal(ward, polyclinic, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for answer, left in (("n", 4), ("y", 2)):
        monkeypatch.setattr("typer.confirm", lambda *_, abort, err, answer=answer: answer == "y" or _abort())
        polyclinic("remove", ward, "--source", "labs.csv")
        assert len(values(ward)) == left


def _abort():
    import typer

    raise typer.Abort


def test_a_source_and_a_subject_are_removed(ward, polyclinic):
    done = polyclinic("remove", ward, "--source", "labs.csv", "--yes")
    assert (done.code, "removed 2 events of 2 subjects" in done.out) == (0, True)
    assert "train them again" in done.out
    assert values(ward) == [("P3", 3.3), ("P4", 4.4)]
    done = polyclinic("remove", ward, "--subject", "P3", "--yes", "--json")
    assert done.json["removed"] == {"events": 1, "subjects": 1, "gone_subjects": 1, "blobs": 0, "labels": 0}
    assert values(ward) == [("P4", 4.4)]


def test_refusals(ward, polyclinic):
    assert "remove one kind at a time" in polyclinic("remove", ward, "--source", "a", "--blob", "b").usage
    assert "choose from labs.csv, more.csv" in polyclinic("remove", ward, "--source", "table", "--yes").refusal
    assert "no such subject" in polyclinic("remove", ward, "--subject", "P9", "--yes").refusal
    assert "names such a blob" in polyclinic("remove", ward, "--blob", "0" * 64, "--yes").refusal


def test_a_corrected_value_is_reported_and_replaced(ward, polyclinic):
    write(ward.parent / "labs.csv", ("P1", "11"), ("P2", "2.2"))
    done = ingest(polyclinic, "labs.csv")
    assert done.code == 0
    assert "warning: 1 × subject, time and code at which the cohort holds another value" in done.out
    assert "warning: 1 × event that this source contained before and no longer contains" in done.out  # P3
    assert "--replace" in done.out
    assert values(ward) == [("P1", 1.1), ("P1", 11), ("P2", 2.2), ("P3", 3.3), ("P4", 4.4)]
    done = ingest(polyclinic, "labs.csv", "--replace")
    assert "replaced labs.csv: 1 events that it no longer contains are gone" in done.out
    assert "warning" not in done.out
    assert values(ward) == [("P1", 11), ("P2", 2.2), ("P3", 3.3), ("P4", 4.4)]
    fingerprint = Cohort.open(ward).fingerprint
    report = ingest(polyclinic, "labs.csv", "--replace", "--json").json
    assert (report["name"], report["removed"], report["warnings"]) == ("labs.csv", 0, {})
    assert Cohort.open(ward).fingerprint == fingerprint


def test_a_corrected_file_of_another_name_is_reported_and_takes_the_name(ward, polyclinic):
    write(ward.parent / "new" / "labs.csv", ("P1", "11"), ("P2", "2.2"), ("P3", "3.3"))
    done = ingest(polyclinic, "new/labs.csv", "--replace")
    assert "1 × source that the cohort did not hold before, so that nothing was replaced" in done.out
    assert "1 × subject, time and code at which the cohort holds another value" in done.out
    assert polyclinic("remove", ward, "--source", "new/labs.csv", "--yes").code == 0
    assert "warning" not in ingest(polyclinic, "new/labs.csv", "--replace", "--as", "labs.csv").out
    assert values(ward) == [("P1", 11), ("P2", 2.2), ("P3", 3.3), ("P4", 4.4)]


def test_a_damaged_image_is_mended_by_ingesting_it_again(tmp_path, polyclinic, monkeypatch):
    """Damage that leaves the size as it was, too."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(film()).save(tmp_path / "film.png")
    (tmp_path / "table.csv").write_text("patient,file\nP1,film.png\n")
    (tmp_path / "m.yaml").write_text("subject: patient\ncolumns: {file: {code: IMAGE//CR//PA, type: image}}\n")
    assert ingest(polyclinic, "table.csv").code == 0
    [blob] = (tmp_path / "c" / "blobs").iterdir()
    content = blob.read_bytes()
    for damage in (content[:-1], bytes(len(content)), content + b"x"):
        blob.write_bytes(damage)
        assert ingest(polyclinic, "table.csv").code == 0
        assert blob.read_bytes() == content
    assert Cohort.open("c").events().select(pl.len()).collect().item() == 1


def test_corrected_facts_of_the_person_are_not_rejected_for_what_they_correct(tmp_path, polyclinic, monkeypatch):
    """A sex and a date of birth that this source stated before are replaced, too; those of another source stay."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.yaml").write_text(
        "subject: patient\nbirth: born\ncolumns: {sex: {code: DEMOGRAPHIC//sex, type: categorical}}\n"
    )
    (tmp_path / "a.csv").write_text("patient,sex,born\nP1,female,1950-01-02\nP2,male,1960-01-02\n")
    (tmp_path / "b.csv").write_text("patient,sex,born\nP2,male,1960-01-02\n")
    for table in ("a.csv", "b.csv"):
        assert ingest(polyclinic, table).code == 0
    (tmp_path / "a.csv").write_text("patient,sex,born\nP1,male,1951-01-02\nP2,female,1960-01-02\n")
    report = ingest(polyclinic, "a.csv", "--replace", "--json").json
    assert report["rejected"] == 1
    cohort = Cohort.open("c")
    events = cohort.events().collect().join(cohort.subjects.select("subject_id", "source_id"), on="subject_id")
    facts = events.select("source_id", pl.coalesce("text_value", pl.col("time").dt.year().cast(pl.String)))
    assert sorted(facts.rows()) == [("P1", "1951"), ("P1", "male"), ("P2", "1960"), ("P2", "male")]


def test_the_only_source_can_be_replaced_with_another_clock(ward, polyclinic):
    """A forgotten zone is a mistake that is corrected; other sources keep their clock."""
    refused = ingest(polyclinic, "labs.csv", "--zone", "Europe/Berlin", "--replace")
    assert refused.code == 2
    assert Cohort.open(ward).clock == "local"
    assert polyclinic("remove", ward, "--source", "more.csv", "--yes").code == 0
    assert ingest(polyclinic, "labs.csv", "--zone", "Europe/Berlin", "--replace").code == 0
    cohort = Cohort.open(ward)
    assert cohort.clock == "UTC"
    assert cohort.events().collect()["time"].dt.hour().unique().to_list() == [7]
    assert polyclinic("remove", ward, "--source", "labs.csv", "--yes").code == 0
    assert Cohort.open(ward).clock is None

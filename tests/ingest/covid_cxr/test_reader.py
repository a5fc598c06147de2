"""The COVID-19 image collection: images, notes without the diagnosis, and outcomes after all inputs."""

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from polyclinic.cohort import NOMINAL_ORIGIN
from polyclinic.ingest import IngestError, ingest
from polyclinic.ingest.formats.images import read_grey
from tests.images import film

COLUMNS = (
    *("patientid", "offset", "sex", "age", "finding", "survival", "went_icu", "temperature", "pO2_saturation"),
    *("neutrophil_count", "view", "modality", "location", "url", "license", "clinical_notes", "other_notes", "image"),
)


def row(**cells: str) -> dict[str, str]:
    return {"view": "PA", "modality": "X-ray", "image": "images/a.png", "finding": "COVID-19"} | cells


def collection(folder: Path, *rows: dict[str, str]) -> Path:
    """Write a collection of `rows` with three images."""
    (folder / "images").mkdir(parents=True)
    for name, grey in (("a", 10), ("b", 20), ("c", 30)):
        Image.fromarray(film(grey)).save(folder / "images" / f"{name}.png")
    table = pl.DataFrame([{column: cells.get(column, "") for column in COLUMNS} for cells in rows])
    table.write_csv(folder / "metadata.csv")
    return folder


def day(number: float) -> datetime:
    return NOMINAL_ORIGIN + timedelta(days=number)


def test_events_of_one_row(tmp_path, ingested):
    cells = {"offset": "3", "sex": "M", "age": "54.0", "survival": "Y", "went_icu": "N", "temperature": "38.5"}
    notes = {"clinical_notes": "Fever, COVID-19 positive.", "other_notes": "credit", "location": "Rome", "url": "u"}
    done = ingested("covid-cxr", collection(tmp_path / "source", row(patientid="17", **cells, **notes)))
    assert done.rejects == []
    assert {code: done.of("17", code) for code in set(done.events["code"])} == {
        "DEMOGRAPHIC//sex": [(None, "male")],
        "DEMOGRAPHIC//age//years": [(None, "54.0")],
        "IMAGE//CR//PA": done.of("17", "IMAGE//CR//PA"),
        "VITAL//temperature//Cel": [(day(3), "38.5")],
        "NOTE//clinical": [(day(3), "Fever, [diagnosis].")],
        "OUTCOME//finding": [(day(4), "COVID-19")],
        "OUTCOME//survival": [(day(4), "Y")],
        "OUTCOME//went_icu": [(day(4), "N")],
    }
    answers = done.events.filter(pl.col("code").str.starts_with("OUTCOME//")).select("code", "numeric_value")
    assert answers.drop_nulls().rows() == [("OUTCOME//survival", 1.0), ("OUTCOME//went_icu", 0.0)]
    assert done.of("17", "IMAGE//CR//PA")[0][0] == day(3)
    assert done.pixels("17", "IMAGE//CR//PA") == [film(10).tolist()]


def test_numeric_patient_ids_are_kept(tmp_path, ingested):
    done = ingested("covid-cxr", collection(tmp_path / "source", row(patientid="17"), row(patientid="331a")))
    ids = dict(done.cohort.subjects.select("source_id", "subject_id").rows())
    assert ids["17"] == 17
    assert ids["331a"] >= 2**62


def test_findings_of_all_rows_are_kept_in_time_order(tmp_path, ingested):
    rows = (
        row(patientid="1", offset="5", finding="COVID-19, ARDS", image="images/c.png"),
        row(patientid="1", offset="-2", finding="No Finding"),
        row(patientid="1", offset="5", finding="COVID-19", image="images/b.png", view="L"),
    )
    done = ingested("covid-cxr", collection(tmp_path / "source", *rows))
    assert done.of("1", "OUTCOME//finding") == [
        (day(6), "No Finding"),
        (day(6) + timedelta(minutes=1), "COVID-19, ARDS"),
        (day(6) + timedelta(minutes=2), "COVID-19"),
    ]
    assert [at for at, code in done.of("1") if code.startswith("IMAGE//")] == [day(-2), day(5), day(5)]


def test_missing_offset_is_that_of_the_previous_row(tmp_path, ingested):
    rows = (
        row(patientid="1", image="images/a.png"),
        row(patientid="1", offset="4", image="images/b.png"),
        row(patientid="2", offset="9", image="images/a.png"),
        row(patientid="1", image="images/c.png"),
    )
    done = ingested("covid-cxr", collection(tmp_path / "source", *rows))
    assert [at for at, code in done.of("1") if code.startswith("IMAGE//")] == [day(0), day(4), day(4)]


def test_words_of_all_labels_are_masked(tmp_path, ingested):
    rows = (row(patientid="1", clinical_notes="Signs of Hantavirus."), row(patientid="2", finding="Hantavirus"))
    done = ingested("covid-cxr", collection(tmp_path / "source", *rows))
    assert done.of("1", "NOTE//clinical") == [(day(0), "Signs of [diagnosis].")]


def test_unclear_outcomes_are_not_events(tmp_path, ingested):
    done = ingested("covid-cxr", collection(tmp_path / "source", row(patientid="1", finding="", survival="Unclear")))
    assert [code for _, code in done.of("1")] == ["IMAGE//CR//PA"]
    assert done.rejects == []


def test_folder_and_filename_replace_a_missing_image_column(tmp_path, ingested):
    source = collection(tmp_path / "source", row(patientid="1"))
    (source / "metadata.csv").write_text("patientid,finding,view,modality,folder,filename\n1,ARDS,AP,CT,images,b.png\n")
    assert ingested("covid-cxr", source / "metadata.csv").pixels("1", "IMAGE//CT//AP") == [film(20).tolist()]


REJECTED = {
    "no patient": ({"patientid": " "}, "no subject"),
    "an offset in words": ({"offset": "monday"}, "impossible date"),
    "an offset out of range": ({"offset": "1e9"}, "impossible date"),
    "not a number": ({"age": "old"}, "implausible value"),
    "infinite": ({"temperature": "inf"}, "implausible value"),
    "a fever of 390": ({"temperature": "390"}, "implausible value"),
    "an offset in part": ({"offset": "60+"}, "impossible date"),
    "an age in part": ({"age": "65+"}, "implausible value"),
    "an age below 0": ({"age": "-1"}, "implausible value"),
    "a number that only Python reads": ({"age": "6_5"}, "implausible value"),
    "Fahrenheit": ({"temperature": "101.3"}, "implausible value"),
    "an unknown sex": ({"sex": "X"}, "unknown category"),
    "an unknown outcome": ({"survival": "perhaps"}, "unknown category"),
    "a missing image": ({"image": "images/z.png"}, "missing file"),
    "an image outside the source": ({"image": "../outside.png"}, "path outside the source"),
    "a text file as image": ({"image": "images/notes.txt"}, "not a readable image"),
}


@pytest.mark.parametrize(("cell", "sex"), [("f", "female"), ("Male", "male"), ("M", "male"), ("female", "female")])
def test_sexes_are_read_in_usual_writings(cell, sex, tmp_path, ingested):
    done = ingested("covid-cxr", collection(tmp_path / "source", row(patientid="2", sex=cell)))
    assert done.of("2", "DEMOGRAPHIC//sex") == [(None, sex)]


def test_a_second_sex_is_rejected_by_line(tmp_path, ingested):
    rows = [row(patientid="2", sex=sex) for sex in ("M", "", "f", "M")]
    done = ingested("covid-cxr", collection(tmp_path / "source", *rows))
    assert done.of("2", "DEMOGRAPHIC//sex") == [(None, "male")]
    assert done.rejects == [("metadata.csv", 4, "conflicting sex")]


@pytest.mark.parametrize("case", REJECTED)
def test_invalid_cells_are_rejected_by_line(case, tmp_path, ingested):
    cells, reason = REJECTED[case]
    Image.new("L", (4, 4)).save(tmp_path / "outside.png")
    bad = row(**({"patientid": "2"} | cells))
    source = collection(tmp_path / "source", row(patientid="1"), bad, row(patientid="3"))
    (source / "images" / "notes.txt").write_text("not an image")
    done = ingested("covid-cxr", source)
    assert done.rejects == [("metadata.csv", 3, reason)]
    assert {"1", "3"} <= set(done.events["source_id"])
    assert not any(value in str(done.cohort.rejects.rows()) for value in cells.values() if len(value.strip()) > 3)


def test_malformed_lines_are_rejected(tmp_path, ingested):
    source = collection(tmp_path / "source", row(patientid="1"))
    with (source / "metadata.csv").open("ab") as file:
        file.write(b"2,too,few\n" + b"\xff" + b"," * 17 + b"\n3" + b"," * 14 + b'"broken\n')
    done = ingested("covid-cxr", source)
    assert [(line, reason) for _, line, reason in done.rejects] == [
        (3, "wrong number of columns"),
        (4, "not UTF-8 text"),
        (5, "quotes out of balance"),
    ]
    assert set(done.events["source_id"]) == {"1"}


@pytest.mark.parametrize("content", [None, b"", b"a,b\n1,2\n", b"\0\1\2"])
def test_other_files_are_an_error(content, tmp_path):
    (tmp_path / "source").mkdir()
    if content is not None:
        (tmp_path / "source" / "metadata.csv").write_bytes(content)
    with pytest.raises(IngestError):
        ingest("covid-cxr", tmp_path / "source", tmp_path / "cohort")


@pytest.mark.real_data
def test_real_collection(real_data, ingested):
    done = ingested("covid-cxr", real_data("covid_cxr"))
    counts = dict(done.events.group_by("code").len().rows())
    assert done.rejects == []
    assert (done.report.subjects, done.report.blobs, counts["OUTCOME//finding"]) == (156, 306, 311)
    views = {code: n for code, n in counts.items() if code.startswith("IMAGE//")}
    assert views == {"IMAGE//CR//PA": 178, "IMAGE//CR//AP_SUPINE": 69, "IMAGE//CR//AP": 32, "IMAGE//CR//L": 32}
    inputs = done.events.filter(~pl.col("code").str.starts_with("OUTCOME//"))
    known = inputs.group_by("source_id").agg(last=pl.col("time").max())
    answers = done.events.filter(pl.col("code").str.starts_with("OUTCOME//")).join(known, on="source_id")
    assert answers.select((pl.col("time") > pl.col("last")).all()).item()
    assert answers.get_column("source_id").n_unique() == 156
    assert not inputs.get_column("text_value").drop_nulls().str.contains("(?i)radiopaedia|courtesy|http|doi").any()

    expected = read_grey(real_data("covid_cxr") / "images" / "ARDSSevere_png.jpg").tolist()
    assert done.pixels("5", "IMAGE//CR//PA") == [expected]


def test_ids_and_words_for_nothing_are_read_as_in_tables(tmp_path, ingested):
    rows = [
        row(patientid="17.0", clinical_notes="n/a", finding="None"),
        row(patientid="<NA>"),
        row(patientid="1.7E+09"),
    ]
    done = ingested("covid-cxr", collection(tmp_path / "source", row(patientid="17", finding="COVID-19"), *rows))
    assert set(done.events["source_id"]) == {"17"}
    assert set(done.events["text_value"].drop_nulls()) == {"COVID-19"}
    assert {reason for *_, reason in done.rejects} >= {"no subject", "id that lost its form"}

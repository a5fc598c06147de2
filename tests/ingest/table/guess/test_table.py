"""A guessed mapping is valid, with comments on what to check."""

import pytest

from polyclinic.ingest import IngestError, Options, guess_mapping
from polyclinic.ingest.table.guess.outcome_names import is_death
from polyclinic.ingest.table.guess.roles import is_birth
from polyclinic.ingest.table.mapping import load_mapping
from polyclinic.ingest.table.reader import read
from polyclinic.progress import SILENT
from tests.ingest.sinks import RecordingSink, read_table

WIDE = """\
patient_id,taken_at,lactate,lactate_unit,sex,age,report,died,note_id
a1,03.02.2023 10:00,1.5,mmol/L,F,70,The heart is normal. No effusion is seen.,0,x1
a1,28.02.2023 11:00,18,mg/dL,F,70,A small nodule in the left upper lobe is seen.,0,x2
b2,03.12.2023 10:30,2.5,mmol/L,M,55,No focal consolidation and no pneumothorax.,1,x3
c3,04.12.2023 10:30,NA,,M,55,Right basal opacity; no pleural effusion today.,1,x4
"""


def guessed(tmp_path, text: str):
    table, mapping = tmp_path / "t.csv", tmp_path / "guess.yaml"
    table.write_text(text, encoding="utf-8")
    mapping.write_text(guess_mapping(table), encoding="utf-8")
    return load_mapping(mapping), mapping.read_text(encoding="utf-8")


def test_a_wide_table(tmp_path):
    mapping, text = guessed(tmp_path, WIDE)
    assert mapping.subject == "patient_id"
    assert (mapping.time.column, mapping.time.format) == ("taken_at", "%d.%m.%Y %H:%M")
    assert {name: (column.code, column.type) for name, column in mapping.columns.items()} == {
        "lactate": ("LAB//lactate//mmol/L", "numeric"),
        "sex": ("DEMOGRAPHIC//sex", "categorical"),
        "age": ("DEMOGRAPHIC//age//years", "numeric"),
        "report": ("NOTE//report", "text"),
        "died": ("OUTCOME//died", "label"),
    }
    assert mapping.columns["sex"].values == {"F": "female", "M": "male"}
    assert mapping.columns["lactate"].units.column == "lactate_unit"
    assert "other units need their factors: mg/dL" in text
    assert "# note_id: left out" in text


def test_a_guess_contains_no_values(tmp_path):
    _, text = guessed(tmp_path, WIDE)
    assert not [cell for cell in ("a1", "b2", "x1", "1.5", "heart", "70", "2023") if cell in text]


def test_a_guess_of_a_wide_table_is_usable(tmp_path):
    _, text = guessed(tmp_path, WIDE)
    kept = read_table(tmp_path / "t.csv", text)
    assert len(kept.events) == 4 * 5 - 2  # one cell is missing, one unit unknown
    assert kept.reasons == [(3, "unknown unit")]


def test_a_long_table(tmp_path):
    rows = [
        "1;0.5;HR;80;bpm",
        "1;0.5;creatinine;1.1;mg/dL",
        "2;1.5;HR;90;bpm",
        "2;2;rhythm;sinus;",
        "2;3;rhythm;sinus;",
    ]
    mapping, text = guessed(tmp_path, "subject;hours;parameter;value;unit\n" + "\n".join(rows))
    assert (mapping.time.column, mapping.time.unit) == ("hours", "hours")
    assert (mapping.long.code, mapping.long.value, mapping.long.unit) == ("parameter", "value", "unit")
    codes = {name: column.code for name, column in mapping.long.codes.items()}
    assert codes == {
        "HR": "VITAL//HR//bpm",
        "creatinine": "LAB//creatinine//mg/dL",
        "rhythm": "FINDING//rhythm",
    }
    kept = read_table(tmp_path / "t.csv", text)
    assert (len(kept.events), kept.rejects) == (5, [])


def test_ambiguous_date_formats_are_remarked(tmp_path):
    _, text = guessed(tmp_path, "id,date,x\n1,02/03/2023,5\n2,04/05/2023,6\n")
    assert 'format: "%d/%m/%Y"}  # or %m/%d/%Y? no cell decides' in text


def test_several_rows_without_a_time_are_remarked(tmp_path):
    mapping, text = guessed(tmp_path, "id,x\n1,5.5\n1,6.5\n")
    assert (mapping.time, mapping.unique) == (None, False)
    assert "is there no time?" in text


def test_images_and_second_dates(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    mapping, text = guessed(tmp_path, "id,seen,file,gone,discharge\n1,2023-01-01,a.png,b.jpg,2023-01-02\n")
    assert mapping.columns["file"].code == "IMAGE//file"
    assert "# gone: left out, files that are not in the table's folder" in text
    assert "# discharge: left out, a date" in text


COMMAS = "id;hours;crp;kind\n1;0,5;12,4;a\n1;1,25;1,0;b\n2;3;7;a\n2;4,75;0,25;b\n"


def test_decimal_commas_are_numbers(tmp_path):
    mapping, text = guessed(tmp_path, COMMAS)
    assert mapping.decimal == ","
    assert (mapping.time.column, mapping.time.unit) == ("hours", "hours")
    assert mapping.columns["crp"].type == "numeric"
    assert sorted(event[3] for event in read_table(tmp_path / "t.csv", text).events if "crp" in event[2]) == [
        0.25, 1, 7, pytest.approx(12.4),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "rows",
    [
        ["1;12,400;5", "2;1,000;6", "3;7,125;7"],  # may be thousands
        ["1;12,4;5.5", "2;1,5;6.5", "3;7,25;7.5"],  # also points: ambiguous
    ],
)
def test_ambiguous_commas_are_asked_for(tmp_path, rows):
    with pytest.raises(IngestError, match=r"^guess\.yaml line 2: decimal: \? is a question"):
        guessed(tmp_path, "\n".join(["id;platelets;crp", *rows, ""]))


@pytest.mark.parametrize("text", ["", "id,x\n", "id\n1\n", "\x89PNG\0\0\0\0"])
def test_tables_with_nothing_to_map_are_rejected(tmp_path, text):
    with pytest.raises(IngestError):
        guessed(tmp_path, text)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "subjects"), [("lifelines_ACTG175.csv", 2139), ("pbc2.csv", 312), ("support2.csv", 9105)]
)
def test_guesses_of_real_tables_are_usable(real_data, tmp_path, name, subjects):
    table = real_data("tabular") / name
    answered = guess_mapping(table).replace('values: "?"', "values: {0: female, 1: male}")
    (tmp_path / "guess.yaml").write_text(answered, encoding="utf-8")
    kept = RecordingSink()
    read(table, kept, Options(mapping=tmp_path / "guess.yaml"), SILENT)
    assert len({subject for frame in kept.frames for subject in frame.get_column("source_id")}) == subjects
    assert kept.rejects == []


@pytest.mark.parametrize(
    "name",
    [
        "dob", "birth_date", "DateOfBirth", "patient_dob", "Geburtsdatum", "geb", "dateofbirth", "DATEOFBIRTH",
        "birthdatetime", "BRTHDTC", "geb_datum", "Fecha de nacimiento", "fecha_nac", "date_naissance", "DDN",
        "Data di nascita", "data_nascimento", "geboortedatum", "Födelsedatum", "fødselsdato", "data urodzenia",
    ],
)  # fmt: skip
def test_a_date_of_birth_is_not_the_time_of_a_fact(name, tmp_path):
    rows = ["1,24.12.1950,03.02.2023,5.1", "1,24.12.1950,28.02.2023,6.2", "2,13.11.1960,04.02.2023,7.3"]
    mapping, text = guessed(tmp_path, f"patient_id,{name},taken_at,crp\n" + "\n".join(rows))
    assert (mapping.subject, mapping.time.column) == ("patient_id", "taken_at")
    assert (mapping.birth.column, mapping.birth.format) == (name, "%d.%m.%Y")
    assert list(mapping.columns) == ["crp"]
    assert read_table(tmp_path / "t.csv", text).rejects == []


@pytest.mark.parametrize("name", ["fecha_defuncion", "Fecha de fallecimiento", "date_deces", "Date de décès", "óbito"])
def test_a_date_of_death_in_another_language_is_not_the_time_of_a_fact(name, tmp_path):
    mapping, _ = guessed(tmp_path, f"patient_id,{name},prelevement,crp\n1,2023-04-01,2023-03-05,5\n2,,2023-03-06,6\n")
    assert mapping.time.column == "prelevement"
    assert "crp" in mapping.columns


@pytest.mark.parametrize("name", ["decessation", "predecessor", "habito", "birthweight", "gebaeude"])
def test_names_that_hold_part_of_such_a_word_are_of_neither(name):
    assert not is_birth(name)
    assert not is_death(name)


@pytest.mark.parametrize(
    "name", ["Familienname", "Patientenname", "forename", "Apellidos", "Prénom", "Cognome", "achternaam"]
)
def test_names_of_people_in_other_languages_are_left_out(name, tmp_path):
    rows = "".join(f"{row % 3},{'ABC'[row % 3]},2023-03-0{row},{row}\n" for row in range(1, 9))
    mapping, _ = guessed(tmp_path, f"patient_id,{name},taken_at,crp\n{rows}")
    assert list(mapping.columns) == ["crp"]


def test_a_table_of_only_births_is_mapped(tmp_path):
    mapping, _ = guessed(tmp_path, "patient_id,birth_date,note\n1,1950-12-24,\n2,1960-11-13,\n")
    assert (mapping.birth.column, mapping.time, mapping.columns) == ("birth_date", None, {})


def test_a_number_of_births_is_a_number(tmp_path):
    mapping, _ = guessed(tmp_path, "patient_id,birth_weight,year_of_birth\n1,3100,1950\n2,2900,1960\n")
    assert mapping.birth is None
    assert set(mapping.columns) == {"birth_weight", "year_of_birth"}


def test_missing_and_empty_tables_are_an_error(tmp_path):
    with pytest.raises(IngestError, match=r"t\.csv is not there: give the file of a table"):
        guess_mapping(tmp_path / "t.csv")
    with pytest.raises(IngestError, match=f"no table in {tmp_path.name}"):
        guess_mapping(tmp_path)
    (tmp_path / "Jane-Doe.csv").write_text("patient,lactate\n")
    (tmp_path / "later.csv").write_text("patient,lactate\n1,2\n")
    with pytest.raises(IngestError, match=r"^the first by name of 2 tables in .* has no rows"):
        guess_mapping(tmp_path)


def test_rows_that_cannot_be_read_are_said(tmp_path):
    (tmp_path / "t.csv").write_bytes("id,x\n1,5.5\n2,m\u00fcde\n3,6,7\n".encode("latin-1"))
    guess = guess_mapping(tmp_path / "t.csv")
    assert "# some rows cannot be read (not UTF-8 text: 1, wrong number of columns: 1), and will be rejected" in guess
    (tmp_path / "t.csv").write_bytes("id,x\n1,m\u00fcde\n".encode("latin-1"))
    with pytest.raises(IngestError, match=r"t\.csv has no rows \(not UTF-8 text: 1\)"):
        guess_mapping(tmp_path / "t.csv")

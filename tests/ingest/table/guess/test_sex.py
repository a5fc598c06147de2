"""Codes of the sex are asked for unless the name or the file says what they mean, and other columns are no sex."""

import doctest

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyclinic.ingest import IngestError
from polyclinic.ingest.table.guess import sex
from polyclinic.ingest.table.guess.lines import quoted
from tests.ingest.sinks import read_table
from tests.ingest.table.guess.tables import guess_of, line_of, mapping_of

relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
NAMES = [
    "sex",
    "SEXCD",
    "gender_code",
    "Gender",
    "patient_sex",
    "Geschlecht",
    "sexe",
    "sexo",
    "sesso",
    "geslacht",
    "genre",
    "género",
    "sex_id",
]
CODES = [["1", "2"], ["0", "1"], ["1", "2", "9"], ["0", "1", "2"], ["1.0", "2.0"], ["0"], ["A", "B"], ["-1", "1"]]


def table(name: str, cells: list[str]) -> str:
    rows = "".join(f"P{n};{cells[n % len(cells)]};{n}.5\n" for n in range(12))
    return f"patient_id;{name};crp\n{rows}"


@relaxed
@given(name=st.sampled_from(NAMES), codes=st.sampled_from(CODES), female=st.sampled_from([0, -1]))
def test_codes_are_asked_for_and_read_as_answered(tmp_path, name, codes, female):
    if name in ("genre", "género") and codes == ["A", "B"]:
        return
    guess = guess_of(tmp_path, table(name, codes))
    with pytest.raises(IngestError, match=rf"columns\.{name}\.values: \? is a question"):
        mapping_of(tmp_path, guess)
    meant = dict.fromkeys(codes, "other") | {codes[0]: "male"} | {codes[female]: "female"}
    answer = "{" + ", ".join(f"{quoted(text)}: {sex}" for text, sex in meant.items()) + "}"
    kept = read_table(tmp_path / "t.csv", guess.replace('values: "?"', f"values: {answer}"))
    stated = [event[-1] for event in kept.events if "DEMOGRAPHIC//sex" in event]
    assert sorted(stated) == sorted(meant[codes[n % len(codes)]] for n in range(12))
    assert kept.rejects == []


@pytest.mark.parametrize(
    ("name", "codes", "values"),
    [
        ("sex (1=male, 2=female)", ["1", "2"], {"1": "male", "2": "female"}),
        ("Sex (F=0; M=1)".replace(";", ","), ["0", "1"], {"0": "female", "1": "male"}),
        ("Geschlecht [1: männlich, 2: weiblich]", ["1.0", "2.0"], {"1.0": "male", "2.0": "female"}),
        ("gender_concept_id", ["8507", "8532"], {"8507": "male", "8532": "female"}),
    ],
)
def test_codes_that_the_name_explains_are_read(tmp_path, name, codes, values):
    column = mapping_of(tmp_path, guess_of(tmp_path, table(name, codes))).columns[name]
    assert (column.code, column.values) == ("DEMOGRAPHIC//sex", values)


@pytest.mark.parametrize("text", ["Unknown/Invalid", "not reported", "U", "unbekannt", "Prefer not to say"])
def test_a_text_that_states_no_sex_is_missing(tmp_path, text):
    column = mapping_of(tmp_path, guess_of(tmp_path, table("gender", ["Female", "Male", text]))).columns["gender"]
    assert (column.values, column.missing) == ({"Female": "female", "Male": "male"}, (text,))


def test_a_code_that_the_name_does_not_explain_is_asked_for(tmp_path):
    guess = guess_of(tmp_path, table("sex (1=male, 2=female)", ["1", "2", "3"]))
    assert "which is which?" in line_of(guess, '"sex (1=male, 2=female)"')


@relaxed
@given(
    name=st.sampled_from(["genre", "Genre", "genere", "género"]),
    kinds=st.lists(
        st.sampled_from(["rock", "pop", "jazz", "Klassik", "techno", "hip hop", "Escherichia", "other", "17", "42"]),
        min_size=2, max_size=6, unique=True,
    ).filter(lambda kinds: kinds != ["other"]),
)  # fmt: skip
def test_kinds_of_anything_are_no_sex(tmp_path, name, kinds):
    guess = guess_of(tmp_path, table(name, kinds))
    code = mapping_of(tmp_path, guess).columns[name].code
    assert code in (f"FINDING//{name}", f"LAB//{name}")


@pytest.mark.parametrize("name", ["male", "is_female", "sex_male", "Gender_F", "weiblich", "sex_m"])
def test_a_name_that_says_which_sex_is_meant_asks_nothing(tmp_path, name):
    guess = guess_of(tmp_path, table(name, ["0", "1"]))
    column = mapping_of(tmp_path, guess).columns[name]
    assert (column.code.split("//")[1], column.type) == (name, "numeric")
    assert "for results by sex write code: DEMOGRAPHIC//sex" in line_of(guess, name)


@pytest.mark.parametrize("name", ["sex_partners", "sex_hormone", "sexually_active", "same_sex", "sex_education"])
def test_what_is_beside_the_sex_is_another_thing(tmp_path, name):
    assert mapping_of(tmp_path, guess_of(tmp_path, table(name, ["0", "1", "2"]))).columns[name].type == "numeric"


def test_a_sex_of_a_long_table_is_asked_for(tmp_path):
    rows = "".join(f"P{n};2024-03-05;{'sex' if n % 2 else 'hr'};{n % 4 if n % 2 else 60 + n}\n" for n in range(24))
    guess = guess_of(tmp_path, f"patient_id;taken_at;parameter;value\n{rows}")
    with pytest.raises(IngestError, match=r"long\.codes\.sex\.values: \? is a question"):
        mapping_of(tmp_path, guess)


def test_docstrings():
    assert doctest.testmod(sex).failed == 0

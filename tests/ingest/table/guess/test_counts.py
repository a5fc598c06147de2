"""Numbers that count or measure are kept though their names end like those of identifiers, which are left out."""

import doctest

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyclinic.ingest.table.guess import counts, numbered
from tests.ingest.sinks import read_table
from tests.ingest.table.guess.tables import guess_of, line_of, mapping_of

relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
COUNTED = [
    "lymph_node", "cigarettes", "children", "lesion", "positive nodes", "drinks", "Zigaretten", "Kinder", "samples",
    "visits", "stents", "transfusion", "ganglions", "hijos", "figli", "MetastasesLiver",
]  # fmt: skip
NUMBERED = [
    "case", "room", "order", "bed", "Lab", "phone", "Auftrag", "Zimmer", "sample", "batch", "surgeon", "dossier",
    "chart", "visit", "series", "account", "S", "Sr",
]  # fmt: skip
ENDS = ["{}_number", "{}_no", "{} nr", "{}.no", "{}_Nummer", "{}_NBR", "{} No.", "{}-Nr.", "{} #"]
LENGTHS = ["stay", "Stay", "hospital_stay", "icu_stay", "icustay"]


def table(name: str, cells: list[str], subjects: int = 1000, header: str = "patient_id") -> str:
    """Return a table of a column, with a subject in each row."""
    rows = "".join(f"P{n % subjects},2024-03-0{n // subjects + 1},{text},{n}.5\n" for n, text in enumerate(cells))
    return f"{header},taken_at,{name},crp\n{rows}"


@relaxed
@given(
    name=st.sampled_from(COUNTED),
    end=st.sampled_from(ENDS),
    numbers=st.lists(st.integers(0, 30), min_size=8, max_size=60).filter(lambda numbers: len(set(numbers)) > 2),
)
def test_a_count_is_a_number(tmp_path, name, end, numbers):
    column = end.format(name)
    mapping = mapping_of(tmp_path, guess_of(tmp_path, table(column, list(map(str, numbers)))))
    unique = len(set(numbers)) == len(numbers)
    if not unique:
        assert mapping.columns[column].type == "numeric"
        assert len(read_table(tmp_path / "t.csv", (tmp_path / "guess.yaml").read_text()).events) == 2 * len(numbers)
    assert mapping.subject == "patient_id"


@relaxed
@given(
    name=st.sampled_from(NUMBERED),
    end=st.sampled_from(ENDS),
    numbers=st.lists(st.integers(0, 30), min_size=8, max_size=60),
)
def test_a_number_of_what_is_numbered_is_an_identifier(tmp_path, name, end, numbers):
    column = end.format(name)
    mapping = mapping_of(tmp_path, guess_of(tmp_path, table(column, list(map(str, numbers)))))
    assert (mapping.subject, list(mapping.columns)) == ("patient_id", ["crp"])


@pytest.mark.parametrize(
    "name",
    [
        "N° dossier",
        "nº cama",
        "Número de historia",
        "numero_chambre",
        "Zimmernummer",
        "Auftragsnummer",
        "bettnr",
        "Nro. orden",
    ],
)
def test_a_sign_for_a_number_before_what_is_numbered_makes_an_identifier(tmp_path, name):
    mapping = mapping_of(tmp_path, guess_of(tmp_path, table(name, list("1223334567"))))
    assert (mapping.subject, list(mapping.columns)) == ("patient_id", ["crp"])


@relaxed
@given(
    name=st.sampled_from([end.format(name) for end in ENDS for name in COUNTED] + LENGTHS),
    start=st.integers(1_000, 10**7),
    steps=st.lists(st.integers(1, 10**5), min_size=20, max_size=40),
)
def test_numbers_of_one_subject_each_are_identifiers(tmp_path, name, start, steps):
    numbers = [str(start + sum(steps[:n])) for n in range(len(steps))]
    mapping = mapping_of(tmp_path, guess_of(tmp_path, table(name, numbers)))
    assert (mapping.subject, list(mapping.columns)) == ("patient_id", ["crp"])


@relaxed
@given(
    name=st.sampled_from(LENGTHS),
    days=st.lists(st.sampled_from([1, 2, 3, 5, 8, 13, 40]), min_size=8, max_size=40).filter(
        lambda days: len(set(days)) > 2 and len(days) > 3 * len(set(days)) / 2
    ),
    fraction=st.booleans(),
    discharge=st.booleans(),
)
def test_a_length_of_stay_beside_an_id_is_an_outcome(tmp_path, name, days, fraction, discharge):
    text = table(name, [f"{day}{'.25' if fraction else ''}" for day in days])
    if discharge:
        text = "\n".join(f"{row},{'2024-04-01' if n else 'dischtime'}" for n, row in enumerate(text.splitlines()))
    column = mapping_of(tmp_path, guess_of(tmp_path, text)).columns[name]
    assert (column.code, column.type, column.has_own_time) == (f"OUTCOME//{name}", "label", discharge)


@pytest.mark.parametrize("name", ["icu_stay_type", "stay_in_icu"])
@pytest.mark.parametrize("cells", [["ward", "unit", "clinic"], ["yes", "no"]])
def test_texts_of_a_stay_are_outcomes_only_if_they_say_yes_or_no(tmp_path, name, cells):
    mapping = mapping_of(tmp_path, guess_of(tmp_path, table(name, cells * 6)))
    assert mapping.columns[name].code.startswith("OUTCOME" if "yes" in cells else "FINDING")


@pytest.mark.parametrize("name", LENGTHS)
def test_the_number_of_a_patients_stay_is_no_length(tmp_path, name):
    numbers = [str(n // 10 + 1) for n in range(30)]
    mapping = mapping_of(tmp_path, guess_of(tmp_path, table(name, numbers, subjects=10)))
    assert list(mapping.columns) == ["crp"]


@pytest.mark.parametrize("name", LENGTHS)
def test_lengths_of_stay_are_not_the_subject_of_rows_with_an_id(tmp_path, name):
    rows = "".join(f"{n},{n % 5 + 1},{50 + n}\n" for n in range(30))
    guess = guess_of(tmp_path, f"id,{name},age\n{rows}")
    assert line_of(guess, "subject:").startswith('subject: "?"')
    assert name in line_of(guess, "subject:")


@pytest.mark.parametrize("cells", [["0", "1"], ["no", "yes"]])
def test_answers_under_such_a_name_are_kept(tmp_path, cells):
    mapping = mapping_of(tmp_path, guess_of(tmp_path, table("smoker_no", cells * 10)))
    assert mapping.columns["smoker_no"].code == "FINDING//smoker_no"


def test_large_counts_are_those_that_subjects_share(tmp_path):
    counted = [str(250 + 50 * (n % 30)) for n in range(90)]
    mapping = mapping_of(tmp_path, guess_of(tmp_path, table("cd4_number", counted)))
    assert "cd4_number" in mapping.columns


def test_the_numbers_of_rows_are_no_counts(tmp_path):
    mapping = mapping_of(tmp_path, guess_of(tmp_path, table("lesion_no", [str(n // 5 + 1) for n in range(15)], 5)))
    assert list(mapping.columns) == ["crp"]


def test_docstrings():
    assert doctest.testmod(counts).failed + doctest.testmod(numbered).failed == 0

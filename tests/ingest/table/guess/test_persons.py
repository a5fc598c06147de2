"""Names of people are never an input; the column called name of a long table is the parameter."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyclinic.ingest.table.guess.lines import quoted
from polyclinic.ingest.table.guess.persons import is_of_a_person
from tests.ingest.sinks import read_table
from tests.ingest.table.guess.tables import guess_of, line_of, mapping_of

relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
BARE = ["Name", "name", "NAME", "Names", "nom", "Nombre", "nome", "Naam"]
OF_PEOPLE = [
    "Patientenname", "patient_name", "PatientName", "Patient's name", "Name des Patienten", "nom du patient",
    "nom_patient", "nombre_paciente", "Nombre del paciente", "nome do paciente", "Nome paziente", "naam patiënt",
    "Nachname", "LASTNAME", "NameLast", "full name", "nom de naissance", "Prénom", "apellidos", "Apellido_1", "cognome",
    "doctor_name", "Arzt", "attending physician", "surgeon", "contact_name", "mother's name", "initials", "teléfono",
    "indirizzo", "Anschrift", "DNI", "codice_fiscale",
]  # fmt: skip
OTHERS = [
    "drug_name", "test_name", "Medikamentenname", "nom_medicament", "hospital_name", "nominal", "phénomène", "unnamed",
    "renamed", "nombre_hijos", "nomogram", "doctor_visits", "family_history", "genome",
]  # fmt: skip
FIRST, LAST = ["Anna", "José", "Li", "Zoë"], ["Müller", "O'Neill", "García López", "Nguyen", "de Vries"]


@relaxed
@given(
    names=st.lists(st.sampled_from(BARE + OF_PEOPLE), min_size=1, max_size=3, unique_by=str.lower),
    people=st.lists(st.tuples(st.sampled_from(FIRST), st.sampled_from(LAST)), min_size=2, max_size=8),
    form=st.sampled_from(["{0} {1}", "{1} {0}", "{1}"]),
    rows=st.integers(1, 4),
)
def test_names_of_people_are_never_an_input(tmp_path, names, people, form, rows):
    lines = [
        ",".join([f"P{n}", f"2024-03-0{row + 1}", *[form.format(*person)] * len(names), f"{n + row}.5"])
        for n, person in enumerate(people)
        for row in range(rows)
    ]
    guess = guess_of(tmp_path, "\n".join([",".join(["patient_id", "taken_at", *names, "value"]), *lines, ""]))
    mapping = mapping_of(tmp_path, guess)
    assert (list(mapping.columns), mapping.long) == (["value"], None)
    for name in names:
        assert "left out, as it identifies people" in line_of(guess, f"# {quoted(name)}:")
    assert not [text for event in read_table(tmp_path / "t.csv", guess).events for text in event if text in LAST]


@pytest.mark.parametrize("name", OTHERS)
def test_other_names_are_kept(tmp_path, name):
    assert not is_of_a_person(name)
    rows = "".join(f"P{n},2024-03-05,{'ab'[n % 2]}\n" for n in range(10))
    assert list(mapping_of(tmp_path, guess_of(tmp_path, f"patient_id,taken_at,{name}\n{rows}")).columns) == [name]


@relaxed
@given(
    name=st.sampled_from(BARE),
    parameters=st.lists(st.sampled_from(["HR", "Kreatinin", "CRP", "Kalium"]), min_size=2, unique=True),
    subjects=st.integers(1, 5),
    unit=st.booleans(),
)
def test_a_name_that_differs_within_subjects_is_the_parameter(tmp_path, name, parameters, subjects, unit):
    rows = [
        f"P{n},2024-03-05,{parameter},{n + 1}.5{',mg/L' if unit else ''}"
        for n in range(subjects)
        for parameter in parameters * 2
    ]
    header = f"patient_id,taken_at,{name},value{',unit' if unit else ''}"
    guess = guess_of(tmp_path, "\n".join([header, *rows, ""]))
    mapping = mapping_of(tmp_path, guess)
    assert (mapping.long.code, mapping.long.value) == (name, "value")
    assert (set(mapping.long.codes), mapping.columns) == (set(parameters), {})
    assert len(read_table(tmp_path / "t.csv", guess).events) == len(rows)


def test_names_beside_parameters_are_left_out(tmp_path):
    rows = "".join(f"P{n % 3},{'ABC'[n % 3]}nna,2024-03-05,{'ab'[n % 2]},{n + 1}.5\n" for n in range(12))
    guess = guess_of(tmp_path, f"patient_id,name,taken_at,test,value\n{rows}")
    assert mapping_of(tmp_path, guess).long.code == "test"
    assert "name" in line_of(guess, "# left out, as each row is one value")


def test_a_parameter_of_names_is_ignored(tmp_path):
    rows = "".join(f"P{n},2024-03-05,Patient name,{'AB'[n % 2]}nna\nP{n},2024-03-05,HR,{60 + n}\n" for n in range(6))
    guess = guess_of(tmp_path, f"patient_id,taken_at,parameter,value\n{rows}")
    assert mapping_of(tmp_path, guess).long.ignore == ("Patient name",)
    kept = read_table(tmp_path / "t.csv", guess)
    assert ({event[2] for event in kept.events}, kept.rejects) == ({"VITAL//HR//bpm"}, [])


def test_a_number_called_nombre_is_a_number(tmp_path):
    mapping = mapping_of(tmp_path, guess_of(tmp_path, "patient_id,taken_at,nombre\n1,2024-03-05,5\n2,2024-03-06,5\n"))
    assert mapping.columns["nombre"].type == "numeric"


@pytest.mark.parametrize("name", ["DNI", "mobile", "phone"])
@pytest.mark.parametrize("answers", [("0", "1"), ("no", "yes")])
def test_answers_identify_nobody(tmp_path, name, answers):
    mapping = mapping_of(tmp_path, guess_of(tmp_path, f"patient,{name}\n1,{answers[0]}\n2,{answers[1]}\n3,\n"))
    assert mapping.columns[name].code == f"FINDING//{name}"

"""Weight, height, age and temperature have the unit that their cells can have, and foreign names need such cells."""

import doctest

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyclinic.ingest.table.guess import measures
from tests.ingest.table.guess.tables import guess_of, line_of, mapping_of

relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
WEIGHTS = ["weight", "Gewicht", "Körpergewicht", "poids", "Peso", "lichaamsgewicht"]
HEIGHTS = ["height", "Größe", "Groesse", "taille", "talla", "altezza", "estatura", "Altura", "lengte"]
AGES = ["age", "Alter", "edad", "eta", "età", "Età", "idade", "leeftijd"]
#: Numbers that such a name has in each unit; others have no unit.
NUMBERS = {
    ("VITAL", "kg"): (WEIGHTS, st.floats(35, 180).map("{:.1f}".format)),
    ("VITAL", "g"): (WEIGHTS, st.integers(600, 5_000).map(str)),
    ("DEMOGRAPHIC", "cm"): (HEIGHTS, st.integers(140, 205).map(str)),
    ("DEMOGRAPHIC", "m"): (HEIGHTS, st.floats(1.4, 2.05).map("{:.2f}".format)),
    ("DEMOGRAPHIC", "years"): (AGES, st.integers(0, 110).map(str)),
    ("VITAL", "C"): (["temperature", "Temperatur"], st.floats(34, 42).map("{:.1f}".format)),
    ("VITAL", "F"): (["temperature", "Temperatur"], st.floats(94, 107).map("{:.1f}".format)),
}
#: Numbers that are no measure of this name.
OTHERS = [
    ("eta", st.floats(-3, 1).map("{:.3f}".format)),
    ("eta", st.integers(1_000, 9_000).map(str)),
    ("Größe", st.floats(1, 35).map("{:.1f}".format)),
    ("taille_tumeur", st.integers(90, 200).map(str)),
    ("tour_de_taille", st.integers(90, 140).map(str)),
    ("peso", st.integers(20_000, 900_000).map(str)),
    ("talla", st.floats(5, 30).map("{:.1f}".format)),
    ("peso_libras", st.integers(130, 220).map(str)),
    ("weight_lb", st.integers(130, 220).map(str)),
    ("height_in", st.integers(58, 76).map(str)),
    ("Gewicht_Plazenta", st.integers(450, 700).map(str)),
]


def table(name: str, cells: list[str]) -> str:
    rows = "".join(f"P{n};2024-03-05;{text}\n" for n, text in enumerate(cells))
    return f"patient_id;taken_at;{name}\n{rows}"


@relaxed
@given(measure=st.sampled_from(sorted(NUMBERS)), data=st.data())
def test_a_measure_has_its_kind_and_the_unit_of_its_cells(tmp_path, measure, data):
    names, numbers = NUMBERS[measure]
    name = data.draw(st.sampled_from(names))
    cells = data.draw(st.lists(numbers, min_size=8, max_size=20, unique=True))
    guess = guess_of(tmp_path, table(name, cells))
    kind, called, unit = mapping_of(tmp_path, guess).columns[name].code.split("//")
    assert (kind, unit) == measure
    assert called == ("age" if name in AGES and name != "age" else name)
    assert f"is it in {unit}?" in guess


@relaxed
@given(other=st.sampled_from(OTHERS), data=st.data())
def test_numbers_that_cannot_be_the_measure_are_another(tmp_path, other, data):
    name, numbers = other
    cells = data.draw(st.lists(numbers, min_size=8, max_size=20, unique=True))
    column = mapping_of(tmp_path, guess_of(tmp_path, table(name, cells))).columns[name]
    assert (column.unit, column.type) == ("", "numeric")


@relaxed
@given(
    name=st.sampled_from(["weight", "height", "age", "temperature"]),
    cells=st.lists(st.integers(10_000, 90_000).map(str), min_size=8, max_size=20, unique=True),
)
def test_numbers_of_no_known_unit_are_asked_for(tmp_path, name, cells):
    guess = guess_of(tmp_path, table(name, cells))
    assert mapping_of(tmp_path, guess).columns[name].unit == ""
    assert line_of(guess, name).endswith("# unit?")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("apache_2_diagnosis", "DIAGNOSIS"), ("d1_temp", "VITAL"), ("score_2", "SCORE"), ("h1_glucose_3", "LAB")],
)
def test_other_names_with_digits_keep_their_kind(tmp_path, name, kind):
    guess = guess_of(tmp_path, table(name, [str(100 + 3 * n) for n in range(12)]))
    assert mapping_of(tmp_path, guess).columns[name].code.startswith(f"{kind}//{name}")


def test_heights_that_may_be_inches_have_no_unit(tmp_path):
    guess = guess_of(tmp_path, table("height", [str(n) for n in range(58, 76)]))
    assert mapping_of(tmp_path, guess).columns["height"].code == "DEMOGRAPHIC//height"


def test_a_stated_unit_comes_before_the_cells(tmp_path):
    guess = guess_of(tmp_path, table("Größe (m)", ["1.60", "1.71", "1.83", "1.75"]))
    assert mapping_of(tmp_path, guess).columns["Größe (m)"].code == "DEMOGRAPHIC//Größe//m"


@pytest.mark.parametrize(("cells", "code"), [("{} kg", "VITAL//Gewicht//kg"), ("{} cm", "DEMOGRAPHIC//Größe//cm")])
def test_units_in_the_cells(tmp_path, cells, code):
    name, start = code.split("//")[1], 60 if "kg" in cells else 160
    guess = guess_of(tmp_path, table(name, [cells.format(start + n) for n in range(12)]))
    assert mapping_of(tmp_path, guess).columns[name].code == code


def test_two_ages_keep_their_names(tmp_path):
    rows = "".join(f"P{n};2024-03-05;{40 + n};{41 + n}\n" for n in range(9))
    columns = mapping_of(tmp_path, guess_of(tmp_path, f"patient_id;taken_at;età;edad\n{rows}")).columns
    assert {column.code for column in columns.values()} == {"DEMOGRAPHIC//età//years", "DEMOGRAPHIC//edad//years"}


def test_docstrings():
    assert doctest.testmod(measures).failed == 0

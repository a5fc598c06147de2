"""Errors in mappings are reported with line, key and choices."""

import pytest

from polyclinic.ingest import IngestError
from polyclinic.ingest.table.mapping import TableMapping, load_mapping

GOOD = """\
subject: id
time: {column: at, format: "%d.%m.%Y"}
columns:
  sex: {code: DEMOGRAPHIC//sex, type: categorical, values: {NO: norwegian, 1: one}, time: null}
  lab: {code: LAB//x//mmol/L, type: numeric, units: {column: u, mg/dL: 0.5}}
missing: [NA, -1, null, ""]
"""


@pytest.fixture
def load(tmp_path):
    def from_text(text: str) -> TableMapping:
        (tmp_path / "m.yaml").write_text(text, encoding="utf-8")
        return load_mapping(tmp_path / "m.yaml")

    return from_text


def test_scalars_are_text(load):
    mapping = load(GOOD)
    assert mapping.columns["sex"].values == {"NO": "norwegian", "1": "one"}
    assert mapping.missing == ("NA", "-1", "null", "")
    assert mapping.columns["lab"].units.factors["mg/dL"].factor == 0.5
    assert mapping.columns["lab"].unit == "mmol/L"


def test_null_time_differs_from_a_missing_time(load):
    mapping = load(GOOD)
    assert mapping.columns["sex"].has_own_time
    assert not mapping.columns["lab"].has_own_time


def test_columns_used_by_a_mapping(load):
    assert load(GOOD).names() == {"id", "at", "sex", "lab", "u"}
    assert load("subject: id\nbirth: dob\n").names() == {"id", "dob"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("subject: id\n", "", "line 1: subject: Field required"),
        (
            "subject:",
            "subjekt:",
            "line 1: subjekt: unknown key: choose from birth, columns, decimal, encoding, long",
        ),
        ("format:", "fromat:", "line 2: time.fromat: unknown key: choose from column, earliest, format, latest, unit"),
        ("%d.%m.%Y", "%d.%m", "line 2: time.format: not a date format"),
        ("%d.%m.%Y", "%Q", "line 2: time.format: %Q is not understood: use %Y, %m, %d"),
        ("%d.%m.%Y", "%d.%m.%y", "line 2: time: 45 may be 1945 or 2045: give latest"),
        ('format: "%d.%m.%Y"', "unit: fortnights", "line 2: time.unit: Input should be 'seconds', 'minutes', 'hours'"),
        ('at, format: "%d.%m.%Y"', "at, format: '%Y-%m-%d', unit: days", "line 2: time: give either a format"),
        ("categorical", "category", "line 4: columns.sex.type: Input should be 'numeric', 'categorical', 'text'"),
        (
            "DEMOGRAPHIC//sex",
            "DEMO//sex",
            "line 4: columns.sex: code must be KIND//NAME or KIND//NAME//UNIT, with KIND",
        ),
        ("DEMOGRAPHIC//sex", "IMAGE//sex", "line 4: columns.sex: type image goes with kind IMAGE"),
        (
            "time: null",
            "tine: null",
            "line 4: columns.sex.tine: unknown key: choose from code, missing, not_missing, range, time",
        ),
        ("0.5", "half", "line 5: columns.lab.units.factors.mg/dL.factor: Input should be a valid number"),
        ("type: numeric", "type: text", "line 5: columns.lab: units is for type numeric only"),
        ("units: {column: u, mg/dL: 0.5}", "values: {low: tiny}", "line 5: columns.lab: values of a numeric column"),
        ("units: {column: u, mg/dL: 0.5}", "range: [9, 1]", "line 5: columns.lab: range must be"),
        ("missing:", "encoding: klingon\nmissing:", "line 6: encoding: unknown encoding"),
        ("missing:", "subject: no\nmissing:", "line 6: key 'subject' is there twice"),
        ("missing: [", "missing: [[", "not YAML"),
        (GOOD, "just a text", "line 1: a mapping is keys with values"),
        (GOOD, "subject: id", "line 1: nothing is mapped"),
        ("LAB//x//mmol/L", "MEDS_BIRTH", "line 5: columns.lab: a date of birth is not a fact of a column"),
        ("missing:", "birth: {column: dob, format: '%d.%m.%y'}\nmissing:", "line 6: birth: 45 may be 1945 or 2045"),
        (GOOD, "", "line 1"),
    ],
)
def test_errors_have_line_and_choices(load, old, new, message):
    assert old in GOOD
    with pytest.raises(IngestError) as error:
        load(GOOD.replace(old, new))
    assert str(error.value).startswith("m.yaml")
    assert message in str(error.value)


def test_several_errors_are_reported_together(load):
    with pytest.raises(IngestError) as error:
        load(GOOD.replace("categorical", "category").replace("0.5", "half"))
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == ["m.yaml line 4", "m.yaml line 5"]


def test_a_column_may_have_the_name_of_a_key(load):
    with pytest.raises(IngestError, match=r"columns\.time\.cod: unknown key: choose from code, missing"):
        load("subject: id\ncolumns:\n  time: {code: LAB//x, type: numeric, cod: 1}\n")


def test_yaml_aliases_are_supported(load):
    mapping = load("subject: id\ncolumns:\n  a: &same {code: LAB//x, type: numeric}\n  b: *same\n")
    assert mapping.columns["a"] == mapping.columns["b"]


def test_nested_aliases_do_not_grow_exponentially(load):
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(IngestError, match="line 2: a0: unknown key"):
        load("\n".join(["subject: id", "a0: &a0 [x]", *levels, "missing: *a11", ""]))


def test_a_missing_mapping_is_an_error(tmp_path):
    with pytest.raises(IngestError, match=r"mapping none\.yaml cannot be read"):
        load_mapping(tmp_path / "none.yaml")

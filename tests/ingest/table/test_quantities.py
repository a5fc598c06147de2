"""Bounds, flags and units beside a number are read; anything else is rejected, never another number."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.ingest.table.quantities import BOUNDED, FLAGGED, GRADE
from tests.ingest.sinks import read_table

MAPPING = "subject: id\nunique: false\ncolumns:\n  x: {code: LAB//x//mg/dL, type: numeric}\n"
BOUNDS = {
    "<": ["<", "LESS THAN", "less than", "below", "Under"],
    "<=": ["<=", "=<", "\u2264", "at most", "less than or equal to"],
    ">": [">", "Greater than", "above", "over", "more than"],
    ">=": [">=", "=>", "\u2265", "at least", "greater than or equal to"],
}
NUMBERS = st.decimals(0, 10**6, places=2).map(str) | st.integers(0, 10**6).map(str)
SPACES = st.sampled_from(["", " ", "  "])
FLAGS = st.sampled_from(
    ["*", "**", "\u2191", "\u2193", "!", " *", "(H)", " (L)", " H", " L", " HH", " A", " N", " HIGH"]
)


def read(tmp_path_factory, texts: list[str], mapping: str = MAPPING):
    folder = tmp_path_factory.mktemp("t")
    pl.DataFrame({"id": "1", "x": texts}).write_csv(folder / "t.csv", quote_style="always")
    return read_table(folder / "t.csv", mapping)


def single(text: str) -> float:
    return float(np.float32(text))


@given(
    number=NUMBERS,
    sign=st.sampled_from([(sign, text) for sign, texts in BOUNDS.items() for text in texts]),
    space=SPACES,
)
def test_a_bound_is_kept_with_its_number(tmp_path_factory, number, sign, space):
    kept = read(tmp_path_factory, [f"{sign[1]}{space}{number}", f"{sign[1]}{space}{number} mg/dl", number])
    bounded = (sign[0], single(number))
    assert [event[3] for event in kept.events].count(bounded) == 2
    assert single(number) in [event[3] for event in kept.events]
    assert kept.warnings == {f"column 'x': {BOUNDED}": 2}


@given(number=NUMBERS, flag=FLAGS)
def test_a_flag_is_left_out_and_counted(tmp_path_factory, number, flag):
    kept = read(tmp_path_factory, [number + flag, number])
    assert [event[3] for event in kept.events] == [single(number)] * 2
    assert kept.warnings == {f"column 'x': {FLAGGED}": 1}


@given(
    number=NUMBERS, unit=st.sampled_from(["mg/dL", "MG/DL", "mg / dl"]), space=SPACES, flag=st.sampled_from(["", " H"])
)
def test_the_units_of_the_mapping_are_read_in_the_cell(tmp_path_factory, number, unit, space, flag):
    kept = read(tmp_path_factory, [number + space + unit + flag])
    assert [event[3] for event in kept.events] == [single(number)]
    converted = MAPPING.replace("LAB//x//mg/dL, type: numeric", "LAB//x//g/L, type: numeric, units: {mg/dL: 0.01}")
    kept = read(tmp_path_factory, [number + space + unit + flag], converted)
    assert [event[3] for event in kept.events] == [pytest.approx(0.01 * float(number))]


@pytest.mark.parametrize(
    "text",
    ["12.5 mg/L", "5 mmol", "45%", "7.2H", "1,234", "1 234.5", "1.234,5", "1'234", "12-15", "5 - 10", "1/2", "12:30",
     "5 or 6", "2024-03-05", "0x1A", "1_000", "1d3", "TRUE", "--5", "inf", "1e400", "<LOD", "< 5 or > 7", "<>5", "<",
     "5 <", "1.2.3", "\uff15", "\u00bd", "~5", "5 mg/dL 6", "5 mg/dL mg/dL", "approx. 5", "12 5", "5;6", "(5)", "5 M"],
)  # fmt: skip
def test_other_texts_are_rejected(tmp_path_factory, text):
    kept = read(tmp_path_factory, [text])
    assert kept.events == []
    assert len(kept.rejects) == 1
    assert kept.rejects[0].remedy.startswith("column 'x': ")


@given(text=st.text(st.sampled_from("0123456789.,<>=+-*eEHL mgdk/%' "), min_size=1, max_size=8))
def test_a_number_that_is_read_is_the_only_one_in_the_cell(tmp_path_factory, text):
    kept = read(tmp_path_factory, [text])
    for *_, value in kept.events:
        number = value[1] if isinstance(value, tuple) else value
        bare = text.upper().replace("MG/DL", "")
        digits = "".join(sign for sign in bare if sign in "0123456789.E+-").strip("E")
        assert single(digits.rstrip("+-")) == number


@pytest.mark.parametrize(
    "text", ["1+", "+", "++", "3 +", "trace", "TR", "neg", "Negative", "pos", "+/-", "-", "(+)", "Moderate"]
)
def test_grades_need_numbers_or_categories(tmp_path_factory, text):
    kept = read(tmp_path_factory, [text])
    assert (kept.events, [reject.reason for reject in kept.rejects]) == ([], [GRADE])
    assert "{neg: 0, trace: 0.5, 1+: 1}" in kept.rejects[0].remedy
    mapped = MAPPING.replace("type: numeric", f'type: numeric, values: {{"{text}": 0.5}}')
    assert [event[3] for event in read(tmp_path_factory, [text], mapped).events] == [0.5]
    categorical = MAPPING.replace("type: numeric", "type: categorical")
    assert [event[3] for event in read(tmp_path_factory, [text], categorical).events] == [text]


def test_thousands_signs_are_read_if_stated(tmp_path_factory):
    stated = MAPPING + 'thousands: ","\n'
    kept = read(tmp_path_factory, ["1,234", "<1,234.5", "1,23", "1,234 mg/dL"], stated)
    assert [event[3] for event in kept.events] == [("<", 1234.5), 1234.0, 1234.0]
    assert kept.reasons == [(4, "not a number")]


def test_two_units_must_agree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("t")
    (folder / "t.csv").write_text("id,x,u\n1,5 mg/dL,mg/dl\n1,6 mg/dL,g/L\n1,7 mg/dL,NA\n1,8,NULL\n1,9,g/l\n")
    mapping = MAPPING.replace("type: numeric", "type: numeric, units: {column: u, g/L: 100}")
    kept = read_table(folder / "t.csv", mapping)
    assert [event[3] for event in kept.events] == [5, 7, 900]
    assert kept.reasons == [(3, "unknown unit"), (5, "unknown unit")]


def test_a_factor_below_zero_turns_the_bound(tmp_path_factory):
    mapping = MAPPING.replace("mg/dL, type: numeric", "g, type: numeric, units: {mg/dL: {factor: -1, offset: 10}}")
    kept = read(tmp_path_factory, ["<4 mg/dL"], mapping)
    assert [event[3] for event in kept.events] == [(">", 6.0)]


def test_formula_errors_of_exported_sheets_are_rejected(tmp_path_factory):
    kept = read(tmp_path_factory, ["#DIV/0!", "#REF!", "#N/A"])
    assert kept.events == []
    assert kept.reasons == [(2, "formula error"), (3, "formula error")]


@pytest.mark.parametrize("column", ["FINDING//x, type: categorical", "NOTE//x, type: text", "OUTCOME//x, type: label"])
def test_formula_errors_are_no_category_note_or_label(column, tmp_path_factory):
    mapping = MAPPING.replace("LAB//x//mg/dL, type: numeric", column)
    assert mapping != MAPPING
    kept = read(tmp_path_factory, ["#REF!", "#NAME?", "#1 of 2", "#VALUE!"], mapping)
    assert [event[3] for event in kept.events] == ["#1 of 2"]
    assert kept.reasons == [(line, "formula error") for line in (2, 3, 5)]


def test_units_that_nothing_checks_are_warned_of(tmp_path_factory):
    folder = tmp_path_factory.mktemp("t")
    (folder / "t.csv").write_text("id,what,value,unit\n1,x,5,MG/DL\n1,x,6,mmol/L\n1,x,7,\n1,y,8,g\n")
    codes = "x: {code: LAB//x//mg/dL, type: numeric}, y: {code: LAB//y, type: numeric}"
    mapping = f"subject: id\nlong: {{code: what, value: value, unit: unit, codes: {{{codes}}}}}\n"
    kept = read_table(folder / "t.csv", mapping)
    assert [event[3] for event in kept.events] == [5, 6, 7, 8]
    assert list(kept.warnings.values()) == [1]

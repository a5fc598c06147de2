"""Spellings of a unit are one unit; another magnitude is another unit."""

import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.ingest.table.units import same_unit, spellings
from tests.ingest.sinks import read_table

UNITS = (
    "mg/dL", "mmol/L", "\u00b5mol/L", "ug/L", "ng/mL", "pg/mL", "U/L", "IU/mL", "mEq/L", "mmHg", "kPa", "kg", "cm",
    "10^9/L", "mL/min", "mL/min/1.73m2", "%", "bpm", "fL", "g/dL", "mosmol/kg", "\u00b0C", "cells/\u00b5L",
)  # fmt: skip
CHANGED = [
    ("mmol/L", "Mmol/L"),
    ("mg/dL", "Mg/dL"),
    ("g/L", "G/L"),
    ("mU/L", "MU/L"),
    ("mM", "mm"),
    ("mIU/L", "MIU/L"),
    ("mg/L", "ug/L"),
    ("mg/dL", "mg/L"),
    ("10^9/L", "109/L"),
    ("10^9/L", "10^6/L"),
    ("m", "M"),
]


@st.composite
def spelled(draw):
    """Draw a unit and another spelling of it."""
    unit = draw(st.sampled_from(UNITS))
    text = unit.replace("\u00b5", draw(st.sampled_from("\u00b5\u03bcu")))
    text = re.sub(
        "([/^])", lambda sign: draw(st.sampled_from(["", " "])) + sign[0] + draw(st.sampled_from(["", " "])), text
    )
    capital = not re.search(r"(^|/)\s*g(\s|/|$)", text) and draw(st.booleans())
    text = text.upper() if capital else draw(st.sampled_from([text, text.lower()]))
    return unit, draw(st.sampled_from(["", " ", "\u00a0"])) + text.replace("\u039c", "U") + draw(
        st.sampled_from(["", " "])
    )


@given(spelled())
def test_spellings_of_a_unit_are_the_same(pair):
    unit, text = pair
    assert same_unit(text) == same_unit(unit)
    assert spellings([text], [unit, "other"]) == {text: unit}


@pytest.mark.parametrize(("unit", "other"), CHANGED)
def test_another_magnitude_is_another_unit(unit, other):
    assert same_unit(unit) != same_unit(other)
    assert spellings([other], [unit]) == {}


def test_units_that_differ_by_case_only_are_told_apart_by_the_same_spelling():
    assert spellings(["mmol/l", "MMOL/L", "Mmol/l"], ["mmol/L", "MMOL/L"]) == {"MMOL/L": "MMOL/L"}
    assert spellings(["10\u2079/L", "\u00d710\u2079/l", "mmol\u00b7L\u207b\u00b9"], ["10^9/L", "mmol/L"]) == {
        "10\u2079/L": "10^9/L", "\u00d710\u2079/l": "10^9/L", "mmol\u00b7L\u207b\u00b9": "mmol/L",
    }  # fmt: skip


@given(pairs=st.lists(spelled(), min_size=1, max_size=4))
def test_a_table_converts_every_spelling(tmp_path_factory, pairs):
    folder = tmp_path_factory.mktemp("t")
    pl.DataFrame({"id": "1", "x": "2", "u": [text for _, text in pairs]}).write_csv(folder / "t.csv")
    factors = ", ".join(f'"{unit}": {number}' for number, unit in enumerate(UNITS, 2))
    mapping = (
        f"subject: id\nunique: false\ncolumns:\n  x: {{code: LAB//x, type: numeric, units: {{column: u, {factors}}}}}\n"
    )
    kept = read_table(folder / "t.csv", mapping)
    assert kept.rejects == []
    assert sorted(event[3] for event in kept.events) == sorted(2.0 * (2 + UNITS.index(unit)) for unit, _ in pairs)

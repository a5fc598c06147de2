"""A unit in a column's name is the unit of the code, in every way of writing it, and nothing else is."""

import doctest

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from polyclinic.ingest.table import units
from polyclinic.ingest.table.guess import header_units
from polyclinic.ingest.table.guess.header_units import unit_in_name
from polyclinic.ingest.table.units import known_unit, same_unit
from tests.ingest.sinks import read_table
from tests.ingest.table.guess.tables import guess_of, line_of, mapping_of

relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
NAMES = ["Kreatinin", "glucose", "S-CRP", "Hb", "free T4", "Creatinine (serum)", "Natrium", "x"]
#: Units with the ways of writing them, in brackets or after a comma, and with underscores only.
UNITS = {
    "mg/dL": (["mg/dL", "mg/dl", "MG/DL", "mg / dl"], ["mg_dl", "mg_dL", "mg_per_dl", "mgdl"]),
    "mmol/L": (["mmol/l", "mmol/L", "mmol·L⁻¹"], ["mmol_l", "MMOL_L", "mmol_per_L"]),
    "umol/L": (["µmol/l", "μmol/L", "umol/L"], ["umol_l", "µmol_l"]),
    "10^9/L": (["10^9/L", "10⁹/l", "x10*9/L"], ["10_9_l"]),
    "mmHg": (["mmHg", "mm[Hg]"], ["mmHg", "mmhg"]),
    "kg": (["kg", "Kg"], ["kg"]),
    "%": (["%"], ["pct", "percent", "%"]),
    "mIU/L": (["mIU/L"], ["miu_l", "mIU_L"]),
    "ng/mL": (["ng/mL", "ng/ml"], ["ng_ml", "ngml"]),
    "years": (["years", "Jahre", "yr"], ["years", "jahre", "yrs"]),
}
FORMS = ["{name} ({unit})", "{name}({unit})", "{name} [{unit}]", "{name}_({unit})", "{name} {{{unit}}}"]
OTHERS = [
    "lactate_min", "lactate_max", "vitamin_d", "hepatitis_c", "factor_v", "serum_mg", "arterial_ph", "avg_hr",
    "cigarettes_per_day", "chest_pa", "Drug(s)", "Vitamin (A)", "Hepatitis (C)", "mg_dl", "mmHg", "platelets_k_ul",
    "Kreatinin (Serum)", "Score (0-10)", "Leukozyten (Tsd)", "influenza_a", "type_2", "t_1", "bp_s", "INR",
    "x_min_h", "hr_bpm_min", "sbp_mmhg_min", "visits_last_year", "days_hospitalized_prior_year", "falls past 12 months",
    "pack_years",
]  # fmt: skip


@relaxed
@given(name=st.sampled_from(NAMES), unit=st.sampled_from(sorted(UNITS)), data=st.data())
def test_a_unit_in_the_name_is_the_unit_of_the_code(tmp_path, name, unit, data):
    bracketed, underscored = UNITS[unit]
    if data.draw(st.booleans()):
        header = data.draw(st.sampled_from(FORMS)).format(name=name, unit=data.draw(st.sampled_from(bracketed)))
    else:
        header = data.draw(st.sampled_from(["{}_{}", "{} {}"])).format(name, data.draw(st.sampled_from(underscored)))
    assume(header not in ("x_years", "x years"))  # of the same form as d.time: an outcome
    rows = "".join(f"P{n};2024-03-05;{n + 50}.5\n" for n in range(6))
    guess = guess_of(tmp_path, f"patient_id;taken_at;{header}\n{rows}")
    column = mapping_of(tmp_path, guess).columns[header]
    assert column.code.split("//", 1)[1] == f"{name.replace(' ', '_')}//{unit}"
    assert "the unit is in the name" in guess
    kept = read_table(tmp_path / "t.csv", guess)
    assert (len(kept.events), kept.rejects) == (6, [])


@pytest.mark.parametrize("name", OTHERS)
def test_other_names_state_no_unit(name):
    assert unit_in_name(name) is None


@pytest.mark.parametrize(
    ("name", "unit"), [("Temp [°C]", "C"), ("temp_c", "C"), ("Temperature (F)", "F"), ("age_years", "years")]
)
def test_temperatures_and_ages(name, unit):
    assert unit_in_name(name).unit == unit


def test_names_that_differ_in_their_unit_only_are_two_codes_and_others_keep_their_names(tmp_path):
    header = "patient_id,taken_at,glucose_mg_dl,glucose_mmol_l,CRP (mg/L),CRP [mg/l]"
    guess = guess_of(
        tmp_path, f"{header}\n" + "".join(f"P{n},2024-03-05,{n + 90},{n}.5,{n},{n + 1}.5\n" for n in range(6))
    )
    codes = [column.code for column in mapping_of(tmp_path, guess).columns.values()]
    assert codes == ["LAB//glucose//mg/dL", "LAB//glucose//mmol/L", "LAB//CRP_(mg/L)", "LAB//CRP_[mg/l]"]


def test_a_column_of_units_comes_before_the_name(tmp_path):
    rows = "".join(f"P{n},2024-03-05,{n}.5,mmol/L\n" for n in range(6))
    guess = guess_of(tmp_path, f"patient_id,taken_at,glucose_mg_dl,glucose_mg_dl_unit\n{rows}")
    assert mapping_of(tmp_path, guess).columns["glucose_mg_dl"].code == "LAB//glucose_mg_dl//mmol/L"


def test_units_in_the_names_of_parameters(tmp_path):
    names = ["Kreatinin (mg/dl)", "Kalium (mmol/l)"]
    rows = "".join(f"P{n // 2},2024-03-05,{names[n % 2]},{n}.5\n" for n in range(8))
    guess = guess_of(tmp_path, f"patient_id,taken_at,parameter,value\n{rows}")
    codes = {column.code for column in mapping_of(tmp_path, guess).long.codes.values()}
    assert codes == {"LAB//Kreatinin//mg/dL", "LAB//Kalium//mmol/L"}
    assert read_table(tmp_path / "t.csv", guess).rejects == []


def test_yes_and_no_have_no_unit(tmp_path):
    guess = guess_of(
        tmp_path, "patient_id,taken_at,dose_mg\n" + "".join(f"P{n},2024-03-05,{n % 2}\n" for n in range(6))
    )
    assert line_of(guess, "dose_mg").strip() == "dose_mg: {code: MEDICATION//dose_mg, type: numeric}"


@given(unit=st.sampled_from([way for ways, _ in UNITS.values() for way in ways]))
def test_a_known_unit_means_the_same(unit):
    known = known_unit(unit)
    assert known is None or same_unit(known) == same_unit(unit)


@pytest.mark.parametrize("module", [units, header_units])
def test_examples_in_docstrings(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0

"""Outcomes are never inputs, identifiers never measurements, and limits and grades are remarked."""

import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyclinic.ingest.table.guess.names import is_id
from polyclinic.ingest.table.guess.outcome_names import at_discharge, is_outcome
from tests.ingest.sinks import read_table
from tests.ingest.table.guess.tables import guess_of, line_of, mapping_of

relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
OUTCOMES = [
    "hospital_expire_flag", "discharge_location", "los", "icu_los", "length_of_stay", "readmission", "readmitted_30d",
    "died", "in_hospital_mortality", "In-hospital_death", "hospital_death", "hospdead", "unitdischargestatus",
    "hospitaldischargelocation", "dischargeDisposition", "deceased", "mort_28d", "survival_days", "status", "d.time",
    "days", "years", "vital_status", "Outcome", "expired", "last_careunit", "Entlassart", "verstorben",
    "time_in_hospital",
]  # fmt: skip
INPUTS = [
    "smoking_status", "marital_status", "prothrombin_time", "nasal_discharge", "family_history_sudden_death", "crp",
    "bleeding_time", "admission_type", "steroid", "uric_acid", "fluid", "covid", "visit_count", "lipid",
    "survey_score", "surveillance",
]  # fmt: skip
IDS = [
    "hadm_id",
    "specimen_id",
    "order_provider_id",
    "labevent_id",
    "itemid",
    "ENCOUNTER_ID",
    "AuftragNr",
    "caseId",
    "accession",
]
DATES = ["dischtime", "deathtime", "dod", "discharge_date", "date_of_death"]
NUMBERS = st.lists(st.integers(0, 10**7), min_size=8, max_size=8)


@relaxed
@given(
    outcomes=st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=4, unique=True),
    inputs=st.lists(st.sampled_from(INPUTS), max_size=4, unique=True),
    dates=st.lists(st.sampled_from(DATES), max_size=2, unique=True),
    texts=st.sampled_from([("0", "1"), ("yes", "no"), ("DIED", "HOME"), ("1.5", "2.25")]),
)
def test_an_outcome_is_never_an_input(tmp_path, outcomes, inputs, dates, texts):
    header = ["subject_id", "admittime", *dates, *outcomes, *inputs]
    rows = [
        [f"P{n}", "2024-03-05 08:15", *["2024-03-09 10:00"] * len(dates), *[texts[n % 2]] * len(outcomes)]
        + [str(n + 0.5)] * len(inputs)
        for n in range(6)
    ]
    guess = guess_of(tmp_path, "\n".join(map(",".join, [header, *rows])) + "\n")
    mapping = mapping_of(tmp_path, guess)
    assert mapping.time.column == "admittime"
    for name in outcomes:
        assert mapping.columns[name].code.startswith("OUTCOME//")
        discharged = at_discharge(name) and any("disch" in date for date in dates)
        assert mapping.columns[name].has_own_time == discharged
    assert {name for name in mapping.columns if mapping.columns[name].code.startswith("OUTCOME//")} == set(outcomes)
    assert not set(dates) & set(mapping.columns)
    for name in dates:
        assert "known only at discharge or death: never an input at admission" in line_of(guess, f"# {name}:")
    assert read_table(tmp_path / "t.csv", guess).rejects == []


def test_a_text_of_the_discharge_is_a_note_of_then(tmp_path):
    text = "The patient went home in a good state. To be seen in a week."
    header, row = "subject_id,admittime,dischtime,discharge_summary", "2024-03-05 08:15,2024-03-09 10:00"
    guess = guess_of(tmp_path, f"{header}\n1,{row},{text}\n2,{row},{text} No drugs.\n")
    column = mapping_of(tmp_path, guess).columns["discharge_summary"]
    assert (column.code, column.time.column) == ("NOTE//discharge_summary", "dischtime")


@pytest.mark.parametrize("name", INPUTS)
def test_other_names_are_no_outcomes(name):
    assert not is_outcome(name)
    assert not is_id(name)


@relaxed
@given(names=st.lists(st.sampled_from(IDS), min_size=1, max_size=4, unique=True), numbers=NUMBERS)
def test_an_identifier_is_no_measurement(tmp_path, names, numbers):
    rows = [",".join([f"P{n}", *[str(number + n)] * len(names), "5.5"]) for n, number in enumerate(numbers)]
    guess = guess_of(tmp_path, "\n".join([",".join(["patient", *names, "crp"]), *rows, ""]))
    assert list(mapping_of(tmp_path, guess).columns) == ["crp"]
    for name in names:
        assert "left out, an identifier, not a measurement" in line_of(guess, f"# {name}:")


@pytest.mark.parametrize("name", ["condition_concept_id", "icd_code", "drug_cd"])
@pytest.mark.parametrize("texts", [("320128", "201826"), ("0012", "0417")])
def test_codes_are_no_amounts(tmp_path, name, texts):
    rows = "".join(f"P{n},2024-03-05,{texts[n % 2]}\n" for n in range(10))
    mapping = mapping_of(tmp_path, guess_of(tmp_path, f"patient,at,{name}\n{rows}"))
    assert mapping.columns[name].type == "categorical"


def test_codes_of_a_stay_without_a_time_are_said(tmp_path):
    guess = guess_of(tmp_path, "subject_id,hadm_id,seq_num,icd_code\n1,7,1,I10\n1,7,2,E11\n2,8,1,I10\n")
    assert "codes of a stay are given at its end" in line_of(guess, "icd_code")
    assert list(mapping_of(tmp_path, guess).columns) == ["icd_code"]


def test_rows_are_numbered_without_a_name(tmp_path):
    rows = [f"{n},{8_000_000 + 37 * n},P{n},{uuid.UUID(int=n)},{n}.5\n" for n in range(1, 31)]
    guess = guess_of(tmp_path, "row,chart,patient,key,crp\n" + "".join(rows))
    assert list(mapping_of(tmp_path, guess).columns) == ["crp"]
    assert "the numbers of the rows" in line_of(guess, "# row:")
    assert "different whole numbers: an identifier?" in line_of(guess, "# chart:")


def test_limits_are_numbers_with_a_remark(tmp_path):
    cells = ["<0.01", "< 0.01", "0.04", ">100", "≤0.01", "0.2", "less than 0.01"]
    guess = guess_of(tmp_path, "patient,troponin\n" + "".join(f"P{n},{text}\n" for n, text in enumerate(cells)))
    assert mapping_of(tmp_path, guess).columns["troponin"].type == "numeric"
    assert "some are below or above a limit" in line_of(guess, "troponin")


def test_grades_are_categories_and_their_order_is_offered(tmp_path):
    cells = ["neg", "trace", "1+", "2+", "NEG", "TR", "500", "+", "100 mg/dL", "neg"]
    guess = guess_of(tmp_path, "patient,urine_protein\n" + "".join(f"P{n},{text}\n" for n, text in enumerate(cells)))
    assert mapping_of(tmp_path, guess).columns["urine_protein"].type == "categorical"
    assert "for their order, write type: numeric, values:" in line_of(guess, "urine_protein")


@pytest.mark.parametrize("rows", [12, 70])
def test_numbers_with_a_unit_or_a_flag_in_the_cell_are_numbers(tmp_path, rows):
    lines = "".join(f"P{n},{100 + n} mg/dL,{n}.2{' H' if n % 2 else ' L'},{n % 2} weeks\n" for n in range(rows))
    guess = guess_of(tmp_path, f"patient,glucose,potassium,duration\n{lines}")
    columns = mapping_of(tmp_path, guess).columns
    assert (columns["glucose"].code, columns["potassium"].code) == ("LAB//glucose//mg/dL", "LAB//potassium")
    assert "the unit is in the cells" in line_of(guess, "glucose")
    assert "flags in the cells (7.2 H) are left out" in line_of(guess, "potassium")
    assert columns["duration"].type == "categorical"
    kept = read_table(tmp_path / "t.csv", guess)
    assert kept.rejects == []
    assert sorted(event[3] for event in kept.events if "glucose" in event[2]) == [100 + n for n in range(rows)]


def test_spellings_of_one_unit_are_not_other_units(tmp_path):
    rows = "".join(f"P{n},{n}.5,{unit}\n" for n, unit in enumerate(["mg/dL", "mg/dL", "MG/DL", "mmol/L"]))
    guess = guess_of(tmp_path, f"patient,glucose,glucose_unit\n{rows}")
    assert line_of(guess, "glucose").endswith("# other units need their factors: mmol/L")
    assert [reject.line for reject in read_table(tmp_path / "t.csv", guess).rejects] == [5]


@pytest.mark.parametrize("name", ["last_name", "Vorname", "surname", "SSN", "PatientName", "email", "home_address"])
def test_what_identifies_people_is_left_out(tmp_path, name):
    guess = guess_of(tmp_path, f"patient_id,{name},crp\n1,Doe,5.5\n2,Roe,6.5\n2,Roe,7.5\n")
    assert list(mapping_of(tmp_path, guess).columns) == ["crp"]
    assert line_of(guess, f"# {name}: left out, as it identifies people")


def test_litres_are_no_flag_of_low_values(tmp_path):
    guess = guess_of(tmp_path, "patient,urine\n" + "".join(f"P{n},{n}.5 L\n" for n in range(9)))
    assert mapping_of(tmp_path, guess).columns["urine"].code == "VITAL//urine//L"


def test_other_units_in_the_cells_are_named_and_rejected(tmp_path):
    lines = "".join(f"P{n},{100 + n} {'mg/dL' if n % 5 else 'mmol/L'}\n" for n in range(20))
    guess = guess_of(tmp_path, f"patient,glucose\n{lines}")
    assert "other units need their factors: mmol/L" in line_of(guess, "glucose")
    kept = read_table(tmp_path / "t.csv", guess)
    assert (len(kept.events), len(kept.rejects)) == (16, 4)


def test_a_time_of_day_beside_a_date_gets_a_remark(tmp_path):
    guess = guess_of(tmp_path, "patient,day,clock,crp\n1,2024-03-05,08:15,5.5\n2,2024-03-06,09:15,6.5\n")
    assert "a time of day: write it and the date in one column" in line_of(guess, "# clock:")


@pytest.mark.parametrize("names", [("visit{}_date", "crp{}"), ("date_{}", "crp_{}"), ("v{}_date", "v{}_crp")])
def test_a_value_of_a_later_visit_is_not_at_the_first(tmp_path, names):
    header = ",".join(["patient", *(name.format(n) for n in (1, 2) for name in names)])
    guess = guess_of(tmp_path, f"{header}\n1,2024-03-05,5.5,2024-04-05,7.5\n2,2024-03-06,6.5,2024-04-07,8.5\n")
    mapping = mapping_of(tmp_path, guess)
    assert mapping.time.column == names[0].format(1)
    assert mapping.columns[names[1].format(2)].time.column == names[0].format(2)
    assert not mapping.columns[names[1].format(1)].has_own_time


def test_texts_without_a_word_are_not_recorded(tmp_path):
    guess = guess_of(tmp_path, "patient,race\n1,Asian\n2,?\n3,Asian\n4,?\n")
    assert mapping_of(tmp_path, guess).columns["race"].missing == ("?",)
    assert "do ? mean not recorded?" in line_of(guess, "race")


@pytest.mark.parametrize(("text", "other"), [("F", "M"), ("male", "female"), ("Female", "Male")])
def test_a_sample_of_one_sex_has_the_other_in_the_mapping(tmp_path, text, other):
    mapping = mapping_of(tmp_path, guess_of(tmp_path, f"patient,sex\n1,{text}\n2,{text}\n"))
    assert set(mapping.columns["sex"].values) == {text, other}

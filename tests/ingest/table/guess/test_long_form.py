"""Tables of one row per parameter and value are recognised, with their dictionaries, whatever the parameters are."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ingest.sinks import read_table
from tests.ingest.table.guess.tables import guess_of, line_of, mapping_of

relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
#: Columns of subject, time, parameter, value, unit, and others, of known exports.
EXPORTS = {
    "labevents": (
        ("subject_id", "charttime", "itemid", "valuenum", "valueuom"),
        ("labevent_id", "hadm_id", "specimen_id", "storetime", "value", "ref_range_lower", "ref_range_upper",
         "priority"),
    ),
    "measurement": (
        ("person_id", "measurement_datetime", "measurement_concept_id", "value_as_number", "unit_concept_id"),
        ("measurement_id", "measurement_date", "measurement_type_concept_id", "operator_concept_id",
         "value_as_concept_id", "range_low", "range_high", "provider_id", "visit_occurrence_id", "value_source_value"),
    ),
    "lab": (
        ("patientunitstayid", "labresultoffset", "labname", "labresult", "labmeasurenamesystem"),
        ("labid", "labtypeid", "labresulttext", "labmeasurenameinterface", "labresultrevisedoffset"),
    ),
    "observations": (
        ("PATIENT", "DATE", "CODE", "VALUE", "UNITS"), ("ENCOUNTER", "CATEGORY", "DESCRIPTION", "TYPE"),
    ),
    "lb": (("USUBJID", "LBDTC", "LBTESTCD", "LBSTRESN", "LBSTRESU"), ("VISIT", "LBORRES", "LBORRESU")),
    "labor": (("PatientenID", "Abnahme", "Untersuchung", "Ergebnis", "Einheit"), ("Auftrag_Nr", "Station")),
}  # fmt: skip
NAMES = {"101": "creatinine", "102": "sodium", "103": "potassium"}
UNITS = {"101": "8840", "102": "8753", "103": "8753"}
UNIT_NAMES = {"8840": "mg/dL", "8753": "mmol/L"}


def _cell(column: str, row: int, parameter: str) -> str:
    lower = column.lower()
    number = str(round(0.7 + row * 0.3, 1))
    cells = {
        "unit": UNITS[parameter] if "concept" in lower else UNIT_NAMES[UNITS[parameter]],
        "named": NAMES[parameter],
        "subject": str(7000 + row % 4),
        "id": str(900_000 + row),
    }
    if lower in ("subject_id", "person_id", "patientunitstayid", "patient", "patientenid", "usubjid"):
        return cells["subject"]
    if "offset" in lower:
        return str(60 * row)
    if lower.endswith(("time", "date", "abnahme", "dtc")):
        return f"2024-03-{1 + row % 28:02}" + ("" if lower.endswith("_date") else " 08:15:00")
    if lower in ("valueuom", "unit_concept_id", "units", "einheit", "lbstresu", "lborresu") or "measurename" in lower:
        return cells["unit"]
    if lower in ("itemid", "measurement_concept_id", "code"):
        return parameter
    if lower in ("labname", "description", "untersuchung", "lbtestcd"):
        return cells["named"]
    if lower in ("category", "priority", "type", "station", "visit"):
        return "routine"
    if "concept" in lower or lower == "labtypeid":
        return "32856"
    return cells["id"] if lower.endswith(("id", "_nr", "encounter")) else number


def _table(header: list[str], rows: int = 24) -> str:
    parameters = sorted(NAMES)
    lines = [",".join(_cell(name, row, parameters[row % 3]) for name in header) for row in range(rows)]
    return "\n".join([",".join(header), *lines, ""])


@pytest.mark.slow
@pytest.mark.parametrize("export", EXPORTS)
@relaxed
@given(data=st.data())
def test_exports_are_recognised_in_any_order_of_their_columns(tmp_path, export, data):
    main, others = EXPORTS[export]
    kept = data.draw(st.lists(st.sampled_from(others), unique=True))
    header = data.draw(st.permutations([*main, *kept]))
    guess = guess_of(tmp_path, _table(header))
    mapping = mapping_of(tmp_path, guess)
    assert (mapping.subject, mapping.time.column) == main[:2]
    assert (mapping.long.code, mapping.long.value, mapping.long.unit) == main[2:]
    assert {column.type for column in mapping.long.codes.values()} == {"numeric"}
    assert (len(mapping.long.codes), mapping.columns) == (3, {})
    kept_rows = read_table(tmp_path / "t.csv", guess)
    assert (len(kept_rows.events), kept_rows.rejects) == (24, [])
    assert len({event[2] for event in kept_rows.events}) == 3


def test_a_dictionary_beside_the_table_names_the_codes(tmp_path):
    (tmp_path / "a.csv").write_text("itemid,value\n101,5\n")
    (tmp_path / "d_labitems.csv").write_text(
        "itemid,label,fluid,category\n101,Creatinine,Blood,Chemistry\n102,Glucose,Blood,Chemistry\n103,Glucose,Urine,x\n9,y,z,z\n"
    )
    guess = guess_of(tmp_path, _table(list(EXPORTS["labevents"][0])))
    assert "code: itemid  # named by d_labitems.csv" in guess
    codes = {name: column.code for name, column in mapping_of(tmp_path, guess).long.codes.items()}
    assert codes == {  # two parameters of one name stay apart
        "101": "LAB//Creatinine//mg/dL",
        "102": "LAB//Glucose_102//mmol/L",
        "103": "LAB//Glucose_103//mmol/L",
    }


def test_concepts_name_the_codes_and_units_of_omop(tmp_path):
    concepts = {**NAMES, **UNIT_NAMES, "7": "x"}
    rows = "".join(f"{concept}\t{name}\tMeasurement\n" for concept, name in concepts.items())
    (tmp_path / "CONCEPT.csv").write_text(f"concept_id\tconcept_name\tdomain_id\n{rows}")
    guess = guess_of(tmp_path, _table(list(EXPORTS["measurement"][0])), "measurement.csv")
    mapping = mapping_of(tmp_path, guess)
    assert mapping.long.codes["102"].code == "LAB//sodium//mmol/L"
    assert list(mapping.long.codes["102"].units.factors) == ["8753"]
    assert {event[2] for event in read_table(tmp_path / "measurement.csv", guess).events} == {
        "LAB//creatinine//mg/dL", "LAB//sodium//mmol/L", "LAB//potassium//mmol/L",
    }  # fmt: skip


def test_numbers_without_a_dictionary_are_remarked(tmp_path):
    guess = guess_of(tmp_path, _table(list(EXPORTS["labevents"][0])))
    assert "# numbers: to name them, put their dictionary (d_labitems, concept, …)" in line_of(guess, "code:")


def test_a_parameter_with_several_values_at_once_is_remarked(tmp_path):
    rows = "".join(f"{n // 2},2024-03-05,BLOOD CULTURE,{['A', 'B'][n % 2]},{n + 1}\n" for n in range(8))
    guess = guess_of(tmp_path, f"subject_id,charttime,test_name,ab_name,dilution_value\n{rows}")
    assert "# test_name has several values at once: is it the whole name" in guess


def test_the_unit_of_the_value_is_taken(tmp_path):
    rows = "".join(f"{n},2024-03-05,{101 + n % 2},0.5,ml/h,{n + 1.5},ml\n" for n in range(8))
    guess = guess_of(tmp_path, f"subject_id,starttime,itemid,rate,rateuom,amount,amountuom\n{rows}")
    assert (mapping_of(tmp_path, guess).long.value, mapping_of(tmp_path, guess).long.unit) == ("amount", "amountuom")


def test_columns_that_are_left_out_are_named(tmp_path):
    main, others = EXPORTS["labevents"]
    assert line_of(guess_of(tmp_path, _table([*main, *others])), "# left out, as each row") == (
        f"# left out, as each row is one value: {', '.join(others)}"
    )


@pytest.mark.parametrize(("last", "value"), [("101", "valuenum"), ("102", "value")])
def test_no_parameter_is_lost_because_its_values_are_texts(tmp_path, last, value):
    cells = [("5.5", "5.5"), ("6", "6"), ("NEG", ""), ("TRACE", "")]
    rows = "".join(
        f"{n},2024-03-05,{last if text.isalpha() else '101'},{text},{number}\n"
        for n, (text, number) in enumerate(cells)
    )
    guess = guess_of(tmp_path, f"subject_id,charttime,itemid,value,valuenum\n{rows}")
    assert mapping_of(tmp_path, guess).long.value == value
    if value == "valuenum":
        assert "# value has 2 more in the sample, as texts: name it instead to keep them" in line_of(guess, "value:")
    else:
        assert len(read_table(tmp_path / "t.csv", guess).events) == 4


def test_a_parameter_called_like_a_word_for_nothing_is_kept(tmp_path):
    rows = "".join(f"P{n},2024-03-05,{name},{130 + n},mmol/L\n" for n, name in enumerate(["NA", "K", "NA", "K"]))
    guess = guess_of(tmp_path, f"patient,taken_at,parameter,value,unit\n{rows}")
    assert set(mapping_of(tmp_path, guess).long.codes) == {"NA", "K"}
    assert len(read_table(tmp_path / "t.csv", guess).events) == 4


def test_long_categories_that_repeat_are_no_notes(tmp_path):
    words = ["Never smoked tobacco (finding)", "Ex-smoker, for more than ten years (finding)"]
    rows = "".join(f"P{n},2024-03-05,72166-2,Tobacco smoking status,{words[n % 2]},\n" for n in range(12))
    rows += "".join(f"P{n},2024-03-05,8302-2,Body Height,{150 + n},cm\n" for n in range(12))
    guess = guess_of(tmp_path, f"PATIENT,DATE,CODE,DESCRIPTION,VALUE,UNITS\n{rows}".replace("Ex-smoker,", "Ex-smoker"))
    codes = mapping_of(tmp_path, guess).long.codes
    assert (codes["72166-2"].code, codes["72166-2"].type) == ("FINDING//Tobacco_smoking_status", "categorical")

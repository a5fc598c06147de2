"""The subject is never a measurement, and no table with times is taken as one of static facts."""

from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyclinic.ingest import IngestError, guess_mapping
from polyclinic.ingest.table.guess.names import tier_of_subject
from polyclinic.ingest.table.guess.roles import unit_since_start
from tests.ingest.sinks import read_table
from tests.ingest.table.guess.tables import guess_of, line_of, mapping_of

relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
MEASUREMENTS = ["crp", "age", "platelets", "patient_age", "weight_kg", "PT", "fluid", "uric_acid", "num.co", "bmi", "x"]
PERSONS = [
    "subject_id", "SubjectID", "patientid", "PATIENT", "patient", "person_id", "mrn", "MRN", "PatientenID", "pid",
    "pidnum", "USUBJID", "participant_id", "pt_id", "Patienten-Nr", "uniquepid", "eid", "nhs_number", "hospital_no",
]  # fmt: skip
STAYS = ["patientunitstayid", "icustay_id", "hadm_id", "RecordID", "encounter", "Fallnummer", "visit_id", "stay"]


@relaxed
@given(
    names=st.lists(st.sampled_from(MEASUREMENTS), min_size=1, max_size=5, unique=True),
    numbers=st.lists(st.one_of(st.integers(2, 10**7), st.floats(0, 500)), min_size=5, max_size=5),
    rows=st.integers(2, 12),
)
def test_a_measurement_is_never_the_subject(tmp_path, names, numbers, rows):
    lines = [",".join(str(numbers[n] * row) for n in range(len(names))) for row in range(1, rows)]
    guess = guess_of(tmp_path, "\n".join([",".join(names), *lines, ""]))
    assert line_of(guess, "subject:").startswith('subject: "?"  # no column is called like a patient\'s id: name it')
    with pytest.raises(IngestError, match=r"subject: \? is a question"):
        mapping_of(tmp_path, guess)


@relaxed
@given(
    names=st.lists(st.sampled_from([*MEASUREMENTS, *STAYS, "id", "labid", "specimen_id"]), max_size=6, unique=True),
    person=st.sampled_from(PERSONS),
    place=st.integers(0, 6),
)
def test_a_column_called_like_a_patients_id_is_the_subject(tmp_path, names, person, place):
    header = [*names[:place], person, *names[place:], "y"]
    rows = [",".join(str(100 * row + column) for column in range(len(header))) for row in range(1, 4)]
    guess = guess_of(tmp_path, "\n".join([",".join(header), *rows, ""]))
    assert mapping_of(tmp_path, guess).subject == person


@pytest.mark.parametrize("name", STAYS)
def test_a_stay_is_remarked(tmp_path, name):
    guess = guess_of(tmp_path, f"{name},specimen_id,crp\n1,7,5.5\n2,8,6.5\n")
    assert f"subject: {name}  # a stay or record: is there no column of the patient?" in guess


@pytest.mark.parametrize("name", ["labid", "patient_age", "VISIT", "pt", "fluid", "covid", "status", "unit", "age"])
def test_other_names_are_no_ids_of_subjects(name):
    assert tier_of_subject(name) is None


def test_the_subject_may_be_in_the_file_names(tmp_path):
    for number in (17, 18):
        (tmp_path / f"p{number:06}.psv").write_text("HR|Temp\n80|36.5\n90|37.5\n")
    guess = guess_mapping(tmp_path)
    assert 'subject: {file: "(\\\\d+)"}' in guess
    kept = read_table(tmp_path / "p000017.psv", guess.replace("time: null", "time: null\nunique: false"))
    assert {event[0] for event in kept.events} == {"000017"}


def test_a_file_whose_name_has_no_id_is_rejected(tmp_path):
    (tmp_path / "readme.csv").write_text("x\n1\n")
    kept = read_table(
        tmp_path / "readme.csv", "subject: {file: 'p(\\d+)'}\ncolumns: {x: {code: LAB//x, type: numeric}}"
    )
    assert (kept.events, kept.reasons) == ([], [(None, "no subject")])


@pytest.mark.parametrize("subject", ["{file: '('}", "{file: 'p'}", "{file: '(a)(b)'}", "{files: '(a)'}", "{}"])
def test_a_pattern_has_one_group(tmp_path, subject):
    with pytest.raises(IngestError, match=r"line 1: subject: give a column, or \{file: PATTERN\}"):
        mapping_of(tmp_path, f"subject: {subject}\ncolumns: {{x: {{code: LAB//x, type: numeric}}}}")


@pytest.mark.parametrize(
    ("name", "texts", "line"),
    [
        ("taken_at", ["1. März 2024", "5. Mai 2024", "6. Mai 2024"], 'format: "?"'),
        ("Zeitpunkt", ["KW10/24 Mo", "KW11/24 Di", "KW12/24 Mi"], 'format: "?"'),
        ("clock", ["00:07", "12:15", "26:30"], 'format: "?"'),
        ("date", ["736024.25", "736025.25", "736026.5"], 'format: "?"'),
        ("time", ["0", "37", "120"], 'unit: "?"'),
        ("offset", ["0", "37", "120"], 'unit: "?"'),
        ("year", ["2017", "2018", "2020"], 'format: "?"'),
        ("month", ["0", "3", "12"], 'unit: "?"'),
        ("visit", ["1", "2", "3"], 'unit: "?"'),
        ("ts", ["1709626500123456789", "1709626500123456799", "1709626500123456999"], 'format: "?"'),
        ("data", ["2024-065", "2024-066", "2024-067"], 'format: "?"'),
        ("taken_at", ["2024-065", "2024-066", "2024-067"], 'format: "?"'),
        ("taken_at", ["March 2024", "April 2024", "May 2024"], 'format: "?"'),
        ("taken_at", ["08:15 05/03/2024", "09:15 06/03/2024", "10:15 07/03/2024"], 'format: "?"'),
        ("measuredat", ["0", "37000", "120000"], 'unit: "?"'),
        ("observationoffset", ["-5", "37", "120"], "unit: minutes"),
        ("hours_since_admission", ["0.5", "3", "12"], "unit: hours"),
    ],
)
def test_a_column_that_looks_like_a_time_is_the_time_or_asked_for(tmp_path, name, texts, line):
    rows = "".join(f"P1,{text},{5.5 + n}\n" for n, text in enumerate(texts))
    guess = guess_of(tmp_path, f"patient,{name},crp\n{rows}")
    assert line_of(guess, "time:").startswith(f"time: {{column: {name}, {line}}}")


def test_english_data_are_no_dates(tmp_path):
    mapping = mapping_of(tmp_path, guess_of(tmp_path, "patient,data,crp\nP1,batch 1,5\nP2,batch 2,6\nP3,batch 2,7\n"))
    assert (mapping.time, mapping.columns["data"].type) == (None, "categorical")


def test_the_earlier_and_the_finer_time_is_chosen(tmp_path):
    header = "person_id,dischtime,storetime,measurement_date,measurement_datetime,crp\n"
    row = "{},2024-03-09 10:00,2024-03-05 11:00,2024-03-05,2024-03-05 08:15,5\n"
    guess = guess_of(tmp_path, header + row.format(1) + row.format(2))
    assert mapping_of(tmp_path, guess).time.column == "measurement_datetime"
    assert read_table(tmp_path / "t.csv", guess).events[0][1] == datetime(2024, 3, 5, 8, 15)


def test_a_time_after_all_else_is_remarked(tmp_path):
    guess = guess_of(tmp_path, "patient,dischtime,crp\n1,2024-03-09 10:00,5\n2,2024-03-09 11:00,6\n")
    assert "dischtime}  # known only at discharge or death: is there no earlier time?" in guess


def test_a_date_of_death_is_never_the_time(tmp_path):
    mapping = mapping_of(tmp_path, guess_of(tmp_path, "subject_id,dod,age\n1,2150-03-05,50\n2,,61\n"))
    assert (mapping.time, list(mapping.columns)) == (None, ["age"])


def test_years_of_two_digits_have_a_last_date(tmp_path):
    mapping = mapping_of(tmp_path, guess_of(tmp_path, "patient,at,crp\n1,3/14/24 8:15,5\n2,3/1/99 9:15,6\n"))
    assert mapping.time.format == "%m/%d/%y %H:%M"
    times = sorted(event[1] for event in read_table(tmp_path / "t.csv", (tmp_path / "guess.yaml").read_text()).events)
    assert times == [datetime(1999, 3, 1, 9, 15), datetime(2024, 3, 14, 8, 15)]


@pytest.mark.parametrize(
    "name", ["prothrombin_time", "cigarettes_per_day", "sleep_hours", "los_days", "offset_lead", "age"]
)
def test_other_numbers_are_not_counted_from_a_start(name):
    assert unit_since_start(name) is None


@pytest.mark.parametrize(("name", "code"), [("case", "OUTCOME"), ("Patient", "OUTCOME"), ("member", "FINDING")])
@pytest.mark.parametrize("answers", [("0", "1"), ("no", "yes")])
def test_answers_are_no_ids_of_subjects(tmp_path, name, code, answers):
    rows = "".join(f"{number},{answers[number % 2]},{50 + number}\n" for number in range(1, 7))
    mapping = mapping_of(tmp_path, guess_of(tmp_path, f"id,{name},age\n{rows}"))
    assert (mapping.subject, mapping.columns[name].code) == ("id", f"{code}//{name}")


@pytest.mark.parametrize("name", ["patient_id", "PatientNo", "id"])
def test_two_patients_may_be_numbered_0_and_1(tmp_path, name):
    mapping = mapping_of(tmp_path, guess_of(tmp_path, f"{name},taken_at,crp\n0,2024-03-05,5\n1,2024-03-05,6\n"))
    assert mapping.subject == name


@relaxed
@given(
    name=st.sampled_from(["tag", "Tag", "TAG"]),
    days=st.lists(st.integers(0, 30), min_size=2, max_size=6, unique=True),
    subjects=st.integers(2, 6),
    order=st.sampled_from(["rising", "falling", "label"]),
)
def test_a_tag_is_the_time_only_if_it_runs_on(tmp_path, name, days, subjects, order):
    days = sorted(days, reverse=order == "falling")
    rows = [f"P{subject},{day},{day + subject}.5\n" for subject in range(subjects) for day in days]
    if order == "label":
        rows = [f"P{subject},{days[(subject + n) % 2]},{n}.5\n" for n in range(4) for subject in range(subjects)]
    guess = guess_of(tmp_path, f"patient_id,{name},crp\n{''.join(rows)}")
    if order == "rising":
        time = mapping_of(tmp_path, guess).time
        assert (time.column, time.unit) == (name, "days")
    else:
        assert line_of(guess, "time:").startswith('time: "?"  # is tag the day since a start?')


def test_a_tag_beside_a_time_is_no_laboratory_value(tmp_path):
    rows = "".join(f"P{n},2024-03-05,{n % 7},{n}.5\n" for n in range(20))
    guess = guess_of(tmp_path, f"patient_id,taken_at,tag,crp\n{rows}")
    assert mapping_of(tmp_path, guess).columns["tag"].code == "FINDING//tag"
    assert "a day counted from a start (German), or a label?" in line_of(guess, "tag")

"""What sources state of the person: one sex, one date of birth, and ages that people reach."""

from datetime import date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyclinic.cohort import BIRTH, Cohort, CohortWriter
from polyclinic.ingest import ingest
from polyclinic.ingest.clock import Clock
from polyclinic.ingest.patients import CheckedPatients
from polyclinic.ingest.pipeline import WITHDRAWN
from polyclinic.ingest.plausible import OLDEST_YEARS, PLACEHOLDERS
from polyclinic.ingest.sexes import meaning
from tests.ingest.sinks import RecordingSink
from tests.properties import examples

relaxed = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(15)
)
MAPPING = """
subject: id
time: at
birth: born
columns:
  sex: {code: DEMOGRAPHIC//sex, type: categorical, time: null}
  age: {code: DEMOGRAPHIC//age//years, type: numeric}
  hr: {code: VITAL//heart_rate//bpm, type: numeric}
"""


def read(folder, rows, mapping=MAPPING, **options):
    """Ingest rows of id, birth, sex, age and time; each has a pulse."""
    (folder / "m.yaml").write_text(mapping)
    lines = [",".join(map(str, row)) + ",70\n" for row in rows]
    (folder / "people.csv").write_text("id,born,sex,age,at,hr\n" + "".join(lines))
    report = ingest("table", folder / "people.csv", folder / "cohort", mapping=folder / "m.yaml", **options)
    return report, Cohort.open(folder / "cohort")


def of(cohort, code):
    names = cohort.subjects.select("subject_id", "source_id")
    events = cohort.events().filter(pl.col("code") == code).collect().join(names, on="subject_id")
    value = pl.coalesce("text_value", pl.col("numeric_value").cast(pl.String), pl.col("time").dt.to_string("%Y-%m-%d"))
    return sorted(events.select("source_id", value).rows())


def test_each_contradiction_has_its_reason(tmp_path):
    report, cohort = read(
        tmp_path,
        [
            ("P1", "1900-01-01", "F", 34, "2024-03-05 08:00"),
            ("P2", "2025-01-01", "M", -1, "2024-03-05 08:00"),
            ("P3", "1850-06-01", "F", 300, "2150-03-05 08:00"),
            ("P4", "1950-06-01", "F", 74, "2024-03-05 08:00"),
            ("P4", "1951-06-01", "male", 124, "2024-03-05 09:00"),
            ("P5", "2070-06-01", "M", 80, "2150-07-05 08:00"),
        ],
    )
    assert report.rejects == {
        "implausible age": 3,
        "placeholder date of birth": 1,
        "birth after the first event": 1,
        "age above 123 years": 1,
        "two dates of birth": 1,
        "conflicting sex": 1,
    }
    assert (report.rows, report.rejected_rows) == (6, 4), "a row with several rejects counts once"
    assert of(cohort, BIRTH) == [("P4", "1950-06-01"), ("P5", "2070-06-01")]
    assert of(cohort, "DEMOGRAPHIC//age//years") == [("P1", "34.0"), ("P4", "74.0"), ("P5", "80.0")]
    assert of(cohort, "DEMOGRAPHIC//sex") == [("P1", "F"), ("P2", "M"), ("P3", "F"), ("P4", "F"), ("P5", "M")]
    assert len(of(cohort, "VITAL//heart_rate//bpm")) == 6, "nothing else of the patient is lost"
    lines = cohort.rejects.sort("reason", "line").select("reason", "file", "line").rows()
    assert lines == [
        ("age above 123 years", "people.csv", 4),
        ("birth after the first event", "people.csv", 3),
        ("conflicting sex", "people.csv", 6),
        ("implausible age", "people.csv", 3),
        ("implausible age", "people.csv", 4),
        ("implausible age", "people.csv", 6),
        ("placeholder date of birth", "people.csv", 2),
        ("two dates of birth", "people.csv", 6),
    ]


def test_another_ingest_may_not_contradict_the_cohort(tmp_path):
    read(tmp_path, [("P1", "1950-06-01", "F", 70, "2024-03-05 08:00")])
    report, cohort = read(tmp_path, [("P1", "1960-06-01", "male", 70, "2024-03-06 08:00")])
    assert report.rejects == {"conflicting sex": 1, "two dates of birth": 1}
    assert of(cohort, BIRTH) == [("P1", "1950-06-01")]
    assert of(cohort, "DEMOGRAPHIC//sex") == [("P1", "F")]
    assert len(of(cohort, "VITAL//heart_rate//bpm")) == 2


def test_a_birth_is_compared_with_the_events_of_other_ingests(tmp_path):
    read(tmp_path, [("P1", "", "", "", "2010-03-05 08:00")])
    report, _ = read(tmp_path, [("P1", "2011-01-01", "", "", "2024-03-05 08:00")])
    assert report.rejects == {"birth after the first event": 1}


def test_events_before_the_birth_in_the_cohort_are_warned_of(tmp_path):
    read(tmp_path, [("P1", "2011-01-01", "", "", "2024-03-05 08:00"), ("P2", "1950-01-03", "", "", "2024-03-05 08:00")])
    report, _ = read(tmp_path, [(patient, "", "", "", "2010-03-05 08:00") for patient in ("P1", "P2")])
    assert report.rejects == {}
    [(warning, patients)] = [item for item in report.warnings.items() if item[0] != WITHDRAWN]
    assert warning.startswith("date of birth of the cohort that is after the patient's first event")
    assert patients == 1


def test_a_row_that_is_rejected_for_other_reasons_counts_once(tmp_path):
    report, _ = read(
        tmp_path, [("P1", "1900-01-01", "F", 34, "yesterday"), ("P1", "1950-01-03", "F", 34, "2024-03-05")]
    )
    assert report.rejects == {"impossible date": 1, "placeholder date of birth": 1}
    assert (report.rows, report.rejected_rows) == (2, 1)


def test_reading_again_changes_nothing(tmp_path):
    rows = [("P1", "1950-06-01", "F", 70, "2024-03-05 08:00"), ("P1", "1951-06-01", "M", 70, "2024-03-05 09:00")]
    first, before = read(tmp_path, rows)
    again, after = read(tmp_path, rows)
    assert first.rejects == again.rejects
    assert before.fingerprint == after.fingerprint


@pytest.mark.parametrize("offset", ["", "+14:00", "-12:00"])
def test_a_newborn_may_be_born_on_the_day_of_the_first_event(tmp_path, offset):
    report, cohort = read(tmp_path, [("P1", f"2024-03-05T23:50{offset}", "", "", f"2024-03-05T00:10{offset}")])
    assert report.rejects == {}
    assert of(cohort, BIRTH) == [("P1", "2024-03-05")]


def test_times_without_dates_are_not_compared_with_births(tmp_path):
    mapping = MAPPING.replace("time: at", "time: {column: at, unit: hours}")
    report, cohort = read(tmp_path, [("P1", "2010-03-05", "F", 14, "3.5")], mapping)
    assert report.rejects == {}
    assert of(cohort, BIRTH) == [("P1", "2010-03-05")]


@relaxed
@given(
    births=st.lists(
        st.sampled_from(PLACEHOLDERS) | st.dates(date(1800, 1, 1), date(2290, 1, 1)), min_size=1, max_size=4
    ),
    first=st.datetimes(datetime(1910, 1, 2), datetime(2290, 1, 1)),
    split=st.integers(0, 4),
)
def test_no_age_is_negative_or_above_the_oldest(tmp_path_factory, births, first, split):
    """In one ingest or several, whatever is kept of the births, the others are counted."""
    folder = tmp_path_factory.mktemp("cohort")
    rows = [("P1", born.isoformat(), "", "", first.isoformat(" ", "seconds")) for born in births]
    parts = [part for part in (rows[:split], rows[split:]) if part]
    rejected = 0
    for part in parts:
        report, cohort = read(folder, part)
        rejected += report.rejected
    kept = [date.fromisoformat(born) for _, born in of(cohort, BIRTH)]
    assert len(kept) <= 1
    for born in kept:
        years = (first.date() - born).days / 365.25
        assert -2 / 365.25 <= years <= OLDEST_YEARS + 0.01
        assert born not in PLACEHOLDERS
    assert rejected >= len({born for born in births if born not in kept})
    plausible = [born for born in births if 0 <= (first.date() - born).days <= 365 * OLDEST_YEARS]
    assert kept or not set(plausible) - set(PLACEHOLDERS), "a wrong date does not cost the right one"


SEXES = st.sampled_from(["F", "female", "Weiblich", "M", "male", "Mann", "other", "unknown", "1", "2"])


@relaxed
@given(st.lists(st.tuples(st.sampled_from(["P1", "P2"]), SEXES, st.booleans()), min_size=1, max_size=8))
def test_no_patient_has_two_sexes(tmp_path_factory, stated):
    folder = tmp_path_factory.mktemp("cohort")
    sink, clock = RecordingSink(), Clock()
    with CohortWriter(folder, source="table") as writer:
        checked = CheckedPatients(sink, writer, clock, "people.csv")
        frames = [(patient, sex, line) for line, (patient, sex, _) in enumerate(stated)]
        for row in frames:
            frame = pl.DataFrame([row], schema=["source_id", "text_value", "line"], orient="row")
            checked.add(frame.with_columns(code=pl.lit("DEMOGRAPHIC//sex"), file=pl.lit("people.csv")))
    kept: dict[str, set[str]] = {}
    for patient, _, _, sex in sink.events:
        kept.setdefault(patient, set()).add(meaning(sex))
    for meanings in kept.values():
        assert len(meanings & {"female", "male", "other"}) <= 1
        assert len(meanings & {"1", "2"}) <= 1
    assert len(sink.events) + len(sink.rejects) == len(stated)
    assert {reject.reason for reject in sink.rejects} <= {"conflicting sex"}


@given(st.floats(-1e6, 1e6), st.sampled_from([("years", 1.0), ("months", 12.0), ("days", 365.25)]))
def test_ages_of_every_unit_are_those_of_people(number, unit):
    name, per_year = unit
    sink = RecordingSink()
    checked = CheckedPatients(sink, None, Clock(), "people.csv")
    frame = pl.DataFrame({"source_id": ["P1"], "code": [f"DEMOGRAPHIC//age//{name}"], "numeric_value": [number]})
    checked.add(frame)
    years = number / per_year
    assert bool(sink.rejects) == (not 0 <= years <= OLDEST_YEARS) or abs(years - OLDEST_YEARS) < 1e-6
    assert len(sink.rejects) + len(sink.events) == 1


@pytest.mark.parametrize(
    "code",
    ["DEMOGRAPHIC//age", "DEMOGRAPHIC//Age//Y", "DEMOGRAPHIC//anchor_age", "DEMOGRAPHIC//age_at_admission//years"],
)
def test_ages_have_many_names(code):
    sink = RecordingSink()
    frame = pl.DataFrame({"source_id": ["1", "2", "3"], "code": code, "numeric_value": [300.0, -1.0, 65.0]})
    CheckedPatients(sink, None, Clock(), "people.csv").add(frame)
    assert sink.events == [("3", None, code, 65.0)]


def test_an_age_in_another_unit_is_not_negative():
    sink = RecordingSink()
    frame = pl.DataFrame({"source_id": ["1", "2"], "code": "DEMOGRAPHIC//age//hours", "numeric_value": [300.0, -1.0]})
    CheckedPatients(sink, None, Clock(), "people.csv").add(frame)
    assert sink.events == [("1", None, "DEMOGRAPHIC//age//hours", 300.0)]


def test_sex_and_gender_may_differ(tmp_path):
    mapping = MAPPING.replace("  sex:", "  age: {code: DEMOGRAPHIC//gender, type: categorical, time: null}\n  sex:")
    mapping = mapping.replace("  age: {code: DEMOGRAPHIC//age//years, type: numeric}\n", "")
    report, _ = read(tmp_path, [("P1", "", "F", "male", "2024-03-05 08:00")], mapping)
    assert report.rejects == {}


def test_other_facts_pass_as_they_are():
    sink = RecordingSink()
    frame = pl.DataFrame(
        {"source_id": ["P1"], "code": ["LAB//x"], "numeric_value": [300.0], "line": [2], "file": ["f"]}
    )
    CheckedPatients(sink, None, Clock(), "people.csv").add(frame)
    assert sink.events == [("P1", None, "LAB//x", 300.0)]
    assert sink.frames[0].columns == ["source_id", "code", "numeric_value"]


def test_a_day_that_stands_for_nothing_is_no_time_of_an_event(tmp_path):
    report, _ = read(
        tmp_path, [("P1", "1950-06-01", "", "", "1900-01-01"), ("P1", "1950-06-01", "", "", "1999-01-01 08:00")]
    )
    assert report.rejects == {"placeholder date": 1}


def test_births_are_dates(tmp_path):
    later = datetime(1950, 6, 1) + timedelta(hours=23)
    _, cohort = read(tmp_path, [("P1", later.isoformat() + "+01:00", "", "", "2024-03-05 08:00")])
    assert of(cohort, BIRTH) == [("P1", "1950-06-01")]
    assert cohort.clock == "local"

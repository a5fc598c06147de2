"""An outcome with a horizon is never an input, whatever its event, horizon and order of words."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyclinic.ingest.table.guess.outcome_names import is_outcome
from tests.ingest.sinks import read_table
from tests.ingest.table.guess.tables import guess_of, mapping_of

relaxed = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
    deadline=None,
    max_examples=60,
)
EVENTS = [
    "death", "died", "mort", "mortality", "stroke", "relapse", "recurrence", "readmit", "readmission", "mace", "reop",
    "graft_failure", "dialysis", "progression", "amputation", "rehosp", "Rezidiv", "récidive", "complication",
]  # fmt: skip
SIGNS = ["delirium", "pneumonia", "fever", "sepsis", "vasopressor", "ulcer"]  # outcomes only if they say yes or no
FORMS = [
    "{event}_within_{number}{unit}", "{event}_{number}{unit}", "{event}{number}{unit}", "{number}{unit}_{event}",
    "{event}_{number}_{unit}", "{event}-{number}-{unit}", "{event} in {number} {unit}", "{event}_{unit}{number}",
    "{event} (next {number} {unit})",
]  # fmt: skip
UNITS = ["d", "days", "w", "weeks", "m", "months", "mo", "y", "years", "Tage", "mois", "anni", "meses", "jaar"]
PAST = [
    "stroke_last_12m", "mi_past_5y", "hospitalizations_prior_12m", "stroke_history", "relapse_before_6m",
    "history_of_mi_1y", "vasopressor_first_7d", "ventilated_24h", "previous_relapse_12m", "infarto_previo_5a",
]  # fmt: skip
INPUTS = [
    *PAST, "crp_24h", "lactate_max_24h", "urine_output_24h", "glucose_2h", "sofa_48h", "hba1c_3m", "vitamin_d",
    "hepatitis_b", "factor_5", "weight_6m", "covid_19", "t_1", "day_1_crp", "x2_d",
    "thrombocytes_d1", "Thrombozyten_Tag1", "trombociti_24h", "thromboplastin_24h", "stroke_volume_24h",
    "stroke volume index 6h", "IOP os 1m", "os_va_12m",
]  # fmt: skip


@relaxed
@given(
    event=st.sampled_from(EVENTS + SIGNS),
    form=st.sampled_from(FORMS),
    number=st.sampled_from([7, 12, 28, 30, 60, 90, 180]),
    unit=st.sampled_from(UNITS),
    texts=st.sampled_from([("0", "1"), ("yes", "no"), ("ja", "nein"), ("0", "0")]),
)
def test_an_event_up_to_a_horizon_is_an_outcome(tmp_path, event, form, number, unit, texts):
    name = form.format(event=event, number=number, unit=unit)
    rows = "".join(f"P{n},2024-03-0{n + 1},{texts[n % 2]},{n}.5\n" for n in range(6))
    guess = guess_of(tmp_path, f"patient_id,taken_at,{name},crp\n{rows}")
    assert mapping_of(tmp_path, guess).columns[name].code.startswith("OUTCOME//")
    codes = {event[2].split("//")[0] for event in read_table(tmp_path / "t.csv", guess).events}
    assert codes == {"OUTCOME", "LAB"}


@pytest.mark.parametrize(
    "name",
    [
        "alive_at_discharge", "mort_hosp", "alive_30d", "os_months", "pfs_event", "DFS_time", "time_to_relapse",
        "days_to_stroke", "one_year_relapse", "5-year relapse", "death_24h", "stroke_within_48h", "PFS",
        "os_12m", "12m_os", "thrombosis_24h",
    ],
)  # fmt: skip
@pytest.mark.parametrize("numbers", ["01", "12345"])
def test_such_names_are_outcomes_with_any_numbers(tmp_path, name, numbers):
    rows = "".join(f"P{n},2024-03-05,{numbers[n % len(numbers)]}.5,{n}.5\n" for n in range(10))
    mapping = mapping_of(tmp_path, guess_of(tmp_path, f"patient_id,taken_at,{name},crp\n{rows}"))
    assert mapping.columns[name].code.startswith("OUTCOME//")


@pytest.mark.parametrize(("name", "numbers"), [*((name, "12345") for name in INPUTS), *((name, "01") for name in PAST)])
def test_what_was_measured_or_happened_before_is_an_input(tmp_path, name, numbers):
    assert not is_outcome(name)
    rows = "".join(f"P{n},2024-03-05,{numbers[n % len(numbers)]}\n" for n in range(10))
    mapping = mapping_of(tmp_path, guess_of(tmp_path, f"patient_id,taken_at,{name}\n{rows}"))
    assert not mapping.columns[name].code.startswith("OUTCOME//")


@pytest.mark.parametrize("name", ["M1", "d12", "w_8", "y2"])
def test_a_letter_and_a_number_are_no_horizon(tmp_path, name):
    rows = "".join(f"P{n},2024-03-05,{n % 2}\n" for n in range(10))
    mapping = mapping_of(tmp_path, guess_of(tmp_path, f"patient_id,taken_at,{name}\n{rows}"))
    assert mapping.columns[name].code == f"FINDING//{name}"

"""`hr` and `dias` are vital signs, or words for a time, by what they hold and what is beside them."""

import pytest

from tests.ingest.table.guess.tables import guess_of, mapping_of

RATES, HOURS = [88, 92, 61, 140, 75, 101], [0, 1, 2, 30, 40, 50]


def rows_of(*columns: list[int]) -> str:
    """Return rows of two patients."""
    return "".join(f"P{place // 3},{','.join(map(str, row))}\n" for place, row in enumerate(zip(*columns, strict=True)))


@pytest.mark.parametrize("name", ["hr", "HR", "baseline_hr", "hr (bpm)"])
def test_heart_rates_are_no_hours(tmp_path, name):
    mapping = mapping_of(tmp_path, guess_of(tmp_path, f"patient,{name},crp\n{rows_of(RATES, HOURS)}"))
    assert mapping.time is None
    assert mapping.columns[name].code.startswith("VITAL//")


def test_the_hour_is_the_time_also_after_the_heart_rate(tmp_path):
    mapping = mapping_of(tmp_path, guess_of(tmp_path, f"patient,hr,hour\n{rows_of(RATES, HOURS)}"))
    assert (mapping.time.column, list(mapping.columns)) == ("hour", ["hr"])


def test_hours_called_hr_are_the_time(tmp_path):
    mapping = mapping_of(tmp_path, guess_of(tmp_path, f"patient,hr,crp\n{rows_of(HOURS, RATES)}"))
    assert mapping.time.column == "hr"


@pytest.mark.parametrize("systolic", ["sys", "Syst", "bp_sys"])
def test_dias_beside_a_systolic_pressure_is_no_time_and_no_outcome(tmp_path, systolic):
    mapping = mapping_of(tmp_path, guess_of(tmp_path, f"patient,{systolic},dias\n{rows_of(RATES, RATES[::-1])}"))
    assert (mapping.time, mapping.columns["dias"].code) == (None, "VITAL//dias")


def test_other_dias_are_days(tmp_path):
    mapping = mapping_of(tmp_path, guess_of(tmp_path, f"paciente,dias,crp\n{rows_of(HOURS, RATES)}"))
    assert mapping.time.column == "dias"

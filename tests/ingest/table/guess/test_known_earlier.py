"""Scores, earlier stays and states of the first day are inputs with a remark; outcomes beside them stay outcomes."""

import doctest

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyclinic.ingest.table.guess import known_earlier
from tests.ingest.table.guess.tables import guess_of, line_of, mapping_of

relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
EVENTS = ["mortality", "death", "readmission", "survival", "stroke_10y", "los", "died", "relapse_12m", "Mortalität"]
SCORES = [
    "{}_risk_score", "{}_risk", "risk_of_{}", "predicted_{}", "{}_probability", "{}_score", "apache_{}", "expected_{}",
    "{}-pred", "prob_{}", "{} Risiko", "risque_{}", "riesgo_{}", "rischio_{}",
]  # fmt: skip
OUTCOME_SCORES = ["outcome_score", "discharge_score", "score_at_discharge", "predicted_outcome", "risk_label"]
EARLIER = [
    "los_prior", "prior_los", "previous_stay", "pre_icu_los_days", "los_before_icu", "readmissions_prev",
    "previous_readmission", "past length of stay", "Verweildauer_vor_ITS", "estancia_previa", "sejour_anterieur",
    "degenza_precedente", "length_of_stay_before", "PriorLOS",
]  # fmt: skip
FIRST_DAY = [
    "aki_day1", "AKI_d1", "aki_24h", "dialysis_24h", "dialysis_day_1", "dialysis_1d", "renal_failure_24h", "rrt_day1",
    "respiratory_failure_6h", "Nierenversagen_Tag1", "dialyse_24h",
]  # fmt: skip
LATER = [
    "aki_day7", "aki_within_24h", "dialysis_30d", "dialysis_next_24h", "death_24h", "died_day1", "los_before_discharge",
    "stay_before_death", "los", "readmission", "graft_failure_12m", "time_to_dialysis_24h", "aki_48h",
]  # fmt: skip


def table(name: str, cells: list[str]) -> str:
    rows = "".join(f"P{n},2024-03-05,{cells[n % len(cells)]},{n}.5\n" for n in range(30))
    return f"patient_id,taken_at,{name},crp\n{rows}"


@relaxed
@given(
    event=st.sampled_from(EVENTS),
    form=st.sampled_from(SCORES),
    cells=st.one_of(
        st.lists(st.floats(0, 1).map("{:.3f}".format), min_size=5, unique=True),
        st.lists(st.integers(0, 100).map(str), min_size=5, unique=True),
        st.just(["low", "medium", "high"]),
    ),
)
def test_a_score_of_an_outcome_is_an_input_with_a_remark(tmp_path, event, form, cells):
    name = form.format(event)
    guess = guess_of(tmp_path, table(name, cells))
    assert mapping_of(tmp_path, guess).columns[name].code == f"SCORE//{name.replace(' ', '_')}"
    assert "it may be an outcome: check" in guess


@relaxed
@given(
    event=st.sampled_from(EVENTS),
    form=st.sampled_from(SCORES),
    cells=st.sampled_from([["0", "1"], ["yes", "no"], ["ja", "nein"]]),
)
def test_yes_or_no_is_the_outcome_whatever_the_name_adds(tmp_path, event, form, cells):
    name = form.format(event)
    assert mapping_of(tmp_path, guess_of(tmp_path, table(name, cells))).columns[name].code.startswith("OUTCOME//")


@pytest.mark.parametrize("name", OUTCOME_SCORES)
def test_a_score_of_the_outcome_itself_is_an_outcome(tmp_path, name):
    mapping = mapping_of(tmp_path, guess_of(tmp_path, table(name, list("123456"))))
    assert mapping.columns[name].code == f"OUTCOME//{name}"


@pytest.mark.parametrize("cells", [list("1234567"), ["0", "1"], ["1.5", "2.25", "0.5"]])
@pytest.mark.parametrize("name", EARLIER)
def test_an_earlier_stay_is_an_input_with_a_remark(tmp_path, name, cells):
    guess = guess_of(tmp_path, table(name, cells))
    assert mapping_of(tmp_path, guess).columns[name].code.startswith("FINDING//")
    assert "of an earlier stay by its name: was it known at the time of the row?" in guess


@pytest.mark.parametrize("cells", [["0", "1"], ["yes", "no"], list("0123")])
@pytest.mark.parametrize("name", FIRST_DAY)
def test_a_state_of_the_first_day_is_an_input_with_a_remark(tmp_path, name, cells):
    guess = guess_of(tmp_path, table(name, cells))
    assert not mapping_of(tmp_path, guess).columns[name].code.startswith("OUTCOME//")
    assert "of the first day by its name: known at the time of the row?" in line_of(guess, name)


@pytest.mark.parametrize("cells", [["0", "1"], list("0123")])
@pytest.mark.parametrize("name", LATER)
def test_what_comes_later_is_an_outcome(tmp_path, name, cells):
    mapping = mapping_of(tmp_path, guess_of(tmp_path, table(name, cells)))
    assert mapping.columns[name].code.startswith("OUTCOME//")


def test_docstrings():
    assert doctest.testmod(known_earlier).failed == 0

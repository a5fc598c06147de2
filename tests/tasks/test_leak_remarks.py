"""Remarks on inputs and times that may reveal the outcome."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.tasks import Task, leak_remarks

KNOWN = [(subject, 0, "LAB//lactate", 1.0) for subject in range(1, 5)]
ANSWERS = [(1, 20, "OUTCOME//died", 1), (2, 20, "OUTCOME//died", 0)]


def task(**parts):
    prediction = {"anchor": "origin", "offset": "10h"}
    return Task(
        **{"name": "x", "kind": "binary", "prediction": prediction, "target": {"codes": "OUTCOME//died"}} | parts
    )


def remarks(cohort_of, rows, **parts):
    return leak_remarks(cohort_of([*KNOWN, *ANSWERS, *rows]), task(**parts))


def test_a_clean_task_has_none(cohort_of):
    assert remarks(cohort_of, [(1, 2, "FINDING//ward", "surgery"), (1, None, "DEMOGRAPHIC//sex", "female")]) == ()


def test_outcomes_recorded_early(cohort_of):
    (found,) = remarks(cohort_of, [(1, 5, "OUTCOME//died", 0), (3, 5, "OUTCOME//died", 0)])
    assert found.startswith("1 samples with a later outcome have one recorded at or before the prediction time as well")


def test_outcomes_without_a_time(cohort_of):
    (found,) = remarks(cohort_of, [(3, None, "OUTCOME//died", 0)])
    assert found.startswith("the outcome of 1 samples has no time")


def test_inputs_without_a_time(cohort_of):
    (found,) = remarks(cohort_of, [(1, None, "FINDING//ward", "surgery"), (1, None, "DEMOGRAPHIC//age", 50.0)])
    assert found.startswith("without a time, and so known at every prediction time: FINDING//ward;")


@pytest.mark.slow
@given(
    st.sampled_from(
        ["discharge_location", "hospital_expire_flag", "dischtime", "ICU-LOS", "dateOfDeath", "Readmission"]
    ),
    st.sampled_from(["FINDING", "PROCEDURE", "SCORE"]),
)
def test_names_of_the_end_of_a_stay(name, kind):
    import tempfile
    from pathlib import Path

    from polyclinic.cohort import Cohort, CohortWriter
    from tests.tasks.conftest import events

    with tempfile.TemporaryDirectory() as folder:
        with CohortWriter(Path(folder) / "cohort", source="test") as writer:
            writer.add(events([*KNOWN, *ANSWERS, (1, 2, f"{kind}//{name}", "HOME")]))
        (found,) = leak_remarks(Cohort.open(Path(folder) / "cohort"), task())
        assert f"{kind}//{name}" in found
        assert leak_remarks(Cohort.open(Path(folder) / "cohort"), task(inputs={"exclude": f"{kind}//*"})) == ()


def test_late_facts_are_no_matter_after_the_prediction(cohort_of):
    assert remarks(cohort_of, [(1, 12, "FINDING//discharge_location", "DIED")]) == ()


def test_inputs_that_repeat_words_of_the_target(cohort_of):
    rows = [(1, 2, "FINDING//location", "DIED"), (2, 2, "FINDING//location", "HOME"), (2, 2, "SCORE//Died", 1.0)]
    found = remarks(cohort_of, rows, inputs={"exclude": "LAB//*"})
    assert "repeat words of the target: SCORE//Died, FINDING//location = DIED; if" in found[-1]
    classes = {"codes": "OUTCOME//died", "read": "category", "classes": {"heart": "heart failure", "lung": "COPD"}}
    found = remarks(cohort_of, [(1, 2, "FINDING//x", "Heart-Failure")], kind="multiclass", target=classes)
    assert "FINDING//x = Heart-Failure" in found[-1]
